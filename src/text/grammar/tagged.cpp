#include "text/grammar/tagged.h"

#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/json.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/regex.h"

namespace mistral::grammar {
namespace {

constexpr std::size_t kMostTags = 256;
constexpr std::uint64_t kMostParts = 1000;

[[noreturn]] void fail(const std::string& what) {
  throw Error(ErrorKind::kInvalidArgument, "tagged: " + what);
}

struct Tag {
  std::string begin = {};
  std::string end = {};
  std::string schema = {};
};

std::string text_field(const Json& object, const char* name, const std::string& path) {
  const auto found = object.find(name);
  if (found == object.end()) return {};
  if (!found->is_string()) fail(path + name + ": expected a string");
  return found->get<std::string>();
}

std::uint64_t count_field(const Json& object, const char* name, std::uint64_t otherwise) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return otherwise;
  if (!found->is_number_unsigned() || found->get<std::uint64_t>() > kMostParts) {
    fail(fmt::format("{}: expected a number from 0 to {}", name, kMostParts));
  }
  return found->get<std::uint64_t>();
}

std::vector<Tag> read_tags(const Json& document) {
  const auto tags = document.find("tags");
  if (tags == document.end() || !tags->is_array() || tags->empty() || tags->size() > kMostTags) {
    fail(fmt::format("tags: expected a list of 1 to {} objects", kMostTags));
  }
  std::vector<Tag> out = {};
  for (std::size_t i = 0; i < tags->size(); ++i) {
    const Json& tag = (*tags)[i];
    const std::string path = fmt::format("tags[{}].", i);
    if (!tag.is_object()) fail(fmt::format("tags[{}]: expected an object", i));
    Tag made{.begin = text_field(tag, "begin", path), .end = text_field(tag, "end", path)};
    const auto schema = tag.find("schema");
    made.schema = schema == tag.end() ? "true" : schema->dump();
    out.push_back(std::move(made));
  }
  return out;
}

class Compiler {
 public:
  Compiler(GrammarBuilder& builder, const std::vector<Tag>& tags)
      : builder_(builder), budget_(builder.budget()), tags_(tags) {}

  Expression compile(bool free_text, const std::string& separator, std::uint64_t least,
                     std::optional<std::uint64_t> most) {
    for (std::size_t i = 0; i < tags_.size(); ++i) {
      try {
        schemas_.push_back(json_schema_expression(tags_[i].schema, builder_));
      } catch (Error& error) {
        throw error.add_context(fmt::format("tagged: tags[{}].schema", i));
      }
    }
    const auto low = static_cast<std::uint32_t>(least);
    const std::uint32_t high = most ? static_cast<std::uint32_t>(*most) : Expression::kUnbounded;
    if (free_text) return free(low, high);
    Expression one = parts(/*free_text=*/false);
    if (most && *most == 0) return sequence({});
    std::vector<Expression> again = {};
    again.push_back(literal(separator));
    again.push_back(one);
    std::vector<Expression> all = {};
    all.push_back(std::move(one));
    all.push_back(repeat(sequence(std::move(again)), low > 0 ? low - 1 : 0,
                         most ? high - 1 : Expression::kUnbounded));
    Expression some = sequence(std::move(all));
    return low > 0 ? std::move(some) : repeat(std::move(some), 0, 1);
  }

 private:
  Expression literal(const std::string& text) { return regular(literal_dfa(text, budget_)); }

  // Texts in which none of the beginnings stands, and texts that end with the first of them.
  Expression free(std::uint32_t least, std::uint32_t most) {
    const Dfa any = regex_dfa("(?s).*", {}, budget_);
    Dfa with = {};
    for (const Tag& tag : tags_) {
      if (tag.begin.empty()) fail("tags: with free_text, each needs a text that it begins with");
      Dfa one = around(tag.begin, any, any);
      with = with.empty() ? std::move(one) : unite(with, one, budget_);
    }
    std::vector<Expression> all = {};
    // Behind a beginning anything may follow, but no beginning may stand before it.
    const Dfa too_long = join(with, regex_dfa("(?s).+", {}, budget_));
    before_.clear();
    for (const Tag& tag : tags_) {
      before_.push_back(
          subtract(around(tag.begin, any, literal_dfa("", budget_)), too_long, budget_));
    }
    all.push_back(repeat(parts(/*free_text=*/true), least, most));
    all.push_back(regular(subtract(any, with, budget_)));
    return sequence(std::move(all));
  }

  Dfa around(const std::string& text, const Dfa& before, const Dfa& after) {
    Nfa nfa(budget_);
    const StateId start = nfa.add_state();
    const StateId from = nfa.add_state();
    const StateId to = nfa.add_state();
    const StateId end = nfa.add_state();
    embed(before, nfa, start, from);
    embed(literal_dfa(text, budget_), nfa, from, to);
    embed(after, nfa, to, end);
    return determinise(nfa, start, {end}, budget_);
  }
  Dfa join(const Dfa& a, const Dfa& b) {
    Nfa nfa(budget_);
    const StateId start = nfa.add_state();
    const StateId middle = nfa.add_state();
    const StateId end = nfa.add_state();
    embed(a, nfa, start, middle);
    embed(b, nfa, middle, end);
    return determinise(nfa, start, {end}, budget_);
  }

  Expression parts(bool free_text) {
    std::vector<Expression> ways = {};
    for (std::size_t i = 0; i < tags_.size(); ++i) {
      std::vector<Expression> part = {};
      part.push_back(free_text ? regular(before_[i]) : literal(tags_[i].begin));
      part.push_back(schemas_[i]);
      part.push_back(literal(tags_[i].end));
      ways.push_back(sequence(std::move(part)));
    }
    return choice(std::move(ways));
  }

  GrammarBuilder& builder_;
  Budget& budget_;
  const std::vector<Tag>& tags_;
  std::vector<Expression> schemas_;
  std::vector<Dfa> before_;
};

}  // namespace

std::shared_ptr<const Grammar> compile_tagged(std::string_view text,
                                              const ConstraintVocabulary& vocabulary,
                                              Budget& budget) {
  budget.check_text(text.size());
  const Json document = parse_schema_text(text, budget);
  if (!document.is_object()) fail("expected an object");
  const std::vector<Tag> tags = read_tags(document);
  const auto free_text = document.find("free_text");
  if (free_text != document.end() && !free_text->is_boolean()) {
    fail("free_text: expected true or false");
  }
  const std::uint64_t least = count_field(document, "least", 0);
  const std::uint64_t none = kMostParts + 1;
  const std::uint64_t most = count_field(document, "most", none);
  if (least > most) fail("least: it is more than most");
  GrammarBuilder builder(vocabulary, budget, /*fold=*/false);
  const std::uint32_t start = builder.add_rule();
  builder.set_body(start, Compiler(builder, tags)
                              .compile(free_text != document.end() && free_text->get<bool>(),
                                       text_field(document, "separator", ""), least,
                                       most == none ? std::nullopt : std::optional(most)));
  return builder.build(start);
}

}  // namespace mistral::grammar
