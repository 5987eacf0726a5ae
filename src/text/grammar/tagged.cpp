#include "text/grammar/tagged.h"

#include <algorithm>
#include <string>
#include <string_view>
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
  bool at_start = false;
};

struct Description {
  std::vector<Tag> tags = {};
  std::vector<std::string> triggers = {};
  std::string open = {};
  std::string close = {};
  std::string separator = {};
  bool free_text = false;
  std::uint32_t least = 0;
  std::uint32_t most = Expression::kUnbounded;
};

std::string text_field(const Json& object, const char* name, const std::string& path) {
  const auto found = object.find(name);
  if (found == object.end()) return {};
  if (!found->is_string()) fail(path + name + ": expected a string");
  return found->get<std::string>();
}

bool flag_field(const Json& object, const char* name, const std::string& path) {
  const auto found = object.find(name);
  if (found == object.end()) return false;
  if (!found->is_boolean()) fail(path + name + ": expected true or false");
  return found->get<bool>();
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
    made.at_start = flag_field(tag, "at_start", path);
    const auto schema = tag.find("schema");
    made.schema = schema == tag.end() ? "true" : schema->dump();
    out.push_back(std::move(made));
  }
  return out;
}

class Compiler {
 public:
  Compiler(GrammarBuilder& builder, const Description& from)
      : builder_(builder), budget_(builder.budget()), from_(from) {}

  Expression compile() {
    for (std::size_t i = 0; i < from_.tags.size(); ++i) {
      try {
        schemas_.push_back(json_schema_expression(from_.tags[i].schema, builder_));
      } catch (Error& error) {
        throw error.add_context(fmt::format("tagged: tags[{}].schema", i));
      }
    }
    if (from_.free_text) return free();
    if (from_.open.empty()) return list(from_.least, from_.most);
    Expression one = sequence_of(literal(from_.open), list(1, from_.most), literal(from_.close));
    return from_.least > 0 ? std::move(one) : repeat(std::move(one), 0, 1);
  }

 private:
  Expression literal(std::string_view text) {
    return text.empty() ? sequence({}) : regular(literal_dfa(text, budget_));
  }

  template <typename... Parts>
  static Expression sequence_of(Parts... parts) {
    std::vector<Expression> all = {};
    (all.push_back(std::move(parts)), ...);
    return sequence(std::move(all));
  }

  // Tag number `i`, of whose beginning `written` bytes stand there already.
  Expression tag(std::size_t i, std::size_t written = 0) {
    const Tag& one = from_.tags[i];
    return sequence_of(literal(std::string_view(one.begin).substr(written)), schemas_[i],
                       literal(one.end));
  }

  Expression any_tag() {
    std::vector<Expression> ways = {};
    for (std::size_t i = 0; i < from_.tags.size(); ++i) ways.push_back(tag(i));
    return choice(std::move(ways));
  }

  // Tags with the separator between them.
  Expression list(std::uint32_t least, std::uint32_t most) {
    if (most == 0) return sequence({});
    Expression again = repeat(sequence_of(literal(from_.separator), any_tag()),
                              least > 0 ? least - 1 : 0, fewer(most));
    Expression some = sequence_of(any_tag(), std::move(again));
    return least > 0 ? std::move(some) : repeat(std::move(some), 0, 1);
  }

  static std::uint32_t fewer(std::uint32_t most) {
    return most == Expression::kUnbounded ? most : most - 1;
  }

  // Texts in which no trigger stands, and texts that end with the first of them.
  struct FreeText {
    Dfa without = {};
    std::vector<Dfa> up_to = {};  // each of the triggers
  };

  Expression free() {
    find_triggers();
    const Dfa any = regex_dfa("(?s).*", {}, budget_);
    const Dfa nothing = literal_dfa("", budget_);
    Dfa with = {};
    for (const std::string& trigger : triggers_) add(with, around(trigger, any, any));
    // Behind a trigger anything may follow, but no trigger may stand before it.
    const Dfa too_long = join(with, regex_dfa("(?s).+", {}, budget_));
    FreeText later{.without = subtract(any, with, budget_)};
    for (const std::string& trigger : triggers_) {
      later.up_to.push_back(subtract(around(trigger, any, nothing), too_long, budget_));
    }
    if (starts_.empty()) return parts(later, from_.least, from_.most);
    Dfa taken = {};
    for (const std::size_t i : starts_) add(taken, around(from_.tags[i].begin, nothing, any));
    FreeText first{.without = subtract(later.without, taken, budget_)};
    for (const Dfa& dfa : later.up_to) first.up_to.push_back(subtract(dfa, taken, budget_));
    std::vector<Expression> ways = {};
    if (from_.least == 0) ways.push_back(regular(first.without));
    if (from_.most > 0) {
      const std::uint32_t least = from_.least > 0 ? from_.least - 1 : 0;
      std::vector<Expression> begins = {};
      for (const std::size_t i : starts_) begins.push_back(tag(i));
      begins.push_back(part(first));
      ways.push_back(
          sequence_of(choice(std::move(begins)), parts(later, least, fewer(from_.most))));
    }
    return choice(std::move(ways));
  }

  void add(Dfa& to, Dfa dfa) { to = to.empty() ? std::move(dfa) : unite(to, dfa, budget_); }

  // Which tags follow each trigger, and which begin the answer.
  void find_triggers() {
    triggers_ = from_.triggers;
    const bool own = triggers_.empty() && from_.open.empty();
    if (triggers_.empty() && !from_.open.empty()) triggers_.push_back(from_.open);
    for (std::size_t i = 0; i < from_.tags.size(); ++i) {
      const Tag& one = from_.tags[i];
      const std::string& begin = from_.open.empty() || one.at_start ? one.begin : from_.open;
      if (begin.empty()) fail("tags: with free_text, each needs a text that it begins with");
      if (one.at_start) {
        starts_.push_back(i);
        continue;
      }
      if (own && std::find(triggers_.begin(), triggers_.end(), begin) == triggers_.end()) {
        triggers_.push_back(begin);
      }
      const auto found =
          std::find_if(triggers_.begin(), triggers_.end(),
                       [&](const std::string& trigger) { return begin.starts_with(trigger); });
      if (found == triggers_.end()) {
        fail(fmt::format("tags[{}].begin: it starts with no trigger", i));
      }
      follows_.resize(triggers_.size());
      follows_[static_cast<std::size_t>(found - triggers_.begin())].push_back(i);
    }
    follows_.resize(triggers_.size());
  }

  Expression parts(const FreeText& text, std::uint32_t least, std::uint32_t most) {
    return sequence_of(repeat(part(text), least, most), regular(text.without));
  }

  // Free text up to a trigger, and what follows that.
  Expression part(const FreeText& text) {
    std::vector<Expression> ways = {};
    for (std::size_t t = 0; t < triggers_.size(); ++t) {
      if (follows_[t].empty()) continue;  // one that is only forbidden
      const std::size_t written = triggers_[t].size();
      std::vector<Expression> tags = {};
      if (!from_.open.empty()) {
        tags.push_back(sequence_of(literal(std::string_view(from_.open).substr(written)),
                                   list(1, from_.most), literal(from_.close)));
      } else {
        for (const std::size_t i : follows_[t]) tags.push_back(tag(i, written));
      }
      ways.push_back(sequence_of(regular(text.up_to[t]), choice(std::move(tags))));
    }
    return choice(std::move(ways));
  }

  Dfa around(const std::string& text, const Dfa& before, const Dfa& after) {
    return join(join(before, literal_dfa(text, budget_)), after);
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

  GrammarBuilder& builder_;
  Budget& budget_;
  const Description& from_;
  std::vector<Expression> schemas_;
  std::vector<std::string> triggers_;
  std::vector<std::vector<std::size_t>> follows_;  // tags, of each trigger
  std::vector<std::size_t> starts_;                // tags at the start
};

}  // namespace

std::shared_ptr<const Grammar> compile_tagged(std::string_view text,
                                              const ConstraintVocabulary& vocabulary,
                                              Budget& budget) {
  budget.check_text(text.size());
  const Json document = parse_schema_text(text, budget);
  if (!document.is_object()) fail("expected an object");
  Description from{.tags = read_tags(document),
                   .open = text_field(document, "open", ""),
                   .close = text_field(document, "close", ""),
                   .separator = text_field(document, "separator", ""),
                   .free_text = flag_field(document, "free_text", "")};
  if (const auto triggers = document.find("triggers"); triggers != document.end()) {
    if (!triggers->is_array() || triggers->size() > kMostTags) {
      fail(fmt::format("triggers: expected a list of at most {} strings", kMostTags));
    }
    for (const Json& trigger : *triggers) {
      if (!trigger.is_string() || trigger.get_ref<const std::string&>().empty()) {
        fail("triggers: expected texts that are not empty");
      }
      from.triggers.push_back(trigger.get<std::string>());
    }
  }
  const std::uint64_t least = count_field(document, "least", 0);
  const std::uint64_t none = kMostParts + 1;
  const std::uint64_t most = count_field(document, "most", none);
  if (least > most) fail("least: it is more than most");
  from.least = static_cast<std::uint32_t>(least);
  if (most != none) from.most = static_cast<std::uint32_t>(most);
  GrammarBuilder builder(vocabulary, budget, /*fold=*/false);
  const std::uint32_t start = builder.add_rule();
  builder.set_body(start, Compiler(builder, from).compile());
  return builder.build(start);
}

}  // namespace mistral::grammar
