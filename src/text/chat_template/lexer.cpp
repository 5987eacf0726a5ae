#include "text/chat_template/lexer.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <unicode/uchar.h>

#include "text/chat_template/number_format.h"
#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {
namespace {

struct Operator {
  std::string_view text;
  TokenKind kind;
};

// Longer ones first.
constexpr std::array<Operator, 26> kOperators = {{
    {"//", TokenKind::kFloorDiv},   {"**", TokenKind::kPow},         {"==", TokenKind::kEq},
    {"!=", TokenKind::kNe},         {">=", TokenKind::kGe},          {"<=", TokenKind::kLe},
    {"+", TokenKind::kAdd},         {"-", TokenKind::kSub},          {"/", TokenKind::kDiv},
    {"*", TokenKind::kMul},         {"%", TokenKind::kMod},          {"~", TokenKind::kTilde},
    {"[", TokenKind::kLeftBracket}, {"]", TokenKind::kRightBracket}, {"(", TokenKind::kLeftParen},
    {")", TokenKind::kRightParen},  {"{", TokenKind::kLeftBrace},    {"}", TokenKind::kRightBrace},
    {">", TokenKind::kGt},          {"<", TokenKind::kLt},           {"=", TokenKind::kAssign},
    {".", TokenKind::kDot},         {":", TokenKind::kColon},        {"|", TokenKind::kPipe},
    {",", TokenKind::kComma},       {";", TokenKind::kSemicolon},
}};

bool is_digit_char(char c) {
  return c >= '0' && c <= '9';
}

bool is_word(char32_t c) {
  return c == U'_' || is_alnum(c) || is_identifier_part(c);
}

std::string normalize_newlines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text += source[i];
    }
  }
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

int hex_value(char c) {
  if (is_digit_char(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Digits with single underscores between them; returns where they end.
std::size_t digits_end(std::string_view text, std::size_t at) {
  if (at >= text.size() || !is_digit_char(text[at])) return at;
  while (at < text.size()) {
    if (is_digit_char(text[at])) {
      ++at;
    } else if (text[at] == '_' && at + 1 < text.size() && is_digit_char(text[at + 1])) {
      ++at;
    } else {
      break;
    }
  }
  return at;
}

}  // namespace

std::string describe(TokenKind kind) {
  switch (kind) {
    case TokenKind::kEnd:
      return "end of template";
    case TokenKind::kData:
      return "template data / text";
    case TokenKind::kVariableBegin:
      return "begin of print statement";
    case TokenKind::kVariableEnd:
      return "end of print statement";
    case TokenKind::kBlockBegin:
      return "begin of statement block";
    case TokenKind::kBlockEnd:
      return "end of statement block";
    case TokenKind::kName:
      return "name";
    case TokenKind::kString:
      return "string";
    case TokenKind::kInteger:
      return "integer";
    case TokenKind::kFloat:
      return "float";
    default:
      for (const Operator& entry : kOperators) {
        if (entry.kind == kind) return std::string(entry.text);
      }
      return "token";
  }
}

std::string describe(const Token& token) {
  return token.kind == TokenKind::kName ? token.text : describe(token.kind);
}

Lexer::Lexer(std::string_view source) {
  if (!valid_utf8(source)) {
    throw TemplateError(TemplateErrorKind::kSyntax, "the template is not valid UTF-8", 0, 0);
  }
  source_ = normalize_newlines(source);
}

void Lexer::fail(const std::string& message) const {
  throw TemplateError(TemplateErrorKind::kSyntax, message, position_.line, position_.column);
}

std::size_t Lexer::skip_space(std::size_t at) const {
  while (at < source_.size()) {
    std::size_t next = at;
    if (!is_space(decode_at(source_, next))) break;
    at = next;
  }
  return at;
}

void Lexer::advance(std::size_t at) {
  for (; at_ < at; ++at_) {
    if (source_[at_] == '\n') {
      ++position_.line;
      position_.column = 1;
    } else if ((static_cast<unsigned char>(source_[at_]) & 0xC0U) != 0x80) {
      ++position_.column;
    }
  }
  if (at > 0) line_starting_ = source_[at - 1] == '\n';
}

Token Lexer::next() {
  Token token;
  while (at_ < source_.size()) {
    if (state_ == State::kText ? text_token(token) : tag_token(token)) return token;
  }
  token.kind = TokenKind::kEnd;
  token.position = position_;
  return token;
}

std::size_t Lexer::raw_begin(std::size_t at) const {
  at += 2;
  if (at < source_.size() && (source_[at] == '-' || source_[at] == '+')) ++at;
  at = skip_space(at);
  if (!looking_at("raw", at)) return 0;
  at = skip_space(at + 3);
  if (looking_at("-%}", at)) return skip_space(at + 3);
  return looking_at("%}", at) ? at + 2 : 0;
}

std::string_view Lexer::strip_before_tag(std::string_view text, char sign, bool block) const {
  if (sign == '-') return strip_space(text, StripSide::kRight);
  if (sign == '+' || !block) return text;
  const std::size_t newline = text.rfind('\n');
  const std::size_t line = newline == std::string_view::npos ? 0 : newline + 1;
  if (line == 0 && !line_starting_) return text;
  const std::string_view rest = text.substr(line);
  return strip_space(rest, StripSide::kLeft).empty() ? text.substr(0, line) : text;
}

bool Lexer::text_token(Token& token) {
  if (in_raw_) return raw_text(token);
  std::size_t tag = at_;
  for (;;) {
    tag = source_.find('{', tag);
    if (tag == std::string::npos || tag + 1 >= source_.size()) {
      tag = source_.size();
      break;
    }
    const char c = source_[tag + 1];
    if (c == '{' || c == '%' || c == '#') break;
    ++tag;
  }
  token.position = position_;
  const std::string_view text = std::string_view(source_).substr(at_, tag - at_);
  if (tag == source_.size()) {
    token.kind = TokenKind::kData;
    token.text = std::string(text);
    advance(tag);
    return true;
  }
  const char opener = source_[tag + 1];
  const std::size_t raw_end = opener == '%' ? raw_begin(tag) : 0;
  const char after = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
  const char sign = after == '-' || after == '+' ? after : '\0';
  if (tag > at_) {
    // The text first; the tag is met again at its own position.
    token.kind = TokenKind::kData;
    token.text = std::string(strip_before_tag(text, sign, opener != '{'));
    const bool was_starting = line_starting_;
    advance(tag);
    line_starting_ = was_starting;
    if (!token.text.empty()) return true;
    token.position = position_;
  }
  if (raw_end != 0) {
    advance(raw_end);
    in_raw_ = true;
    return false;
  }
  advance(tag + 2 + (sign != '\0' ? 1 : 0));
  if (opener == '#') {
    comment();
    return false;
  }
  state_ = opener == '{' ? State::kVariable : State::kBlock;
  token.kind = opener == '{' ? TokenKind::kVariableBegin : TokenKind::kBlockBegin;
  token.text.clear();
  return true;
}

void Lexer::comment() {
  if (at_ >= source_.size()) return;
  const std::size_t end = source_.find("#}", at_);
  if (end == std::string::npos) fail("Missing end of comment tag");
  std::size_t after = end + 2;
  const char sign = end > at_ ? source_[end - 1] : '\0';
  if (sign == '-') {
    after = skip_space(after);
  } else if (sign != '+' && after < source_.size() && source_[after] == '\n') {
    ++after;
  }
  advance(after);
}

bool Lexer::raw_text(Token& token) {
  token.position = position_;
  for (std::size_t tag = source_.find("{%", at_); tag != std::string::npos;
       tag = source_.find("{%", tag + 1)) {
    std::size_t at = tag + 2;
    char sign = '\0';
    if (at < source_.size() && (source_[at] == '-' || source_[at] == '+')) sign = source_[at++];
    at = skip_space(at);
    if (!looking_at("endraw", at)) continue;
    at = skip_space(at + 6);
    std::size_t end = 0;
    if (looking_at("-%}", at)) {
      end = skip_space(at + 3);
    } else if (looking_at("+%}", at)) {
      end = at + 3;
    } else if (looking_at("%}", at)) {
      end = at + 2;
      if (end < source_.size() && source_[end] == '\n') ++end;
    } else {
      continue;
    }
    token.kind = TokenKind::kData;
    token.text =
        std::string(strip_before_tag(std::string_view(source_).substr(at_, tag - at_), sign, true));
    in_raw_ = false;
    advance(end);
    return !token.text.empty();
  }
  fail("Missing end of raw directive");
}

bool Lexer::tag_end(Token& token) {
  if (!open_brackets_.empty()) return false;
  const bool block = state_ == State::kBlock;
  const std::string_view closer = block ? "%}" : "}}";
  std::size_t end = 0;
  if (looking_at(closer, at_)) {
    end = at_ + 2;
    if (block && end < source_.size() && source_[end] == '\n') ++end;
  } else if (peek() == '-' && looking_at(closer, at_ + 1)) {
    end = skip_space(at_ + 3);
  } else if (block && peek() == '+' && looking_at(closer, at_ + 1)) {
    end = at_ + 3;
  } else {
    return false;
  }
  token.kind = block ? TokenKind::kBlockEnd : TokenKind::kVariableEnd;
  state_ = State::kText;
  advance(end);
  return true;
}

bool Lexer::tag_token(Token& token) {
  token.position = position_;
  if (tag_end(token)) return true;
  const std::size_t space = skip_space(at_);
  if (space > at_) {
    advance(space);
    return false;
  }
  if (number_token(token)) return true;
  std::size_t next = at_;
  if (is_word(decode_at(source_, next))) {
    name_token(token);
  } else if (peek() == '\'' || peek() == '"') {
    string_token(token);
  } else {
    operator_token(token);
  }
  return true;
}

bool Lexer::number_token(Token& token) {
  if (!is_digit_char(peek())) return false;
  const auto clean = [&](std::size_t end) {
    std::string text = source_.substr(at_, end - at_);
    text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
    return text;
  };
  const std::size_t whole = digits_end(source_, at_);
  std::size_t end = whole;
  // A dot in front makes it an index: value.0.1
  if (at_ == 0 || source_[at_ - 1] != '.') {
    if (end < source_.size() && source_[end] == '.') {
      const std::size_t fraction = digits_end(source_, end + 1);
      if (fraction > end + 1) end = fraction;
    }
    if (end < source_.size() && (source_[end] | 0x20) == 'e') {
      std::size_t exponent = end + 1;
      if (exponent < source_.size() && (source_[exponent] == '+' || source_[exponent] == '-')) {
        ++exponent;
      }
      const std::size_t exponent_end = digits_end(source_, exponent);
      if (exponent_end > exponent) end = exponent_end;
    }
  }
  if (end > whole) {
    token.kind = TokenKind::kFloat;
    token.number = Value::floating(parse_float(clean(end)).value_or(0));
    advance(end);
    return true;
  }
  int base = 10;
  std::size_t start = at_;
  end = at_;
  if (peek() == '0') {
    const char letter = static_cast<char>(peek(1) | 0x20);
    const int prefixed = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    std::size_t at = at_ + 2;
    while (prefixed != 0) {
      const std::size_t digit = at + (at < source_.size() && source_[at] == '_' ? 1 : 0);
      const int value = digit < source_.size() ? hex_value(source_[digit]) : -1;
      if (value < 0 || value >= prefixed) break;
      at = digit + 1;
      end = at;
    }
    if (end > at_) {
      base = prefixed;
      start = at_ + 2;
    } else {
      // A decimal literal that starts with 0 has only zeros.
      end = at_ + 1;
      while (end < source_.size()) {
        const std::size_t digit = end + (source_[end] == '_' ? 1 : 0);
        if (digit >= source_.size() || source_[digit] != '0') break;
        end = digit + 1;
      }
    }
  } else {
    end = whole;
  }
  const std::string digits = clean(end).substr(start - at_);
  if (digits.size() > 4300) fail("Exceeds the limit (4300 digits) for integer string conversion");
  token.kind = TokenKind::kInteger;
  token.number = Value::integer(BigInt::parse(digits, base).value_or(BigInt()));
  advance(end);
  return true;
}

void Lexer::name_token(Token& token) {
  std::size_t end = at_;
  bool valid = true;
  while (end < source_.size()) {
    std::size_t next = end;
    const char32_t c = decode_at(source_, next);
    if (!is_word(c)) break;
    valid = valid && (end == at_ ? is_identifier_start(c) : is_identifier_part(c));
    end = next;
  }
  if (!valid) fail("Invalid character in identifier");
  token.kind = TokenKind::kName;
  token.text = source_.substr(at_, end - at_);
  advance(end);
}

void Lexer::string_token(Token& token) {
  const char quote = peek();
  std::size_t end = at_ + 1;
  while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
  if (end >= source_.size()) {
    fail(fmt::format("unexpected char {} at {}", quote == '"' ? "'\"'" : "\"'\"",
                     count_code_points(std::string_view(source_).substr(0, at_))));
  }
  token.kind = TokenKind::kString;
  token.text = unescape(std::string_view(source_).substr(at_ + 1, end - at_ - 1));
  advance(end + 1);
}

std::string Lexer::unescape(std::string_view literal) const {
  if (literal.find('\\') == std::string_view::npos) return std::string(literal);
  std::string text;
  for (std::size_t i = 0; i < literal.size();) {
    if (literal[i] != '\\') {
      text += literal[i++];
      continue;
    }
    const char c = literal[++i];
    constexpr std::string_view kLetters = "\\'\"abfnrtv";
    constexpr std::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
    if (const std::size_t simple = kLetters.find(c); simple != std::string_view::npos) {
      text += kMeanings[simple];
      ++i;
    } else if (c == '\n') {
      ++i;
    } else if (c >= '0' && c <= '7') {
      char32_t value = 0;
      for (int k = 0; k < 3 && i < literal.size() && literal[i] >= '0' && literal[i] <= '7'; ++k) {
        value = value * 8 + static_cast<char32_t>(literal[i++] - '0');
      }
      append_code_point(text, value);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const int length = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      char32_t value = 0;
      for (int k = 1; k <= length; ++k) {
        const std::size_t at = i + static_cast<std::size_t>(k);
        const int digit = at < literal.size() ? hex_value(literal[at]) : -1;
        if (digit < 0) {
          fail(c == 'x'   ? "truncated \\xXX escape"
               : c == 'u' ? "truncated \\uXXXX escape"
                          : "truncated \\UXXXXXXXX escape");
        }
        value = value * 16 + static_cast<char32_t>(digit);
      }
      if (value > 0x10FFFF) fail("illegal Unicode character");
      append_code_point(text, value);
      i += static_cast<std::size_t>(length) + 1;
    } else if (c == 'N') {
      const std::size_t end = literal.find('}', i);
      if (i + 1 >= literal.size() || literal[i + 1] != '{' || end == std::string_view::npos) {
        fail("malformed \\N character escape");
      }
      const std::string name(literal.substr(i + 2, end - i - 2));
      UErrorCode status = U_ZERO_ERROR;
      UChar32 value = u_charFromName(U_EXTENDED_CHAR_NAME, name.c_str(), &status);
      if (U_FAILURE(status)) {
        status = U_ZERO_ERROR;
        value = u_charFromName(U_CHAR_NAME_ALIAS, name.c_str(), &status);
      }
      if (U_FAILURE(status)) fail("unknown Unicode character name");
      append_code_point(text, static_cast<char32_t>(value));
      i = end + 1;
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      // Python escapes what lies outside ASCII before it resolves escapes, so the backslash that
      // the character gains this way joins the one in front of it.
      const char32_t value = decode_at(literal, i);
      if (value < 0x100) {
        text += fmt::format("\\x{:02x}", static_cast<unsigned>(value));
      } else if (value < 0x10000) {
        text += fmt::format("\\u{:04x}", static_cast<unsigned>(value));
      } else {
        text += fmt::format("\\U{:08x}", static_cast<unsigned>(value));
      }
    } else {
      text += '\\';
      text += c;
      ++i;
    }
  }
  return text;
}

void Lexer::operator_token(Token& token) {
  const auto* found = std::find_if(kOperators.begin(), kOperators.end(),
                                   [&](const Operator& op) { return looking_at(op.text, at_); });
  if (found == kOperators.end()) {
    std::size_t end = at_;
    (void)decode_at(source_, end);
    fail(fmt::format("unexpected char '{}' at {}", source_.substr(at_, end - at_),
                     count_code_points(std::string_view(source_).substr(0, at_))));
  }
  const char c = found->text[0];
  if (c == '(') open_brackets_ += ')';
  if (c == '[') open_brackets_ += ']';
  if (c == '{') open_brackets_ += '}';
  if (c == ')' || c == ']' || c == '}') {
    if (open_brackets_.empty()) fail(fmt::format("unexpected '{}'", c));
    if (open_brackets_.back() != c) {
      fail(fmt::format("unexpected '{}', expected '{}'", c, open_brackets_.back()));
    }
    open_brackets_.pop_back();
  }
  token.kind = found->kind;
  advance(at_ + found->text.size());
}

}  // namespace mistral::text::jinja
