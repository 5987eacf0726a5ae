#include "text/grammar/regex_parser.h"

#include <optional>
#include <utility>

#include "core/error.h"
#include "text/grammar/regex_classes.h"
#include "text/grammar/text_place.h"

namespace mistral::grammar {
namespace {

using Kind = RegexNode::Kind;

constexpr std::uint32_t kMostRepeats = 100'000;

struct Flags {
  bool ignore_case = false;
  bool dot_all = false;
  bool verbose = false;
};

class Parser {
 public:
  Parser(std::string_view text, const RegexOptions& options, Budget& budget)
      : text_(text), options_(options), budget_(budget) {
    flags_.ignore_case = options.ignore_case;
    flags_.dot_all = options.dot_all;
  }

  RegexNode parse() {
    RegexNode node = choice();
    if (at_ < text_.size()) fail("there is no group that this ')' ends", at_);
    return node;
  }

 private:
  [[noreturn]] void fail(std::string_view what, std::size_t at) const {
    throw make_error(ErrorKind::kInvalidArgument, "regex: {}: {}", place_in(text_, at), what);
  }
  [[nodiscard]] bool done() const { return at_ >= text_.size(); }
  [[nodiscard]] char peek() const { return done() ? '\0' : text_[at_]; }
  [[nodiscard]] bool next_is(std::string_view word) const {
    return text_.substr(at_).starts_with(word);
  }
  bool take(std::string_view word) {
    if (!next_is(word)) return false;
    at_ += word.size();
    return true;
  }
  std::uint32_t character() {
    if (options_.bytes) return static_cast<unsigned char>(text_[at_++]);
    std::uint32_t c = 0;
    if (!read_utf8(text_, at_, c)) fail("the text is not UTF-8", at_);
    return c;
  }
  [[nodiscard]] std::uint32_t highest() const { return options_.bytes ? 0xFF : kMaxCodePoint; }

  void skip_blanks() {
    if (!flags_.verbose) return;
    while (!done()) {
      const char c = peek();
      if (c == ' ' || (c >= '\t' && c <= '\r')) {
        ++at_;
      } else if (c == '#') {
        while (!done() && peek() != '\n') ++at_;
      } else {
        return;
      }
    }
  }

  RegexNode choice() {
    if (++depth_ > budget_.limits().nesting) {
      fail(fmt::format("groups nest deeper than {} levels", budget_.limits().nesting), at_);
    }
    const Flags outer = flags_;
    RegexNode node{.kind = Kind::kChoice};
    do {
      node.children.push_back(sequence());
    } while (take("|"));
    flags_ = outer;
    --depth_;
    if (node.children.size() == 1) return std::move(node.children.front());
    return node;
  }

  RegexNode sequence() {
    RegexNode node{.kind = Kind::kSequence};
    for (skip_blanks(); !done() && peek() != '|' && peek() != ')'; skip_blanks()) {
      budget_.tick();
      std::optional<RegexNode> part = atom();
      if (part) node.children.push_back(repeated(std::move(*part)));
    }
    if (node.children.size() == 1) return std::move(node.children.front());
    if (node.children.empty()) node.kind = Kind::kEmpty;
    return node;
  }

  RegexNode repeated(RegexNode node) {
    int levels = 0;
    while (true) {
      skip_blanks();
      std::uint32_t least = 0;
      std::uint32_t most = RegexNode::kUnbounded;
      const std::size_t start = at_;
      if (take("*")) {
      } else if (take("+")) {
        least = 1;
      } else if (take("?")) {
        most = 1;
      } else if (peek() == '{' && (!options_.ecma || counts_follow())) {
        counts(least, most);
      } else {
        return node;
      }
      std::ignore = take("?");  // lazy
      if (++levels > budget_.limits().nesting) fail("too many repetitions of repetitions", start);
      RegexNode repeat{.kind = Kind::kRepeat, .least = least, .most = most};
      repeat.children.push_back(std::move(node));
      node = std::move(repeat);
    }
  }

  // Whether the brace here begins a count: {2}, {2,}, {,3} or {2,3}.
  [[nodiscard]] bool counts_follow() const {
    const std::size_t end = text_.find_first_not_of("0123456789,", at_ + 1);
    return end != std::string_view::npos && text_[end] == '}' && end > at_ + 1;
  }

  void counts(std::uint32_t& least, std::uint32_t& most) {
    const std::size_t start = at_++;
    const auto low = number();
    if (!low && peek() != ',') fail("expected a count after '{'", start);
    least = low.value_or(0);
    most = least;
    if (take(",")) most = number().value_or(RegexNode::kUnbounded);
    if (!take("}")) fail("expected '}' after the count", at_);
    if (least > most) fail("the counts are in the wrong order", start);
  }

  std::optional<std::uint32_t> number() {
    const std::size_t start = at_;
    std::uint32_t value = 0;
    while (!done() && peek() >= '0' && peek() <= '9') {
      value = value * 10 + static_cast<std::uint32_t>(peek() - '0');
      if (value > kMostRepeats) fail(fmt::format("more than {} repetitions", kMostRepeats), start);
      ++at_;
    }
    if (at_ == start) return std::nullopt;
    return value;
  }

  // Nothing for flags that hold from here on.
  std::optional<RegexNode> atom() {
    const std::size_t start = at_;
    switch (peek()) {
      case '(':
        ++at_;
        return group(start);
      case '[':
        ++at_;
        return class_node(bracket(start));
      case '.': {
        ++at_;
        CodePointSet set;
        if (!flags_.dot_all) set.add('\n');
        return class_node(set.complement(highest()));
      }
      case '^':
        ++at_;
        return RegexNode{.kind = Kind::kStart};
      case '$':
        ++at_;
        return RegexNode{.kind = Kind::kEnd};
      case '\\':
        ++at_;
        return escape(start);
      case '*':
      case '+':
      case '?':
        fail("there is nothing to repeat", at_);
      case '{':
        if (options_.ecma) return letter(character());
        fail("there is nothing to repeat; write \\{ for the character", at_);
      default:
        return letter(character());
    }
  }

  RegexNode letter(std::uint32_t c) const {
    CodePointSet set;
    set.add(c);
    return class_node(set);
  }
  RegexNode class_node(const CodePointSet& set) const {
    RegexNode node{.kind = Kind::kClass};
    node.set = flags_.ignore_case ? fold_case(set, options_.bytes) : set;
    return node;
  }

  std::optional<RegexNode> group(std::size_t start) {
    if (take("?")) {
      if (next_is("=") || next_is("!") || next_is("<=") || next_is("<!")) {
        fail("look-around is not supported", start);
      }
      if (take("P<") || take("<")) {
        while (!done() && peek() != '>') ++at_;
        if (!take(">")) fail("the group's name has no end", start);
      } else {
        const Flags outer = flags_;
        read_flags(start);
        if (take(")")) return std::nullopt;
        std::ignore = take(":");
        RegexNode node = choice();
        flags_ = outer;
        if (!take(")")) fail("the group has no end", start);
        return node;
      }
    }
    RegexNode node = choice();
    if (!take(")")) fail("the group has no end", start);
    return node;
  }

  void read_flags(std::size_t start) {
    bool on = true;
    for (; !done() && peek() != ')' && peek() != ':'; ++at_) {
      switch (peek()) {
        case '-':
          on = false;
          break;
        case 'i':
          flags_.ignore_case = on;
          break;
        case 's':
          flags_.dot_all = on;
          break;
        case 'x':
          flags_.verbose = on;
          break;
        case 'u':  // characters are what the caller says
        case 'U':  // greed does not change the language
        case 'R':
          break;
        case 'm':
          if (on) fail("the flag m (anchors at lines) is not supported", at_);
          break;
        default:
          fail("unknown flag; expected i, s, x, u or U", at_);
      }
    }
    if (done()) fail("the group has no end", start);
  }

  // A class such as \d, or nothing where the escape stands for a single character.
  std::optional<CodePointSet> class_escape() {
    const char c = peek();
    const auto negated = [&](const CodePointSet& set) {
      return set.complement(options_.ecma ? 0x7F : highest());
    };
    switch (c) {
      case 'd':
        ++at_;
        return ascii_digits();
      case 'D':
        ++at_;
        return negated(ascii_digits());
      case 'w':
        ++at_;
        return ascii_word();
      case 'W':
        ++at_;
        return negated(ascii_word());
      case 's':
        ++at_;
        return ascii_space();
      case 'S':
        ++at_;
        return negated(ascii_space());
      case 'p':
      case 'P':
        return property();
      default:
        return std::nullopt;
    }
  }

  CodePointSet property() {
    const std::size_t start = at_;
    bool negative = text_[at_++] == 'P';
    std::string_view name;
    if (take("{")) {
      const std::size_t end = text_.find('}', at_);
      if (end == std::string_view::npos) fail("the class's name has no end", start);
      if (take("^")) negative = !negative;
      name = text_.substr(at_, end - at_);
      at_ = end + 1;
    } else if (!done()) {
      name = text_.substr(at_++, 1);
    }
    if (options_.bytes) fail("classes of Unicode do not exist where characters are bytes", start);
    auto set = unicode_class(name);
    if (!set) fail("unknown class of Unicode characters", start);
    return negative ? set->complement() : *set;
  }

  std::uint32_t hex(std::size_t start) {
    std::uint32_t value = 0;
    std::size_t digits = text_[at_ - 1] == 'x' ? 2 : text_[at_ - 1] == 'u' ? 4 : 8;
    const bool braces = take("{");
    if (braces) digits = 8;
    std::size_t count = 0;
    for (; count < digits && !done() && peek() != '}'; ++count, ++at_) {
      const char c = peek();
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) fail("expected a hexadecimal digit", at_);
      value = value * 16 + static_cast<std::uint32_t>(digit);
    }
    if (count == 0 || (!braces && count < digits) || (braces && !take("}"))) {
      fail("the hexadecimal number is not complete", start);
    }
    if (value > highest() || (value >= 0xD800 && value <= 0xDFFF)) {
      fail("there is no such character", start);
    }
    return value;
  }

  // The character that an escape stands for; at_ is behind the backslash.
  std::uint32_t character_escape(std::size_t start) {
    if (done()) fail("nothing follows the backslash", start);
    const char c = peek();
    if (static_cast<unsigned char>(c) >= 0x80) fail("unknown escape", start);
    ++at_;
    switch (c) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'f':
        return '\f';
      case 'v':
        return '\v';
      case 'a':
        return '\a';
      case '0':
        return 0;
      case 'x':
      case 'u':
      case 'U':
        return hex(start);
      default:
        break;
    }
    if (c >= '1' && c <= '9') fail("back-references are not supported", start);
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      fail(c == 'b' || c == 'B' ? "word boundaries are not supported" : "unknown escape", start);
    }
    return static_cast<unsigned char>(c);
  }

  RegexNode escape(std::size_t start) {
    if (take("A")) return RegexNode{.kind = Kind::kStart};
    if (take("z") || take("Z")) return RegexNode{.kind = Kind::kEnd};
    if (auto set = class_escape()) return class_node(*set);
    return letter(character_escape(start));
  }

  // After the '['. Set operations bind weaker than the union of neighbours.
  CodePointSet bracket(std::size_t start) {
    if (++depth_ > budget_.limits().nesting) fail("classes nest too deep", start);
    const bool negative = take("^");
    CodePointSet result;
    CodePointSet operand;
    char operation = '\0';
    const auto apply = [&] {
      if (flags_.ignore_case) operand = fold_case(operand, options_.bytes);
      if (operation == '&') {
        result = result.intersection(operand);
      } else if (operation == '-') {
        result = result.intersection(operand.complement(highest()));
      } else if (operation == '~') {
        const CodePointSet both = result.intersection(operand);
        result.add(operand);
        result = result.intersection(both.complement(highest()));
      } else {
        result.add(operand);
      }
      operand = {};
    };
    bool first = true;
    while (true) {
      if (done()) fail("the class has no end", start);
      if (!first && take("]")) break;
      const bool operates = next_is("&&") || (!first && (next_is("--") || next_is("~~")));
      if (operates && !options_.ecma) {
        apply();
        operation = peek();
        at_ += 2;
        first = false;
        continue;
      }
      first = false;
      class_item(operand);
    }
    apply();
    --depth_;
    return negative ? result.complement(highest()) : result;
  }

  void class_item(CodePointSet& operand) {
    budget_.tick();
    const std::size_t start = at_;
    if (!options_.ecma && take("[:")) {
      const bool negative = take("^");
      const std::size_t end = text_.find(":]", at_);
      const auto set =
          end == std::string_view::npos ? std::nullopt : posix_class(text_.substr(at_, end - at_));
      if (!set) fail("unknown class; expected a name such as [:alpha:]", start);
      at_ = end + 2;
      operand.add(negative ? set->complement(highest()) : *set);
      return;
    }
    if (!options_.ecma && take("[")) {
      operand.add(bracket(start));
      return;
    }
    std::uint32_t low = 0;
    if (take("\\")) {
      if (auto set = class_escape()) {
        operand.add(*set);
        return;
      }
      if (take("b")) {
        low = '\b';
      } else {
        low = character_escape(start);
      }
    } else {
      low = character();
    }
    std::uint32_t high = low;
    const bool is_range = peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']' &&
                          (options_.ecma || text_[at_ + 1] != '-');
    if (is_range) {
      ++at_;
      const std::size_t end = at_;
      if (take("\\")) {
        if (class_escape()) fail("a class cannot end a range", end);
        high = character_escape(end);
      } else {
        high = character();
      }
      if (low > high) fail("the ends of the range are in the wrong order", start);
    }
    operand.add(low, high);
  }

  std::string_view text_;
  RegexOptions options_;
  Budget& budget_;
  std::size_t at_ = 0;
  Flags flags_;
  int depth_ = 0;
};

}  // namespace

RegexNode parse_regex(std::string_view pattern, const RegexOptions& options, Budget& budget) {
  budget.check_text(pattern.size());
  return Parser(pattern, options, budget).parse();
}

void add_regex(const RegexNode& node, Nfa& nfa, StateId from, StateId to, bool bytes) {
  switch (node.kind) {
    case Kind::kEmpty:
      nfa.add_free_edge(from, to);
      return;
    case Kind::kStart:
      nfa.add_free_edge(from, to, Nfa::When::kAtStart);
      return;
    case Kind::kEnd:
      nfa.add_free_edge(from, to, Nfa::When::kAtEnd);
      return;
    case Kind::kClass:
      add_characters(nfa, from, to, node.set, bytes);
      return;
    case Kind::kChoice:
      for (const RegexNode& child : node.children) add_regex(child, nfa, from, to, bytes);
      return;
    case Kind::kSequence: {
      StateId at = from;
      for (const RegexNode& child : node.children) {
        const StateId next = nfa.add_state();
        add_regex(child, nfa, at, next, bytes);
        at = next;
      }
      nfa.add_free_edge(at, to);
      return;
    }
    case Kind::kRepeat:
      break;
  }
  const RegexNode& body = node.children.front();
  StateId at = nfa.add_state();
  nfa.add_free_edge(from, at);
  for (std::uint32_t i = 0; i < node.least; ++i) {
    const StateId next = nfa.add_state();
    add_regex(body, nfa, at, next, bytes);
    at = next;
  }
  if (node.most == RegexNode::kUnbounded) {
    const StateId again = nfa.add_state();
    nfa.add_free_edge(at, again);
    const StateId end = nfa.add_state();
    add_regex(body, nfa, again, end, bytes);
    nfa.add_free_edge(end, again);
    nfa.add_free_edge(again, to);
    return;
  }
  for (std::uint32_t i = node.least; i < node.most; ++i) {
    nfa.add_free_edge(at, to);
    const StateId next = nfa.add_state();
    add_regex(body, nfa, at, next, bytes);
    at = next;
  }
  nfa.add_free_edge(at, to);
}

Dfa regex_dfa(std::string_view pattern, const RegexOptions& options, Budget& budget) {
  const RegexNode node = parse_regex(pattern, options, budget);
  Nfa nfa(budget);
  const StateId start = nfa.add_state();
  const StateId begin = nfa.add_state();
  const StateId end = nfa.add_state();
  const StateId accept = nfa.add_state();
  add_regex(node, nfa, begin, end, options.bytes);
  nfa.add_free_edge(start, begin);
  nfa.add_free_edge(end, accept);
  if (options.search) {
    const CodePointSet any = CodePointSet{}.complement(options.bytes ? 0xFF : kMaxCodePoint);
    const StateId before = nfa.add_state();
    nfa.add_free_edge(start, before);
    add_characters(nfa, before, before, any, options.bytes);
    nfa.add_free_edge(before, begin);
    const StateId after = nfa.add_state();
    nfa.add_free_edge(end, after);
    add_characters(nfa, after, after, any, options.bytes);
    nfa.add_free_edge(after, accept);
  }
  return determinise(nfa, start, {accept}, budget);
}

}  // namespace mistral::grammar
