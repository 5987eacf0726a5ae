// What each kind of constraint accepts and refuses, and that its masks agree.
#include "error_of.h"
#include "text/grammar/constraint.h"
#include "text/grammar/verdicts.h"

namespace mistral::grammar {
namespace {

using Kind = Constraint::Kind;

struct Case {
  const char* constraint;
  std::vector<const char*> accept;
  std::vector<const char*> reject;
};

std::shared_ptr<const CompiledConstraint> compile(Kind kind, const std::string& text) {
  static const auto vocabulary = small_vocabulary();
  return compile_constraint({.kind = kind, .text = text}, vocabulary);
}

void check(Kind kind, const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    SCOPED_TRACE(one.constraint);
    const auto constraint = compile(kind, one.constraint);
    for (const char* text : one.accept) {
      EXPECT_TRUE(accepted(*constraint, text)) << text;
      EXPECT_EQ(mask_difference(constraint, text), "");
    }
    for (const char* text : one.reject) EXPECT_FALSE(accepted(*constraint, text)) << text;
  }
}

void check_refused(Kind kind, const std::string& text, const std::vector<std::string>& parts) {
  SCOPED_TRACE(text);
  const Error error = test::error_of([&] { return compile(kind, text); });
  EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
  for (const std::string& part : parts) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(Regex, Languages) {
  check(Kind::kRegex, {{"a|b", {"a", "b"}, {"", "ab"}},
                       {"^a$|^b$", {"a", "b"}, {"ab", "^a"}},
                       {"(?i)straße", {"straße", "STRAßE"}, {"strasse"}},
                       {"(?i:É)x", {"éx", "Éx"}, {"éX"}},
                       {"(?x) a b # comment\n c", {"abc"}, {"a b c"}},
                       {"(?s).", {"\n", "é"}, {""}},
                       {".", {"é", "日"}, {"\n", "\xC3"}},
                       {"[a-z&&[^aeiou]]+", {"bcd"}, {"bad"}},
                       {"[a-z--[b]]", {"a"}, {"b"}},
                       {"[[:digit:]x]+", {"1x"}, {"a"}},
                       {"\\p{Lu}+", {"ÄB"}, {"äB"}},
                       {"\\pL\\PL", {"a1"}, {"ab"}},
                       {"[]a]+", {"]a"}, {"[a"}},
                       {"(?<year>\\d{2})(?P<m>x)", {"12x"}, {"12"}},
                       {"a{2,3}?", {"aa", "aaa"}, {"a"}},
                       {"\\x{1F600}\\u0041", {"😀A"}, {"A"}},
                       {"[^\\x00-\\x7F]", {"é"}, {"a"}},
                       {"(a^b|c)", {"c"}, {"ab"}},
                       {"\\$\\{\\}", {"${}"}, {}}});
}

TEST(Regex, RefusalsNameThePlace) {
  check_refused(Kind::kRegex, "ab(cd", {"line 1, column 3", "no end"});
  check_refused(Kind::kRegex, "a\nb)", {"line 2, column 2"});
  check_refused(Kind::kRegex, "(?=a)b", {"look-around"});
  check_refused(Kind::kRegex, "(a)\\1", {"back-references"});
  check_refused(Kind::kRegex, "\\bfoo", {"word boundaries"});
  check_refused(Kind::kRegex, "*a", {"nothing to repeat"});
  check_refused(Kind::kRegex, "[z-a]", {"wrong order"});
  check_refused(Kind::kRegex, "a{3,2}", {"wrong order"});
  check_refused(Kind::kRegex, "\\p{Nonsense}", {"unknown class"});
  check_refused(Kind::kRegex, "(?q)a", {"unknown flag"});
  check_refused(Kind::kRegex, "[a&&b]", {"no text"});
  check_refused(Kind::kRegex, "\xC3", {"UTF-8"});
}

TEST(Gbnf, Languages) {
  check(Kind::kGbnf, {{"root ::= \"a\" b* # comment\nb ::= [x-z] | \"é\"", {"a", "axé"}, {"", "b"}},
                      {"root ::= (\"a\" |\n  \"b\"){2,3}", {"ab", "bbb"}, {"a", "abab"}},
                      {"root ::= root \"a\" | \"b\"", {"b", "baaa"}, {"ab"}},
                      {"root ::= \"(\" root \")\" | ", {"", "(())"}, {"(()", "()()"}},
                      {"root ::= [^\"\\\\\\n]+ \"\\\"\" .", {"ab\"é"}, {"\"a"}},
                      {"item ::= other? \"x\"\nother ::= \"\\x41\\u00e9\"", {"x", "Aéx"}, {"A"}},
                      {"root ::= a a\na ::= \"\" | \"x\" a", {"", "x", "xxxx"}, {"y"}}});
  check_refused(Kind::kGbnf, "root ::= a", {"'a' is not defined", "line 1, column 10"});
  check_refused(Kind::kGbnf, "root ::= \"a\nx", {"no end"});
  check_refused(Kind::kGbnf, "root = \"a\"", {"'::='"});
  check_refused(Kind::kGbnf, "root ::= \"a\"\nroot ::= \"b\"", {"twice", "line 2, column 1"});
  check_refused(Kind::kGbnf, "root ::= root \"a\"", {"no text"});
  check_refused(Kind::kGbnf, "", {"no rule"});
}

TEST(Lark, Languages) {
  check(Kind::kLark,
        {{"start: \"a\" B*\nB: /[xy]/ | \"é\"i", {"a", "axyÉ"}, {"", "b"}},
         {"start: expr\n?expr: term (\"+\" term)*\nterm: NUMBER -> num\n  | \"(\" expr \")\"\n"
          "%import common.NUMBER\n%import common.WS\n%ignore WS",
          {"1 + 2", " (1+ 2.5e3 ) ", "7"},
          {"1 +", "1 2 x", "()"}},
         {"start: pair{A, B}\npair{x, y}: x y | y x\nA: \"a\"\nB: \"b\"", {"ab", "ba"}, {"aa"}},
         {"start: \"a\" ~ 2 \"b\" ~ 1..3 [\"c\"]", {"aab", "aabbbc"}, {"ab", "aabbbb"}},
         {"start: LETTER+\nLETTER: \"a\"..\"c\" | \"x\"..\"z\"", {"abz"}, {"d"}},
         {"start: key \"=\" VALUE\nkey.2: /\\w+/\nVALUE.-1: /\"[^\"]*\"/s", {"k=\"v\""}, {"k="}},
         {"start: x\n// comment\nx: _SEP? W\n_SEP: \";\"\nW: (\"a\"|\"b\")+ // more",
          {"ab", ";a"},
          {";"}}});
  check_refused(Kind::kLark, "start: a", {"'a' is not defined", "line 1, column 8"});
  check_refused(Kind::kLark, "begin: \"a\"", {"'start'"});
  check_refused(Kind::kLark, "start: A\nA: A \"x\"", {"uses itself"});
  check_refused(Kind::kLark, "start: A\nA: b\nb: \"x\"", {"cannot use a rule"});
  check_refused(Kind::kLark, "start: p{\"a\"}\np{x, y}: x", {"2 parameters"});
  check_refused(Kind::kLark, "start: \"a\"\n%declare X", {"%declare", "line 2"});
  check_refused(Kind::kLark, "%import common.NOTHING\nstart: \"a\"", {"NOTHING"});
}

TEST(Yacc, Languages) {
  check(Kind::kYacc,
        {// Keywords and names, as one lexer reads them.
         {"%start s\n%%\nSKIP: \"/[ ]+/\" ;\ns: \"int\" ID \";\" ;\nID: \"/[a-z]+/\" ;",
          {"int x;", "int intx ;"},
          {"int int;", "intx;", "int;"}},
         {"%%\ns: s \"<\" \"x\" | \"x\" ;", {"x", "x<x<x"}, {"<x"}},
         {"%nonassoc \"<\"\n%%\ns: s \"<\" s | \"x\" ;", {"x<x"}, {"x<x<x"}},
         {"%left '+'\n%right '^'\n%%\ne: e '+' e | e '^' e | '-' e %prec '^' | 'x' ;",
          {"x+x^x^x+x", "-x+x"},
          {"x+", "++"}},
         // LR(1), but not LALR(1).
         {"%%\ns: 'a' e 'a' | 'b' e 'b' | 'a' f 'b' | 'b' f 'a' ;\ne: 'e' ;\nf: 'e' ;",
          {"aea", "beb", "aeb", "bea"},
          {"ae", "bee"}},
         {"%%\ns: '/a+/' 'ab' ;", {}, {"aaab"}}});
}

TEST(Yacc, Refusals) {
  check_refused(Kind::kYacc, "s: 'a' ;", {"'%%'", "line 1, column 1"});
  check_refused(Kind::kYacc, "%%\ns: 'a'", {"';'", "line 2"});
  check_refused(Kind::kYacc, "%%\ns: t ;", {"'t' is not defined", "line 2, column 4"});
  check_refused(Kind::kYacc, "%%\ns: '/(/' ;", {"line 2, column 4"});
  check_refused(Kind::kYacc, "%%\ns: s 'a' ;", {"no texts"});
  check_refused(Kind::kYacc, "%%\ns: 'a ;", {"closing quote"});
}

TEST(Tagged, FreeTextWithCalls) {
  const char* one = R"({"tags":[{"begin":"<f>","schema":{"type":"integer"},"end":"</f>"},
      {"begin":"<g>","schema":{"type":"boolean"},"end":"."}],"free_text":true,"most":2})";
  check(Kind::kTagged, {{one,
                         {"", "no call", "a <f>12</f> b", "<g>true.<f>1</f>", "<x <f", "<<f>1</f>"},
                         {"<f>x</f>", "<f>1", "<f>1</f><f>1</f><f>1</f>", "a<g>1."}}});
  const char* only = R"({"tags":[{"begin":"{\"n\":","schema":{"enum":["a"]},"end":"}"}],
      "least":1,"separator":"\n"})";
  check(Kind::kTagged, {{only, {"{\"n\":\"a\"}", "{\"n\":\"a\"}\n{\"n\":\"a\"}"}, {"", "x"}}});
  check_refused(Kind::kTagged, "{}", {"tags"});
  check_refused(Kind::kTagged, R"({"tags":[{"begin":"a","schema":{"type":"x"}}]})",
                {"tags[0].schema", "type"});
}

TEST(Tagged, TriggersAreFollowedByOneOfTheirCalls) {
  const char* marked = R"({"tags":[{"begin":"<t>f ","schema":{"type":"integer"},"end":"</t>"},
      {"begin":"<t>g ","schema":{"type":"boolean"},"end":"</t>"}],
      "free_text":true,"triggers":["<t>"]})";
  // A trigger that no call begins with is only forbidden.
  const char* forbidden = R"({"tags":[{"begin":"<t>","schema":{"const":1}}],
      "free_text":true,"triggers":["<t>","<u>"],"most":1})";
  const char* start = R"({"tags":[{"begin":"f\n","schema":{"type":"integer"},"at_start":true},
      {"begin":">f\n","schema":{"type":"integer"}}],"free_text":true})";
  check(Kind::kTagged,
        {{marked,
          {"", "f 1</t>", "x<t>f 1</t>y<t>g true</t>", "<t<t>f 1</t>"},
          {"<t>", "<t>x", "<t>f true</t>", "<t>g 1</t>", "x<t>f 1", "<t>f 1</t><t>h"}},
         {forbidden, {"a", "<u", "a<t>1b"}, {"<u>", "<t>2", "a<t>1<t>1", "<t>1<u>"}},
         {start,
          {"", "f", "f\n1", "f\n1>f\n2 x", "all\n>f\n2", "x f\n", "x>f\n3y"},
          {"f\n", "f\nx", "f\n>f\n1", "f\n1>f\nx"}}});
  check_refused(Kind::kTagged, R"({"tags":[{"begin":"a"}],"free_text":true,"triggers":["b"]})",
                {"tags[0].begin", "trigger"});
  check_refused(Kind::kTagged, R"({"tags":[{"begin":"a"}],"free_text":true,"triggers":[""]})",
                {"triggers"});
}

TEST(Tagged, ListsOfCallsHaveMarksAroundThem) {
  const std::string list = R"({"tags":[{"begin":"f","schema":{"enum":[1,2]}}],
      "open":"[T][","separator":", ","close":"]",)";
  const std::string only = list + R"("least":1,"most":2})";
  const std::string among_text = list + R"("free_text":true,"triggers":["[T]"]})";
  check(Kind::kTagged, {{only.c_str(),
                         {"[T][f1]", "[T][f1, f2]"},
                         {"", "[T][]", "[T][f1", "[T][f1, f2, f1]", "f1", "[T][f3]"}},
                        {among_text.c_str(),
                         {"", "a[b]", "x[T][f1, f2]y[T][f1]"},
                         {"[T]", "[T]x", "[T][f3]", "[T][f1, f2", "[T][]"}}});
}

TEST(JsonObject, IsAnyObject) {
  check(Kind::kJsonObject,
        {{"",
          {"{}", "{\"a\":1}", "{\"a\": {\"b\": [1.5e3, null]}, \"c\": \"\\u00e9\\ud83d\\ude00\"}",
           "{\n  \"a\": true\n}"},
          {"[]", "1", "{\"a\"}", "{\"a\":01}", "{\"a\":\"\n\"}", "{\"a\":\"\\ud83d\"}",
           "{\"a\":1,}"}}});
}

}  // namespace
}  // namespace mistral::grammar
