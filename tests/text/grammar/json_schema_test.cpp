// JSON schemas beyond the golden data: joins, opposites, and what is refused by name.
#include "error_of.h"
#include "text/grammar/constraint.h"
#include "text/grammar/verdicts.h"

namespace mistral::grammar {
namespace {

std::shared_ptr<const CompiledConstraint> compile(const std::string& schema) {
  static const auto vocabulary = small_vocabulary();
  return compile_constraint({.kind = Constraint::Kind::kJsonSchema, .text = schema}, vocabulary);
}

void check(const char* schema, const std::vector<const char*>& valid,
           const std::vector<const char*>& invalid) {
  SCOPED_TRACE(schema);
  const auto constraint = compile(schema);
  for (const char* text : valid) {
    EXPECT_TRUE(accepted(*constraint, text)) << text;
    EXPECT_EQ(mask_difference(constraint, text), "");
  }
  for (const char* text : invalid) EXPECT_FALSE(accepted(*constraint, text)) << text;
}

void check_refused(const char* schema, const std::vector<std::string>& parts) {
  SCOPED_TRACE(schema);
  const Error error = test::error_of([&] { return compile(schema); });
  EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
  for (const std::string& part : parts) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(JsonSchema, Numbers) {
  check(R"({"type":"number","minimum":-1.25,"exclusiveMaximum":10})",
        {"-1.25", "-1.2", "0", "9.999", "-0.5", "1.50"}, {"-1.26", "10", "10.0", "-2", "1e1"});
  check(R"({"type":"integer","exclusiveMinimum":99,"maximum":100000})", {"100", "99999", "100000"},
        {"99", "100001", "-100", "0100"});
  check(R"({"multipleOf":0.25,"type":"number"})", {"0.25", "1.5", "3", "-2.75", "0.50"},
        {"0.3", "0.125", "1.51"});
  check(R"({"type":"integer","multipleOf":7,"minimum":10})", {"14", "700"}, {"7", "15"});
  check(R"({"enum":[1.0,2.5,100]})", {"1", "2.5", "100"}, {"2", "10"});
  check(R"({"type":"number","not":{"type":"integer"}})", {"1.5"}, {"1", "1.0", "2.00"});
  check(R"({"type":"integer","not":{"const":5},"minimum":4,"maximum":6})", {"4", "6"}, {"5"});
}

TEST(JsonSchema, Strings) {
  check(R"({"type":"string","pattern":"b","minLength":2,"maxLength":3})", {"\"ab\"", "\"bab\""},
        {"\"b\"", "\"aa\"", "\"bbbb\""});
  check(R"({"type":"string","pattern":"^a|c$"})", {"\"ax\"", "\"xc\""}, {"\"xa\"", "\"cx\""});
  check(R"({"type":"string","minLength":2,"maxLength":2})",
        {"\"é日\"", "\"\\n\\\"\"", "\"\\u00e9x\""}, {"\"é\"", "\"abc\""});
  check(R"({"type":"string","not":{"pattern":"x"}})", {"\"abc\"", "\"\""}, {"\"axb\""});
  check(R"({"type":"string","format":"ipv6"})", {"\"::1\"", "\"1:2:3:4:5:6:7:8\"", "\"fe80::1:2\""},
        {"\":1\"", "\"1:2\"", "\"1::2::3\""});
  check(R"({"type":"string","format":"date"})", {"\"2024-02-29\"", "\"2000-02-29\""},
        {"\"2023-02-29\"", "\"1900-02-29\"", "\"0000-01-01\"", "\"2023-04-31\""});
  check(R"({"type":"string","format":"nonsense"})", {"\"x\""}, {"1"});
  // Characters that the expression names must not slip in as escapes.
  check(R"({"type":"string","pattern":"^[ab]*$"})", {"\"ab\""}, {"\"\\u0063\"", "\"\\n\""});
}

TEST(JsonSchema, Objects) {
  check(R"({"properties":{"a":{"type":"integer"},"b":{}},"required":["b"],"type":"object"})",
        {"{\"b\":1}", "{\"a\":1,\"b\":null}", "{\"b\":1,\"c\":2}"},
        {"{}", "{\"a\":1}", "{\"a\":\"x\",\"b\":1}", "{\"b\":1,\"a\":\"x\"}", "{\"b\":1,\"b\":2}"});
  check(R"({"type":"object","patternProperties":{"^n":{"type":"integer"},"b$":{"minimum":5}},
           "additionalProperties":false})",
        {"{\"n\":1}", "{\"nb\":5}", "{}", "{\"xb\":7}", "{\"xb\":\"y\"}"},
        {"{\"nb\":4}", "{\"n\":\"x\"}", "{\"xb\":4}", "{\"x\":1}"});
  check(R"({"type":"object","properties":{"a":{},"b":{},"c":{}},"additionalProperties":false,
           "minProperties":1,"maxProperties":2})",
        {"{\"a\":1}", "{\"b\":1,\"c\":1}"}, {"{}", "{\"a\":1,\"b\":1,\"c\":1}"});
  check(
      R"({"type":"object","propertyNames":{"maxLength":2},"additionalProperties":{"type":"null"}})",
      {"{}", "{\"ab\":null}"}, {"{\"abc\":null}", "{\"ab\":1}"});
  check(R"({"type":"object","properties":{"a":{},"b":{}},"dependentRequired":{"a":["b"]},
           "additionalProperties":false})",
        {"{}", "{\"b\":1}", "{\"a\":1,\"b\":1}"}, {"{\"a\":1}"});
  check(R"({"type":"object","not":{"required":["a"]}})", {"{}", "{\"b\":1}"}, {"{\"a\":1}"});
}

TEST(JsonSchema, Arrays) {
  check(R"({"type":"array","items":{"type":"integer"},"contains":{"minimum":5},"minItems":2})",
        {"[1,5]", "[6,1,1]"}, {"[5]", "[1,2]", "[]"});
  check(R"({"type":"array","items":{"type":"integer"},"contains":{"minimum":5},"maxContains":1})",
        {"[1,5]", "[6]"}, {"[5,6]", "[1]"});
  check(
      R"({"type":"array","uniqueItems":true,"items":{"type":"integer","minimum":1,"maximum":12}})",
      {"[]", "[1,5,12]"}, {"[1,1]", "[5,5]"});
  check(R"({"type":"array","uniqueItems":true,"items":{"type":["boolean","null"]},"minItems":2})",
        {"[true,false]", "[null,true,false]"}, {"[true]", "[true,true]"});
  check(R"({"type":"array","items":[{"type":"null"}],"additionalItems":{"type":"boolean"}})",
        {"[]", "[null,true]"}, {"[true]", "[null,null]"});
}

TEST(JsonSchema, Combinations) {
  check(R"({"oneOf":[{"type":"integer"},{"minimum":2}],"type":"number"})", {"1", "2.5"},
        {"2", "3", "1.5"});
  check(R"({"oneOf":[{"type":"string","maxLength":2},{"type":"string","minLength":2}]})",
        {"\"a\"", "\"abc\""}, {"\"ab\""});
  check(R"({"if":{"properties":{"k":{"const":"a"}},"required":["k"]},
           "then":{"properties":{"v":{"type":"integer"}}},
           "else":{"properties":{"v":{"type":"string"}}},
           "type":"object","properties":{"k":{"enum":["a","b"]},"v":{}},
           "required":["k","v"],"additionalProperties":false})",
        {"{\"k\":\"a\",\"v\":1}", "{\"k\":\"b\",\"v\":\"x\"}"},
        {"{\"k\":\"a\",\"v\":\"x\"}", "{\"k\":\"b\",\"v\":1}"});
  check(R"({"const":{"a":{"type":"string"},"b":[1,"x"]}})",
        {R"({"a":{"type":"string"},"b":[1,"x"]})"}, {R"({"a":"string","b":[1,"x"]})"});
  check(R"({"allOf":[{"properties":{"a":{"type":"integer"}}},{"properties":{"a":{"minimum":3}},
           "required":["a"]}],"type":"object"})",
        {"{\"a\":3}"}, {"{\"a\":2}", "{}"});
  check(R"({"$defs":{"e":{"oneOf":[{"type":"integer"},{"type":"object","properties":{"l":
           {"$ref":"#/$defs/e"},"r":{"$ref":"#/$defs/e"}},"required":["l","r"],
           "additionalProperties":false}]}},"$ref":"#/$defs/e"})",
        {"1", "{\"l\":1,\"r\":{\"l\":2,\"r\":3}}"}, {"{\"l\":1}", "\"x\""});
}

TEST(JsonSchema, RefusalsNameKeywordAndPointer) {
  check_refused(R"({"type":"strin"})", {"'/type'"});
  check_refused(R"({"properties":{"a/b":{"minLength":-1}}})", {"'/properties/a~1b/minLength'"});
  check_refused(R"({"unevaluatedProperties":false})", {"unevaluatedProperties"});
  check_refused(R"({"type":"array","items":{"type":"string"},"uniqueItems":true})",
                {"/uniqueItems"});
  check_refused(R"s({"type":"string","pattern":"(?=a)"})s", {"'/pattern'", "look-around"});
  check_refused(R"({"type":"string","format":"regex"})", {"'/format'"});
  check_refused(R"({"$ref":"#/$defs/x"})", {"'/$ref'"});
  check_refused(R"({"$ref":"http://example.com/s"})", {"'/$ref'"});
  check_refused(R"({"$ref":"#"})", {"$ref", "without end"});
  check_refused(
      R"({"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/a"}]}}})",
      {"without end"});
  check_refused(R"({"type":"object","minProperties":2,"additionalProperties":{"type":"integer"}})",
                {"/minProperties"});
  check_refused(R"({"type":"integer","minimum":3,"maximum":2})", {"no text"});
  check_refused(R"({"type":)", {"line 1", "JSON"});
  check_refused("{\n \"a\" 1}", {"line 2"});
  check_refused("[]", {"expected a schema"});
  check_refused(R"({"not":{"additionalProperties":false}})", {"/not/additionalProperties"});
}

}  // namespace
}  // namespace mistral::grammar
