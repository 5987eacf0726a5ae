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

// What belongs to no keyword beside the one in question, nor to schemas that always hold with it.
TEST(JsonSchema, Unevaluated) {
  check(R"({"type":"object","properties":{"a":{"type":"integer"}},"unevaluatedProperties":false})",
        {R"({"a":1})", "{}"}, {R"({"b":1})", R"({"a":"x"})", R"({"a":1,"b":1})"});
  check(R"({"type":"object","allOf":[{"$ref":"#/$defs/base"}],"properties":{"b":{"type":"null"}},
            "unevaluatedProperties":{"type":"boolean"},
            "$defs":{"base":{"properties":{"a":{"type":"integer"}},
                             "patternProperties":{"^x":{"type":"string"}}}}})",
        {R"({"b":null,"a":1})", R"({"xy":"t"})", R"({"c":true})"},
        {R"({"a":true})", R"({"xy":true})", R"({"c":1})", R"({"b":true})"});
  // Where other schemas say something about every name, nothing is left over.
  check(R"({"type":"object","allOf":[{"additionalProperties":true}],
            "unevaluatedProperties":false})",
        {R"({"a":1})"}, {"1"});
  // A schema beside it is not one that holds with it.
  check(R"({"type":"object","allOf":[{"properties":{"a":true}},{"unevaluatedProperties":false}]})",
        {"{}"}, {R"({"a":1})"});
  // Alternatives that speak of no further name are no obstacle.
  check(R"({"type":"object","properties":{"a":true,"b":true},
            "anyOf":[{"required":["a"]},{"properties":{"b":true},"required":["b"]}],
            "unevaluatedProperties":false})",
        {R"({"a":1})", R"({"b":1})"}, {"{}", R"({"a":1,"c":1})"});
  check(R"({"type":"array","prefixItems":[{"type":"integer"}],
            "allOf":[{"prefixItems":[true,{"type":"string"}]}],"unevaluatedItems":false})",
        {"[1]", "[1,\"x\"]", "[]"}, {"[1,2]", "[1,\"x\",3]", "[\"x\"]"});
  check(R"({"type":"array","items":{"type":"integer"},"unevaluatedItems":false})", {"[1,2]"},
        {"[\"x\"]"});
}

TEST(JsonSchema, Dependencies) {
  check(R"({"type":"object","properties":{"a":true,"b":true},"additionalProperties":false,
            "dependencies":{"a":["b"],"b":{"properties":{"b":{"type":"integer"}}}}})",
        {"{}", R"({"b":1})", R"({"a":1,"b":2})"}, {R"({"a":1})", R"({"b":"x"})"});
}

// References are relative to the part that has an "$id" and holds them.
TEST(JsonSchema, References) {
  check(R"({"$id":"http://example.com/root","$ref":"part#/$defs/x",
            "$defs":{"x":{"type":"string"},
                     "part":{"$id":"part","$defs":{"x":{"$ref":"#y"},
                                                   "y":{"$anchor":"y","type":"integer"}}},
                     "y":{"$anchor":"y","type":"null"}}})",
        {"1"}, {"\"x\"", "null"});
  check(R"({"$id":"http://example.com/a/b/root","$ref":"../c/./part?q#",
            "$defs":{"part":{"$id":"/a/c/part?q","type":"integer"}}})",
        {"1"}, {"\"x\""});
  check(R"({"$ref":"urn:example:part","$defs":{"p":{"$id":"urn:example:part","type":"integer"}}})",
        {"1"}, {"\"x\""});
  // Constants and properties only look like schemas.
  check(R"({"properties":{"$id":{"type":"string"},"$anchor":{"const":{"$anchor":"a"}}},
            "type":"object","additionalProperties":{"$ref":"#a"},
            "$defs":{"b":{"$anchor":"a","type":"integer"}}})",
        {R"({"$id":"x","z":1})", R"({"$anchor":{"$anchor":"a"}})"}, {R"({"z":"x"})"});
  check_refused(R"({"$ref":"other.json"})", {"'/$ref'", "other.json"});
  check_refused(R"({"$ref":"#nowhere"})", {"'/$ref'", "nowhere"});
}

TEST(JsonSchema, Addresses) {
  check(R"({"type":"string","format":"hostname"})",
        {"\"localhost\"", "\"a.b.c.d.e.example.com\"", "\"a-b--c.x1\""},
        {"\"xn--x\"", "\"a1--b\"", "\"-a\"", "\"a-\"", "\"a..b\"", "\"\""});
  const std::string label(63, 'a');
  const std::string longest = "\"" + label + "." + label + "." + label;
  check(R"({"type":"string","format":"hostname"})", {(longest + "\"").c_str()},
        {(longest + "." + label + "\"").c_str()});
  check(R"({"type":"string","format":"ipv6"})",
        {"\"::ffff:192.168.0.1\"", "\"1:2:3:4:5:6:1.2.3.4\"", "\"1:2::1.2.3.4\""},
        {"\"1:2:3:4:5:6:7:1.2.3.4\"", "\"::256.1.1.1\"", "\"1:2:3:4:5:6::1.2.3.4\""});
  check(R"({"type":"string","format":"uri"})",
        {"\"file:///a/b\"", "\"http://u:p@example.com:80/x?y#z\"", "\"ldap://[2001:db8::7]/c\"",
         "\"mailto:a@b.c\""},
        {"\"//a\"", "\"http://[1]/\"", "\"http:\"", "\"a b\"", "\"#x\""});
  check(R"({"type":"string","format":"uri-reference"})",
        {"\"\"", "\"#x\"", "\"?q\"", "\"a/b\"", "\"/\"", "\"//a.b/c\""}, {"\"\\\\\"", "\"a b\""});
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
  check_refused(R"({"anyOf":[{"properties":{"a":true}},{"required":["b"]}],
                    "unevaluatedProperties":false})",
                {"'/unevaluatedProperties'"});
  check_refused(R"({"contains":{"type":"null"},"unevaluatedItems":false})",
                {"'/unevaluatedItems'"});
  check_refused(R"({"not":{"unevaluatedItems":false}})", {"'/not/unevaluatedItems'"});
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
