#include "text/grammar/lark_parser.h"

#include <array>
#include <utility>

#include "core/error.h"
#include "text/grammar/code_points.h"
#include "text/grammar/text_place.h"

namespace mistral::grammar {
namespace {

using Kind = LarkNode::Kind;

constexpr std::uint32_t kMostRepeats = 100'000;

// What `%import common.NAME` brings, in Lark's own terms.
constexpr std::array<std::pair<std::string_view, std::string_view>, 27> kCommon = {{
    {"DIGIT", R"("0".."9")"},
    {"HEXDIGIT", R"(/[a-fA-F0-9]/)"},
    {"INT", R"(/[0-9]+/)"},
    {"SIGNED_INT", R"(/[+-]?[0-9]+/)"},
    {"DECIMAL", R"(/[0-9]+\.[0-9]*|\.[0-9]+/)"},
    {"_EXP", R"(/[eE][+-]?[0-9]+/)"},
    {"FLOAT", R"(/[0-9]+[eE][+-]?[0-9]+|([0-9]+\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?/)"},
    {"SIGNED_FLOAT",
     R"(/[+-]?([0-9]+[eE][+-]?[0-9]+|([0-9]+\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)/)"},
    {"NUMBER", R"(/[0-9]+([eE][+-]?[0-9]+)?|([0-9]+\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?/)"},
    {"SIGNED_NUMBER",
     R"(/[+-]?([0-9]+([eE][+-]?[0-9]+)?|([0-9]+\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)/)"},
    {"ESCAPED_STRING", R"(/"([^"\\\n]|\\[^\n])*"/)"},
    {"_STRING_INNER", R"(/[^\n]*/)"},
    {"_STRING_ESC_INNER", R"(/([^\\\n]|\\[^\n])*/)"},
    {"LCASE_LETTER", R"("a".."z")"},
    {"UCASE_LETTER", R"("A".."Z")"},
    {"LETTER", R"(/[A-Za-z]/)"},
    {"WORD", R"(/[A-Za-z]+/)"},
    {"CNAME", R"(/[_A-Za-z][_A-Za-z0-9]*/)"},
    {"WS_INLINE", R"(/[ \t]+/)"},
    {"WS", R"(/[ \t\f\r\n]+/)"},
    {"CR", R"(/\r/)"},
    {"LF", R"(/\n/)"},
    {"NEWLINE", R"(/(\r?\n)+/)"},
    {"SH_COMMENT", R"(/#[^\n]*/)"},
    {"CPP_COMMENT", R"(/\/\/[^\n]*/)"},
    {"C_COMMENT", R"(/\/\*([^*]|\*+[^*\/])*\*+\//)"},
    {"SQL_COMMENT", R"(/--[^\n]*/)"},
}};

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_name_start(char c) {
  return is_lower(c) || is_upper(c) || c == '_';
}
bool is_name(char c) {
  return is_name_start(c) || (c >= '0' && c <= '9');
}

class Parser {
 public:
  Parser(std::string_view text, Budget& budget) : text_(text), budget_(budget) {}

  LarkSource parse() {
    for (skip(true); at_ < text_.size(); skip(true)) {
      take("%") ? directive(at_ - 1) : definition();
      skip(false);
      if (at_ < text_.size() && peek() != '\n') fail("expected the end of the line", at_);
    }
    return std::move(source_);
  }

  // A body alone, for what is imported.
  LarkNode parse_body() { return alternatives(); }

 private:
  [[noreturn]] void fail(std::string_view what, std::size_t at) const {
    throw make_error(ErrorKind::kInvalidArgument, "grammar: {}: {}", place_in(text_, at), what);
  }
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  // Blanks and comments; the ends of lines, too, where `lines` says so.
  void skip(bool lines) {
    while (at_ < text_.size()) {
      const char c = peek();
      if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || (c == '\n' && lines)) {
        ++at_;
      } else if (c == '\\' && peek(1) == '\n') {
        at_ += 2;
      } else if (text_.substr(at_).starts_with("//") || (c == '#' && starts_line(at_))) {
        while (at_ < text_.size() && peek() != '\n') ++at_;
      } else {
        return;
      }
    }
  }
  [[nodiscard]] bool starts_line(std::size_t at) const {
    while (at > 0 && (text_[at - 1] == ' ' || text_[at - 1] == '\t')) --at;
    return at == 0 || text_[at - 1] == '\n';
  }
  // A definition goes on in a line that begins with a bar.
  void skip_to_bar() {
    skip(false);
    const std::size_t before = at_;
    skip(true);
    if (peek() != '|') at_ = before;
  }

  std::string name() {
    const std::size_t start = at_;
    if (!is_name_start(peek())) fail("expected the name of a rule or a terminal", at_);
    while (is_name(peek())) ++at_;
    return std::string(text_.substr(start, at_ - start));
  }

  void definition() {
    const std::size_t start = at_;
    while (take("?") || take("!")) {
    }
    const std::string defined = name();
    LarkDefinition made{.at = start};
    if (take("{")) {
      do {
        skip(false);
        made.parameters.push_back(name());
        skip(false);
      } while (take(","));
      if (!take("}")) fail("expected '}' after the parameters", at_);
    }
    priority();
    skip(false);
    if (!take(":")) fail("expected ':' after the name", at_);
    made.body = alternatives();
    if (!source_.definitions.emplace(defined, std::move(made)).second) {
      fail(fmt::format("'{}' is defined twice", defined), start);
    }
  }

  void priority() {
    if (!take(".")) return;
    std::ignore = take("-");
    if (peek() < '0' || peek() > '9') fail("expected a priority", at_);
    while (peek() >= '0' && peek() <= '9') ++at_;
  }

  void directive(std::size_t start) {
    const std::string kind = name();
    skip(false);
    if (kind == "ignore") {
      source_.ignored.push_back(alternatives());
    } else if (kind == "import") {
      import(start);
    } else {
      fail(fmt::format("%{} is not supported; expected %ignore or %import", kind), start);
    }
  }

  // common.NAME, common.NAME -> OTHER, or common (NAME, …)
  void import(std::size_t start) {
    if (!take("common")) fail("only terminals of common can be imported", at_);
    skip(false);
    if (take(".")) {
      const std::string imported = name();
      skip(false);
      std::string known_as = imported;
      if (take("->")) {
        skip(false);
        known_as = name();
      }
      bring(imported, known_as, start);
      return;
    }
    if (!take("(")) fail("expected a name to import", at_);
    do {
      skip(true);
      const std::string imported = name();
      bring(imported, imported, start);
      skip(true);
    } while (take(","));
    if (!take(")")) fail("expected ')' after the names", at_);
  }

  void bring(std::string_view imported, const std::string& known_as, std::size_t start) {
    for (const auto& [known, body] : kCommon) {
      if (known != imported) continue;
      LarkDefinition made{.at = start};
      made.body = Parser(body, budget_).parse_body();
      if (!source_.definitions.emplace(known_as, std::move(made)).second) {
        fail(fmt::format("'{}' is defined twice", known_as), start);
      }
      return;
    }
    fail(fmt::format("common has no terminal '{}'", imported), start);
  }

  LarkNode alternatives() {
    if (++depth_ > budget_.limits().nesting) fail("groups nest too deep", at_);
    LarkNode node{.kind = Kind::kChoice, .at = at_};
    do {
      node.children.push_back(items());
      skip_to_bar();
    } while (take("|"));
    --depth_;
    if (node.children.size() == 1) return std::move(node.children.front());
    return node;
  }

  LarkNode items() {
    LarkNode node{.kind = Kind::kSequence, .at = at_};
    while (true) {
      skip(groups_ > 0);
      budget_.tick();
      std::optional<LarkNode> part = atom();
      if (!part) break;
      node.children.push_back(repeated(std::move(*part)));
    }
    if (take("->")) {
      skip(false);
      std::ignore = name();
    }
    if (node.children.size() == 1) return std::move(node.children.front());
    return node;
  }

  LarkNode repeated(LarkNode part) {
    std::uint32_t least = 0;
    std::uint32_t most = LarkNode::kUnbounded;
    const std::size_t start = at_;
    if (take("*")) {
    } else if (take("+")) {
      least = 1;
    } else if (take("?")) {
      most = 1;
    } else {
      skip(false);
      if (!take("~")) return part;
      skip(false);
      least = number();
      most = least;
      skip(false);
      if (take("..")) {
        skip(false);
        most = number();
      }
      if (least > most) fail("the counts are in the wrong order", start);
    }
    LarkNode node{.kind = Kind::kRepeat, .at = start, .least = least, .most = most};
    node.children.push_back(std::move(part));
    return node;
  }

  std::uint32_t number() {
    const std::size_t start = at_;
    std::uint32_t value = 0;
    for (; peek() >= '0' && peek() <= '9'; ++at_) {
      value = value * 10 + static_cast<std::uint32_t>(peek() - '0');
      if (value > kMostRepeats) fail(fmt::format("more than {} repetitions", kMostRepeats), start);
    }
    if (at_ == start) fail("expected a count", at_);
    return value;
  }

  std::optional<LarkNode> atom() {
    const std::size_t start = at_;
    if (peek() == '"') return string_or_range();
    if (peek() == '/') return expression();
    if (take("(") || take("[")) {
      const bool optional = text_[start] == '[';
      ++groups_;
      LarkNode inner = alternatives();
      skip(true);
      --groups_;
      if (!take(optional ? "]" : ")")) fail("the group has no end", start);
      if (!optional) {
        // A name of its own, so that what follows repeats the group.
        return inner;
      }
      LarkNode node{.kind = Kind::kRepeat, .at = start, .least = 0, .most = 1};
      node.children.push_back(std::move(inner));
      return node;
    }
    const std::size_t from = at_;
    std::ignore = take("!");
    if (!is_name_start(peek())) {
      at_ = from;
      return std::nullopt;
    }
    LarkNode node{.kind = Kind::kName, .at = start};
    node.text = name();
    if (!take("{")) return node;
    do {
      ++groups_;
      node.children.push_back(alternatives());
      skip(true);
      --groups_;
    } while (take(","));
    if (!take("}")) fail("expected '}' after the arguments", at_);
    if (++depth_ > budget_.limits().nesting) fail("templates nest too deep", start);
    --depth_;
    return node;
  }

  LarkNode string_or_range() {
    LarkNode node{.kind = Kind::kString, .at = at_};
    node.text = string();
    if (take("i")) {
      node.flags = "i";
      return node;
    }
    const std::size_t before = at_;
    skip(false);
    if (!take("..")) {
      at_ = before;
      return node;
    }
    skip(false);
    if (peek() != '"') fail("expected the last character of the range", at_);
    node.kind = Kind::kRange;
    node.text_to = string();
    return node;
  }

  std::string string() {
    const std::size_t start = at_++;
    std::string out;
    while (peek() != '"') {
      if (at_ >= text_.size() || peek() == '\n') fail("the string has no end", start);
      if (peek() != '\\') {
        out += text_[at_++];
        continue;
      }
      const std::size_t escape = at_++;
      const char c = peek();
      ++at_;
      switch (c) {
        case 'n':
          out += '\n';
          break;
        case 't':
          out += '\t';
          break;
        case 'r':
          out += '\r';
          break;
        case 'f':
          out += '\f';
          break;
        case '\\':
        case '"':
        case '\'':
        case '/':
          out += c;
          break;
        case 'x':
          append_utf8(hex(2, escape), out);
          break;
        case 'u':
          append_utf8(hex(4, escape), out);
          break;
        case 'U':
          append_utf8(hex(8, escape), out);
          break;
        default:
          fail("unknown escape", escape);
      }
    }
    ++at_;
    return out;
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

  LarkNode expression() {
    LarkNode node{.kind = Kind::kRegex, .at = at_};
    const std::size_t start = at_++;
    while (peek() != '/') {
      if (at_ >= text_.size() || peek() == '\n') fail("the regular expression has no end", start);
      if (peek() == '\\') {
        // A slash needs no backslash in an expression.
        if (peek(1) != '/') node.text += '\\';
        ++at_;
        if (at_ >= text_.size()) fail("the regular expression has no end", start);
      }
      node.text += text_[at_++];
    }
    ++at_;
    while (is_lower(peek())) {
      constexpr std::string_view kKnown = "isxu";
      if (kKnown.find(peek()) == std::string_view::npos) {
        fail("unknown flag; expected i, s, u or x", at_);
      }
      node.flags += text_[at_++];
    }
    return node;
  }

  std::string_view text_;
  Budget& budget_;
  std::size_t at_ = 0;
  int depth_ = 0;
  int groups_ = 0;
  LarkSource source_;
};

}  // namespace

bool is_lark_terminal(std::string_view name) {
  const std::size_t first = name.find_first_not_of('_');
  return first != std::string_view::npos && is_upper(name[first]);
}

LarkSource parse_lark(std::string_view text, Budget& budget) {
  budget.check_text(text.size());
  return Parser(text, budget).parse();
}

}  // namespace mistral::grammar
