#include "text/grammar/gbnf.h"

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/error.h"
#include "text/grammar/text_place.h"

namespace mistral::grammar {
namespace {

constexpr std::uint32_t kMostRepeats = 100'000;

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_name(char c) {
  return is_name_start(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

class Parser {
 public:
  Parser(std::string_view text, GrammarBuilder& builder)
      : text_(text), builder_(builder), budget_(builder.budget()) {}

  // Returns the first rule.
  std::uint32_t parse() {
    for (skip(true); at_ < text_.size(); skip(true)) rule();
    for (const auto& [name, known] : rules_) {
      if (!known.defined) fail(fmt::format("the rule '{}' is not defined", name), known.used_at);
    }
    if (!first_) fail("there is no rule", 0);
    const auto root = rules_.find("root");
    return root == rules_.end() ? *first_ : root->second.index;
  }

 private:
  struct Rule {
    std::uint32_t index = 0;
    std::size_t used_at = 0;
    bool defined = false;
  };

  [[noreturn]] void fail(std::string_view what, std::size_t at) const {
    throw make_error(ErrorKind::kInvalidArgument, "grammar: {}: {}", place_in(text_, at), what);
  }
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  // Blanks and comments. A rule goes on in the next line unless a new one begins there.
  void skip(bool lines) {
    while (at_ < text_.size()) {
      const char c = peek();
      if (c == ' ' || c == '\t' || c == '\r' || (c == '\n' && (lines || !rule_begins(at_ + 1)))) {
        ++at_;
      } else if (c == '#' || text_.substr(at_).starts_with("//")) {
        while (at_ < text_.size() && peek() != '\n') ++at_;
      } else if (take("(*") || take("/*")) {
        const std::string_view end = text_[at_ - 2] == '(' ? "*)" : "*/";
        const std::size_t close = text_.find(end, at_);
        if (close == std::string_view::npos) fail("the comment has no end", at_ - 2);
        at_ = close + 2;
      } else {
        return;
      }
    }
  }
  [[nodiscard]] bool rule_begins(std::size_t at) const {
    at = text_.find_first_not_of(" \t\r\n", at);
    if (at == std::string_view::npos || !is_name_start(text_[at])) return false;
    while (at < text_.size() && is_name(text_[at])) ++at;
    at = text_.find_first_not_of(" \t", at);
    return at != std::string_view::npos && text_.substr(at).starts_with("::=");
  }

  std::string_view name() {
    const std::size_t start = at_;
    if (!is_name_start(peek())) fail("expected the name of a rule", at_);
    while (at_ < text_.size() && is_name(text_[at_])) ++at_;
    return text_.substr(start, at_ - start);
  }

  Rule& rule_named(std::string_view name, std::size_t at) {
    const auto [found, added] = rules_.try_emplace(std::string(name));
    if (added) found->second = {.index = builder_.add_rule(), .used_at = at};
    return found->second;
  }

  void rule() {
    const std::size_t start = at_;
    const std::string_view rule_name = name();
    skip(false);
    if (!take("::=")) fail("expected '::=' after the name of the rule", at_);
    Rule& known = rule_named(rule_name, start);
    if (known.defined) fail(fmt::format("the rule '{}' is defined twice", rule_name), start);
    known.defined = true;
    const std::uint32_t index = known.index;
    if (!first_) first_ = index;
    builder_.set_body(index, alternatives());
    std::ignore = take(";");
    const std::size_t end = at_;
    skip(false);
    if (at_ < text_.size() && peek() != '\n' && !rule_begins(at_)) {
      fail("expected the end of the rule", end);
    }
  }

  Expression alternatives() {
    if (++depth_ > budget_.limits().nesting) fail("groups nest too deep", at_);
    std::vector<Expression> parts;
    do {
      parts.push_back(items());
    } while (take("|"));
    --depth_;
    return choice(std::move(parts));
  }

  Expression items() {
    std::vector<Expression> parts;
    while (true) {
      skip(false);
      budget_.tick();
      std::optional<Expression> part = item();
      if (!part) break;
      parts.push_back(repeated(std::move(*part)));
      skip(false);
      std::ignore = take(",");  // ISO EBNF
    }
    return sequence(std::move(parts));
  }

  std::optional<Expression> item() {
    const std::size_t start = at_;
    const char c = peek();
    if (c == '"' || c == '\'') return regular(literal_dfa(quoted(), budget_));
    if (c == '[') return regular(characters());
    if (c == '.') {
      ++at_;
      return regular(one_of(CodePointSet::all()));
    }
    if (take("(")) {
      Expression inner = alternatives();
      skip(true);
      if (!take(")")) fail("the group has no end", start);
      return inner;
    }
    if (!is_name_start(c)) return std::nullopt;
    if (rule_begins(at_)) return std::nullopt;
    return rule_reference(rule_named(name(), start).index);
  }

  Expression repeated(Expression part) {
    int levels = 0;
    while (true) {
      const std::size_t start = at_;
      std::uint32_t least = 0;
      std::uint32_t most = Expression::kUnbounded;
      if (take("*")) {
      } else if (take("+")) {
        least = 1;
      } else if (take("?")) {
        most = 1;
      } else if (take("{")) {
        skip(false);
        least = number().value_or(0);
        skip(false);
        most = least;
        if (take(",")) {
          skip(false);
          most = number().value_or(Expression::kUnbounded);
          skip(false);
        }
        if (!take("}")) fail("expected '}' after the count", at_);
        if (least > most) fail("the counts are in the wrong order", start);
      } else {
        return part;
      }
      if (++levels > budget_.limits().nesting) fail("too many repetitions of repetitions", start);
      part = repeat(std::move(part), least, most);
    }
  }

  std::optional<std::uint32_t> number() {
    const std::size_t start = at_;
    std::uint32_t value = 0;
    for (; peek() >= '0' && peek() <= '9'; ++at_) {
      value = value * 10 + static_cast<std::uint32_t>(peek() - '0');
      if (value > kMostRepeats) fail(fmt::format("more than {} repetitions", kMostRepeats), start);
    }
    if (at_ == start) return std::nullopt;
    return value;
  }

  std::uint32_t character() {
    std::uint32_t c = 0;
    const std::size_t start = at_;
    if (!take("\\")) {
      if (!read_utf8(text_, at_, c)) fail("the text is not UTF-8", at_);
      return c;
    }
    const char escape = peek();
    ++at_;
    switch (escape) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'x':
        return hex(2, start);
      case 'u':
        return hex(4, start);
      case 'U':
        return hex(8, start);
      default:
        break;
    }
    constexpr std::string_view kPlain = "\\\"'[]-^/";
    if (at_ > text_.size() || kPlain.find(escape) == std::string_view::npos) {
      fail("unknown escape", start);
    }
    return static_cast<unsigned char>(escape);
  }

  std::uint32_t hex(int digits, std::size_t start) {
    std::uint32_t value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const char c = peek();
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) fail("expected a hexadecimal digit", at_);
      value = value * 16 + static_cast<std::uint32_t>(digit);
    }
    if (value > kMaxCodePoint || (value >= 0xD800 && value <= 0xDFFF)) {
      fail("there is no such character", start);
    }
    return value;
  }

  std::string quoted() {
    const std::size_t start = at_;
    const char quote = text_[at_++];
    std::string out;
    while (peek() != quote) {
      if (at_ >= text_.size() || peek() == '\n') fail("the text in quotes has no end", start);
      append_utf8(character(), out);
    }
    ++at_;
    return out;
  }

  Dfa characters() {
    const std::size_t start = at_++;
    const bool negative = take("^");
    CodePointSet set;
    while (peek() != ']') {
      if (at_ >= text_.size()) fail("the class has no end", start);
      const std::size_t from = at_;
      const std::uint32_t low = character();
      std::uint32_t high = low;
      if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        high = character();
      }
      if (low > high) fail("the ends of the range are in the wrong order", from);
      set.add(low, high);
    }
    ++at_;
    return one_of(negative ? set.complement() : set);
  }

  Dfa one_of(const CodePointSet& set) {
    Nfa nfa(budget_);
    const StateId from = nfa.add_state();
    const StateId to = nfa.add_state();
    add_characters(nfa, from, to, set, /*bytes=*/false);
    return determinise(nfa, from, {to}, budget_);
  }

  std::string_view text_;
  GrammarBuilder& builder_;
  Budget& budget_;
  std::size_t at_ = 0;
  int depth_ = 0;
  std::unordered_map<std::string, Rule> rules_;
  std::optional<std::uint32_t> first_;
};

}  // namespace

std::shared_ptr<const Grammar> compile_gbnf(std::string_view text,
                                            const ConstraintVocabulary& vocabulary,
                                            Budget& budget) {
  budget.check_text(text.size());
  GrammarBuilder builder(vocabulary, budget, /*fold=*/true);
  const std::uint32_t start = Parser(text, builder).parse();
  return builder.build(start);
}

}  // namespace mistral::grammar
