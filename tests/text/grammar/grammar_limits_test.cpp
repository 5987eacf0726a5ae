// Constraints made to cost much end in an error soon, and states follow answers back and forth.
#include <fmt/format.h>

#include "error_of.h"
#include "text/grammar/constraint.h"
#include "text/grammar/verdicts.h"

namespace mistral::grammar {
namespace {

using Kind = Constraint::Kind;

std::shared_ptr<const CompiledConstraint> compile(Kind kind, const std::string& text,
                                                  const CompileLimits& limits = {}) {
  static const auto vocabulary = small_vocabulary();
  return compile_constraint({.kind = kind, .text = text}, vocabulary, limits);
}

// Where a slow machine must not make another error of it.
constexpr CompileLimits kMuchTime = {.seconds = 60};

std::string repeated(const std::string& text, std::size_t count) {
  std::string out;
  out.reserve(text.size() * count);
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

void expect_refused(Kind kind, const std::string& text) {
  SCOPED_TRACE(text.substr(0, 60));
  const Error error = test::error_of([&] { return compile(kind, text); });
  EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument) << error.what();
}

// Either way, but soon.
void expect_an_end(Kind kind, const std::string& text) {
  try {
    const auto constraint = compile(kind, text);
    const auto machine = constraint->start();
    for (int i = 0; i < 40 && machine->push('a'); ++i) {
    }
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument) << error.what();
  }
}

TEST(GrammarLimits, Regexes) {
  expect_refused(Kind::kRegex, "(a|b)*a(a|b){20}");
  expect_refused(Kind::kRegex, "(((a{1,100}){1,100}){1,100}){1,100}");
  expect_refused(Kind::kRegex, "[\\p{L}]{1,90000}");
  expect_refused(Kind::kRegex, repeated("(", 10'000) + repeated(")", 10'000));
  expect_refused(Kind::kRegex, repeated("a", 10'000'000));
  expect_refused(Kind::kRegex, "a" + repeated("+", 10'000));
  for (const char* family : {"(a+)+b", "(a|a)*b", "(a|aa)+b", "(.*)*x", "((a*)*)*", "(a?){60}a{60}",
                             "(x+x+)+y", "(a{0,99}){0,99}"}) {
    expect_an_end(Kind::kRegex, family);
  }
  EXPECT_TRUE(accepted(*compile(Kind::kRegex, "(a+)+b"), repeated("a", 2000) + "b"));
}

TEST(GrammarLimits, Schemas) {
  expect_refused(Kind::kJsonSchema, repeated("{\"items\":", 10'000) + "{}" + repeated("}", 10'000));
  expect_refused(Kind::kJsonSchema, repeated("[", 200'000));
  expect_refused(Kind::kJsonSchema, R"({"type":"string","maxLength":1000000})");
  expect_refused(Kind::kJsonSchema, R"({"type":"integer","multipleOf":1234567})");
  expect_refused(Kind::kJsonSchema,
                 R"({"type":"array","minItems":100000000,"items":{"type":"null"}})");
  expect_refused(Kind::kJsonSchema, R"({"type":"string","pattern":"(a|b)*a(a|b){25}"})");
  std::string many = "{\"anyOf\":[";
  for (int i = 0; i < 3000; ++i) {
    many += R"({"type":"object","properties":{"a)" + std::to_string(i) + R"(":{}}},)";
  }
  many += "{}]}";
  expect_refused(Kind::kJsonSchema, many);
  std::string products = "{\"type\":\"object\",\"allOf\":[";
  for (int i = 0; i < 20; ++i) {
    const std::string n = std::to_string(i);
    products += R"({"anyOf":[{"required":["a)" + n + R"("]},{"required":["b)" + n + R"("]}]},)";
  }
  products += "{}]}";
  expect_refused(Kind::kJsonSchema, products);
}

// References that lead on and on, parts whose addresses grow, names that every schema repeats.
TEST(GrammarLimits, References) {
  std::string chain = R"({"unevaluatedProperties":false,"$ref":"#/$defs/0","$defs":{)";
  for (int i = 0; i < 20'000; ++i) {
    chain += fmt::format(R"("{}":{{"$ref":"#/$defs/{}"}},)", i, i + 1);
  }
  expect_refused(Kind::kJsonSchema, chain + R"("20000":{}}})");

  std::string parts = R"({"$id":"http://x/)" + repeated("a", 100'000) + R"(/","$defs":{)";
  for (int i = 0; i < 20'000; ++i) parts += fmt::format(R"("{0}":{{"$id":"{0}"}},)", i);
  expect_refused(Kind::kJsonSchema, parts + R"("z":{}}})");

  std::string names = R"({"$defs":{"n":{"properties":{)";
  for (int i = 0; i < 10'000; ++i) names += fmt::format("\"{}\":true,", i);
  names += R"("z":true}}},"anyOf":[)";
  for (int i = 0; i < 5'000; ++i) {
    names += R"({"unevaluatedProperties":false,"$ref":"#/$defs/n"},)";
  }
  expect_refused(Kind::kJsonSchema, names + "{}]}");
}

TEST(GrammarLimits, Grammars) {
  expect_refused(Kind::kGbnf,
                 "root ::= " + repeated("(", 10'000) + "\"a\"" + repeated(")", 10'000));
  expect_refused(Kind::kGbnf, "root ::= ((\"a\"{1,1000}){1,1000}){1,1000}");
  expect_refused(Kind::kGbnf, repeated("a ::= b\n", 2'000'000));
  expect_refused(Kind::kLark, "start: t{\"a\"}\nt{x}: t{(x x)}");
  expect_refused(Kind::kLark, "start: ((\"a\" ~ 1000) ~ 1000) ~ 1000");
  expect_refused(Kind::kYacc, repeated("%left 'a'\n", 2) + "%%\ns: 'a' ;");
  expect_refused(Kind::kYacc, "%%\ns: '/(a|b)*a(a|b){20}/' ;");
}

TEST(GrammarLimits, ManyRulesAreNotAmbiguous) {
  // All of them begin and end at the same places.
  constexpr int kRules = 3000;
  std::string chain = "root ::= r0\n";
  for (int i = 0; i < kRules; ++i) {
    chain += "r" + std::to_string(i) + " ::= r" + std::to_string(i + 1) + " \"x\"?\n";
  }
  chain += "r" + std::to_string(kRules) + " ::= \"a\"\n";
  const auto constraint = compile(Kind::kGbnf, chain);
  EXPECT_TRUE(accepted(*constraint, "a" + repeated("x", 20)));
  EXPECT_FALSE(viable(*constraint, "xa"));
  EXPECT_EQ(mask_difference(constraint, "ax"), "");
  EXPECT_EQ(constraint->start()->shortest_end(9), "a");
}

TEST(GrammarLimits, RulesThatRenameOthersCostNothing) {
  constexpr int kRules = 20'000;
  std::string chain = "start: r0\n";
  for (int i = 0; i < kRules; ++i) {
    chain += "r" + std::to_string(i) + ": r" + std::to_string(i + 1) + "\n";
  }
  const auto constraint =
      compile(Kind::kLark, chain + "r" + std::to_string(kRules) + ": \"a\" \"b\"*\n", kMuchTime);
  EXPECT_TRUE(accepted(*constraint, "abb"));
  EXPECT_FALSE(viable(*constraint, "b"));
  EXPECT_EQ(mask_difference(constraint, "ab"), "");
  // Names in a circle say nothing.
  for (const char* rules : {"start: a\na: b\nb: a\n", "start: a\na: a\n", "start: start\n"}) {
    const Error error = test::error_of([&] { return compile(Kind::kLark, rules); });
    EXPECT_NE(std::string(error.what()).find("no text"), std::string::npos) << error.what();
  }
  const auto beside = compile(Kind::kLark, "start: a | \"x\"\na: b\nb: a\n");
  EXPECT_TRUE(accepted(*beside, "x"));
}

TEST(GrammarLimits, TooManyRulesAtTheStartAreNotCalledAmbiguous) {
  constexpr int kRules = 25'000;
  std::string chain = "root ::= r0\n";
  for (int i = 0; i < kRules; ++i) {
    chain += "r" + std::to_string(i) + " ::= r" + std::to_string(i + 1) + " \"x\"?\n";
  }
  chain += "r" + std::to_string(kRules) + " ::= \"a\"\n";
  const Error error = test::error_of([&] { return compile(Kind::kGbnf, chain, kMuchTime); });
  EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
  EXPECT_NE(std::string(error.what()).find("rules begin at one place"), std::string::npos)
      << error.what();
}

TEST(GrammarLimits, AmbiguityEndsInAnError) {
  std::string rules = "root ::= r0\n";
  for (int i = 0; i < 400; ++i) {
    rules += "r" + std::to_string(i) + " ::= \"a\" | r" + std::to_string((i * 7 + 1) % 400) + " r" +
             std::to_string((i * 13 + 5) % 400) + "\n";
  }
  const auto constraint = compile(Kind::kGbnf, rules);
  const auto machine = constraint->start();
  try {
    for (int i = 0; i < 2000 && machine->push('a'); ++i) {
    }
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kResource);
  }
}

TEST(ConstraintState, GoesBackToWhereItWas) {
  ConstraintState state(compile(Kind::kJsonSchema,
                                R"({"type":"object","properties":{"name":{"type":"string"}},
                                    "required":["name"],"additionalProperties":false})"));
  const auto vocabulary = small_vocabulary();
  std::vector<TokenMask> masks;
  const std::string text = "{\"name\":\"ab\"}";
  for (std::size_t i = 0;; ++i) {
    masks.emplace_back();
    state.allow(masks.back());
    if (i == text.size()) break;
    ASSERT_TRUE(state.advance(static_cast<TokenId>(static_cast<unsigned char>(text[i]) + 1)));
  }
  EXPECT_TRUE(state.complete());
  EXPECT_FALSE(state.advance(static_cast<TokenId>('x' + 1)));
  EXPECT_TRUE(state.advance(0));
  EXPECT_FALSE(state.advance(0));
  state.rollback(1);
  for (std::size_t i = text.size() + 1; i-- > 0;) {
    TokenMask mask;
    state.allow(mask);
    EXPECT_EQ(mask.words(), masks[i].words()) << i;
    state.rollback(1);
  }
  EXPECT_EQ(state.tokens(), 0U);
}

TEST(ConstraintCompiler, RemembersWhatItCompiled) {
  ConstraintCompiler compiler(small_vocabulary());
  const auto first = compiler.compile({.kind = Kind::kRegex, .text = "a+"});
  EXPECT_EQ(compiler.compile({.kind = Kind::kRegex, .text = "a+"}), first);
  EXPECT_NE(compiler.compile({.kind = Kind::kGbnf, .text = "root ::= \"a\""}), first);
}

}  // namespace
}  // namespace mistral::grammar
