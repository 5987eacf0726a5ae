// The verdicts of golden/grammar, and masks that agree with them.
#include <map>

#include "core/json.h"
#include "golden_dir.h"
#include "text/grammar/constraint.h"
#include "text/grammar/verdicts.h"

namespace mistral::grammar {
namespace {

using Kind = Constraint::Kind;

std::vector<Json> lines_of(const char* name) {
  std::ifstream file(test::golden_dir() / "grammar" / name);
  EXPECT_TRUE(file.is_open()) << name;
  std::vector<Json> out;
  for (std::string line; std::getline(file, line);) out.push_back(Json::parse(line));
  EXPECT_FALSE(out.empty()) << name;
  return out;
}

std::string text_of(const char* folder, const std::string& name) {
  std::ifstream file(test::golden_dir() / "grammar" / folder / name, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

// Compiles each text once.
class Constraints {
 public:
  std::shared_ptr<const CompiledConstraint> of(Kind kind, const std::string& text) {
    auto& constraint = made_[text];
    if (!constraint) constraint = compile_constraint({.kind = kind, .text = text}, vocabulary_);
    return constraint;
  }

 private:
  std::shared_ptr<const ConstraintVocabulary> vocabulary_ = small_vocabulary();
  std::map<std::string, std::shared_ptr<const CompiledConstraint>> made_;
};

TEST(GrammarGolden, Regexes) {
  Constraints constraints;
  for (const Json& entry : lines_of("regex.jsonl")) {
    const std::string regex = entry.at("regex");
    SCOPED_TRACE(regex);
    const auto constraint = constraints.of(Kind::kRegex, regex);
    for (const Json& text : entry.at("accept")) {
      const std::string accept = text;
      EXPECT_TRUE(accepted(*constraint, accept)) << accept;
    }
    for (const Json& text : entry.at("reject")) {
      const std::string reject = text;
      EXPECT_FALSE(accepted(*constraint, reject)) << reject;
    }
    if (!entry.at("accept").empty()) {
      EXPECT_EQ(mask_difference(constraint, entry.at("accept").front().get<std::string>()), "");
    }
  }
}

TEST(GrammarGolden, PrefixesOfRegexes) {
  Constraints constraints;
  for (const Json& entry : lines_of("regex_prefix.jsonl")) {
    const std::string regex = entry.at("regex");
    const std::string prefix = entry.at("prefix");
    EXPECT_EQ(viable(*constraints.of(Kind::kRegex, regex), prefix), entry.at("viable").get<bool>())
        << regex << " and " << prefix;
  }
}

TEST(GrammarGolden, YaccGrammars) {
  Constraints constraints;
  std::map<std::string, int> masks_checked;
  for (const Json& entry : lines_of("yacc_cases.jsonl")) {
    const std::string name = entry.at("grammar");
    const std::string text = entry.at("text");
    const auto constraint = constraints.of(Kind::kYacc, text_of("yacc", name));
    const bool accept = entry.at("accept");
    EXPECT_EQ(accepted(*constraint, text), accept) << name << " and " << text;
    if (accept && masks_checked[name]++ < 3) {
      EXPECT_EQ(mask_difference(constraint, text), "") << name;
    }
  }
}

TEST(GrammarGolden, PrefixesOfYaccGrammars) {
  Constraints constraints;
  for (const Json& entry : lines_of("yacc_prefix.jsonl")) {
    const std::string name = entry.at("grammar");
    const std::string prefix = entry.at("prefix");
    EXPECT_EQ(viable(*constraints.of(Kind::kYacc, text_of("yacc", name)), prefix),
              entry.at("viable").get<bool>())
        << name << " and " << prefix;
  }
}

// No invalid instance is accepted, whatever the schema; of the valid ones a few are not, for
// reasons that docs/constraints.md lists.
TEST(GrammarGolden, JsonSchemas) {
  Constraints constraints;
  std::size_t valid = 0;
  std::size_t rejected = 0;
  for (const Json& entry : lines_of("json_schema.jsonl")) {
    const std::string schema = entry.at("schema").dump();
    SCOPED_TRACE(schema);
    const auto constraint = constraints.of(Kind::kJsonSchema, schema);
    std::string longest;
    for (const Json& text : entry.at("valid")) {
      const std::string instance = text;
      ++valid;
      if (accepted(*constraint, instance)) {
        if (instance.size() > longest.size() && instance.size() < 80) longest = instance;
        continue;
      }
      ++rejected;
      // The narrowings that the data hold: integers as fractions, odd addresses.
      EXPECT_TRUE(instance.find(".0") != std::string::npos || instance.find('@') < instance.size())
          << instance;
    }
    EXPECT_EQ(mask_difference(constraint, longest), "");
    for (const char* field : {"invalid", "malformed"}) {
      for (const Json& text : entry.value(field, Json::array())) {
        const std::string instance = text;
        EXPECT_FALSE(accepted(*constraint, instance)) << field << ": " << instance;
      }
    }
  }
  EXPECT_GT(valid, 1000U);
  EXPECT_LE(rejected * 100, valid * 3) << rejected << " of " << valid;
  RecordProperty("rejected", static_cast<int>(rejected));
}

}  // namespace
}  // namespace mistral::grammar
