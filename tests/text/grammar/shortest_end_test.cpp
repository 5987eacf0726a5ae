// The way to the end that a machine names: it is accepted, and where it claims to be the shortest
// no other is shorter.
#include <random>

#include "golden_dir.h"
#include "text/grammar/constraint.h"
#include "text/grammar/verdicts.h"

namespace mistral::grammar {
namespace {

using Kind = Constraint::Kind;

struct Case {
  Kind kind;
  std::string text;
};

std::vector<Case> context_free() {
  return {
      {Kind::kRegex, "(yes|no|maybe)"},
      {Kind::kRegex, R"(\d+(\.\d+)?)"},
      {Kind::kRegex, "(ab|abc|a{3,7}x)+(end|[x-z]{2})"},
      {Kind::kRegex, "[0-9]{3}-(日本|[^ -~]){2}"},
      {Kind::kRegex, "a{0,50}b{200}"},
      {Kind::kJsonObject, ""},
      {Kind::kJsonSchema, R"({"type":"array","items":{"type":"integer"},"minItems":3})"},
      {Kind::kJsonSchema,
       R"({"type":"object","properties":{"name":{"type":"string","minLength":2},
           "born":{"type":"string","format":"date"},"tags":{"type":"array","minItems":2,
           "items":{"enum":["long name","other"]}}},"required":["born","tags"]})"},
      {Kind::kJsonSchema, R"({"$ref":"#/$defs/t","$defs":{"t":{"type":"object","properties":
           {"v":{"type":"integer"},"next":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/t"}]}},
           "required":["v","next"],"additionalProperties":false}}})"},
      {Kind::kGbnf, "root ::= \"(\" root \")\" | \"[\" root \"]\" | root root | \"x\""},
      {Kind::kGbnf,
       "root ::= root \"+\" t | t\nt ::= \"(\" root \")\" | [0-9]{2,3} | e \"z\"\n"
       "e ::= \"q\"?"},
      {Kind::kGbnf, "root ::= a | b\na ::= \"a\" a \"bc\" | \"a\"\nb ::= \"a\" b \"d\" | \"aee\""},
      {Kind::kLark,
       "start: \"select \" col (\", \" col)* \" from t;\"\ncol: \"a\" | \"b\" | \"c\"\n"
       "%ignore \" \""},
      {Kind::kLark, "start: pair ~ 2..3\npair: /[a-z]{2,8}/ \":\" (\"yes\" | \"no\" pair)"},
      {Kind::kTagged,
       R"({"tags":[{"begin":"<call>","schema":{"type":"object","required":["a"]},
           "end":"</call>"}],"free_text":true,"least":1,"most":2})"},
  };
}

std::vector<Case> parsers() {
  std::vector<Case> out;
  for (const auto& entry :
       std::filesystem::directory_iterator(test::golden_dir() / "grammar" / "yacc")) {
    if (entry.path().extension() != ".y") continue;
    std::ifstream file(entry.path());
    out.push_back({Kind::kYacc, {std::istreambuf_iterator<char>(file), {}}});
  }
  out.push_back({Kind::kYacc,
                 "%start decls\n%%\nSKIP: \"/[ \\t\\n]+/\" ;\nID: \"/[a-zA-Z_][0-9a-zA-Z_]*/\" ;\n"
                 "decls: decl | decls decl ;\ndecl: type names \";\" ;\ntype: \"int\" | \"const\" "
                 "type |\n\"struct\" ID \"{\" decls \"}\" ;\nnames: name | names \",\" name ;\n"
                 "name: ID | \"*\" name |\nID \"[\" \"/[0-9]+/\" \"]\" ;\n"});
  return out;
}

// The bytes that may follow, those first that lead into nesting.
std::uint8_t pick(const ByteSet& next, std::mt19937& random) {
  std::vector<std::uint8_t> bytes;
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (!next.test(byte)) continue;
    bytes.push_back(static_cast<std::uint8_t>(byte));
    if (std::string_view("([{,+\"").find(static_cast<char>(byte)) == std::string_view::npos) {
      continue;
    }
    bytes.insert(bytes.end(), 20, static_cast<std::uint8_t>(byte));
  }
  return bytes[random() % bytes.size()];
}

// Walks at random and calls `check` at each place.
template <typename Check>
void walk(const CompiledConstraint& constraint, unsigned seed, std::size_t steps,
          const Check& check) {
  std::mt19937 random(seed);
  const auto machine = constraint.start();
  std::string text;
  for (std::size_t i = 0; i < steps; ++i) {
    SCOPED_TRACE("after '" + text + "'");
    check(*machine);
    const ByteSet next = machine->next_bytes();
    if (testing::Test::HasFailure() || next.none()) return;
    const std::uint8_t byte = pick(next, random);
    ASSERT_TRUE(machine->push(byte));
    text += static_cast<char>(byte);
  }
}

// The length of the end, which is accepted.
std::size_t accepted_end(Machine& machine) {
  const auto end = machine.shortest_end(1U << 20U);
  if (!end) {
    ADD_FAILURE() << "no end";
    return 0;
  }
  std::size_t pushed = 0;
  while (pushed < end->size() && machine.push(static_cast<std::uint8_t>((*end)[pushed]))) ++pushed;
  EXPECT_EQ(pushed, end->size()) << *end;
  EXPECT_TRUE(machine.accepts()) << *end;
  machine.pop(pushed);
  return end->size();
}

TEST(ShortestEnd, OfGrammarsIsTheShortest) {
  const auto vocabulary = small_vocabulary();
  for (const Case& one : context_free()) {
    SCOPED_TRACE(one.text);
    const auto constraint = compile_constraint({one.kind, one.text}, vocabulary);
    for (unsigned seed = 0; seed < 6; ++seed) {
      walk(*constraint, seed, 60, [](Machine& machine) {
        const std::size_t length = accepted_end(machine);
        EXPECT_EQ(length == 0, machine.accepts());
        if (length > 0) {
          EXPECT_FALSE(machine.shortest_end(length - 1));
        }
        // No byte comes nearer to the end by more than itself: so no text gets there sooner.
        const ByteSet next = machine.next_bytes();
        for (unsigned byte = 0; byte < 256; ++byte) {
          if (!next.test(byte)) continue;
          ASSERT_TRUE(machine.push(static_cast<std::uint8_t>(byte)));
          const auto end = machine.shortest_end(1U << 20U);
          EXPECT_TRUE(end && end->size() + 1 >= length) << "byte " << byte;
          machine.pop(1);
        }
      });
    }
  }
}

TEST(ShortestEnd, OfParsersIsAccepted) {
  const auto vocabulary = small_vocabulary();
  std::size_t grammars = 0;
  for (const Case& one : parsers()) {
    SCOPED_TRACE(one.text);
    ++grammars;
    const auto constraint = compile_constraint({one.kind, one.text}, vocabulary);
    for (unsigned seed = 0; seed < 6; ++seed) {
      walk(*constraint, seed, 120,
           [](Machine& machine) { EXPECT_EQ(accepted_end(machine) == 0, machine.accepts()); });
    }
  }
  EXPECT_GT(grammars, 1U);
}

TEST(ShortestEnd, OfParsersIsShort) {
  const auto vocabulary = small_vocabulary();
  struct Expected {
    std::string text;
    std::size_t length;
  };
  const auto declarations = compile_constraint({Kind::kYacc, parsers().back().text}, vocabulary);
  for (const Expected& one : std::vector<Expected>{{"", 6},                     // int a;
                                                   {"int", 3},                  // " a;"
                                                   {"const ", 6},               // int a;
                                                   {"int x[", 3},               // 0];
                                                   {"struct s{struct t{", 12},  // int a;}a;}a;
                                                   {"int x;", 0}}) {
    const auto machine = declarations->start();
    for (const char c : one.text) ASSERT_TRUE(machine->push(static_cast<std::uint8_t>(c)));
    EXPECT_EQ(accepted_end(*machine), one.length) << one.text;
  }
}

TEST(ShortestEnd, DeepNestingIsClosed) {
  const auto vocabulary = small_vocabulary();
  const std::vector<Case> cases = {
      {Kind::kGbnf, "root ::= \"(\" root \")\" | \"x\""},
      {Kind::kYacc, "%%\ns: \"x\" | \"(\" s \")\" ;"},
      {Kind::kLark, "start: \"(\" start \")\" | \"x\""},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.text);
    const auto machine = compile_constraint({one.kind, one.text}, vocabulary)->start();
    for (int i = 0; i < 700; ++i) ASSERT_TRUE(machine->push('('));
    EXPECT_EQ(machine->shortest_end(701), "x" + std::string(700, ')'));
    EXPECT_FALSE(machine->shortest_end(700));
  }
}

TEST(ConstraintState, EndingsAreTokens) {
  const auto vocabulary = small_vocabulary();
  const auto tokens_of = [&](Kind kind, const std::string& text, const std::string& begun,
                             std::size_t most) -> std::optional<std::vector<std::string>> {
    ConstraintState state(compile_constraint({kind, text}, vocabulary));
    for (const char c : begun) {
      EXPECT_TRUE(state.advance(static_cast<TokenId>(static_cast<unsigned char>(c)) + 1));
    }
    const auto tokens = state.ending_tokens(most);
    if (!tokens) return std::nullopt;
    std::vector<std::string> out;
    for (const TokenId token : *tokens) {
      EXPECT_TRUE(state.advance(token));
      out.push_back(vocabulary->text(token));
    }
    EXPECT_TRUE(state.ended() || state.complete());
    return out;
  };
  using Texts = std::vector<std::string>;
  // As few tokens as will do, though the longest at first would make more of them.
  EXPECT_EQ(tokens_of(Kind::kRegex, "\\{\"name\":|q{30}", "", 9), (Texts{"{", "\"name\":"}));
  EXPECT_EQ(tokens_of(Kind::kRegex, "true|[0-9]{9}", "", 9), Texts{"true"});
  // More may follow: an end token says that nothing does.
  EXPECT_EQ(tokens_of(Kind::kRegex, "[0-9]+", "1", 9), Texts{""});
  EXPECT_EQ(tokens_of(Kind::kRegex, "[0-9]+", "1", 0), std::nullopt);
  EXPECT_EQ(tokens_of(Kind::kRegex, "ab?b?b?", "", 9), (Texts{"a", ""}));
  EXPECT_EQ(tokens_of(Kind::kRegex, "ab", "ab", 0), Texts{});
  EXPECT_EQ(tokens_of(Kind::kRegex, "q{5}", "q", 4), (Texts{"q", "q", "q", "q"}));
  EXPECT_EQ(tokens_of(Kind::kRegex, "q{5}", "q", 3), std::nullopt);
  EXPECT_EQ(tokens_of(Kind::kJsonSchema, R"({"type":"array","items":{"type":"array"}})", "[[", 9),
            (Texts{"]", "]"}));
}

}  // namespace
}  // namespace mistral::grammar
