// Splits a template into tokens: text, and names, literals and operators inside tags. Applies
// trim_blocks, lstrip_blocks and the whitespace signs of tags.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/chat_template/value.h"

namespace mistral::text::jinja {

struct Position {
  int line = 1;
  int column = 1;
};

enum class TokenKind : std::uint8_t {
  kEnd,
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kAdd,
  kSub,
  kMul,
  kDiv,
  kFloorDiv,
  kMod,
  kPow,
  kTilde,
  kLeftBracket,
  kRightBracket,
  kLeftParen,
  kRightParen,
  kLeftBrace,
  kRightBrace,
  kEq,
  kNe,
  kGt,
  kGe,
  kLt,
  kLe,
  kAssign,
  kDot,
  kColon,
  kPipe,
  kComma,
  kSemicolon,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  Position position;
  std::string text;  // of data, names and strings (unescaped)
  Value number;      // of integers and floats
};

// The words by which messages call a kind of token.
[[nodiscard]] std::string describe(TokenKind kind);
[[nodiscard]] std::string describe(const Token& token);

class Lexer {
 public:
  // Normalizes line ends and drops one trailing newline. Throws TemplateError if the text is not
  // UTF-8.
  explicit Lexer(std::string_view source);

  // The next token; kEnd at the end, again and again. Throws TemplateError (syntax).
  [[nodiscard]] Token next();

 private:
  enum class State : std::uint8_t { kText, kVariable, kBlock };

  [[nodiscard]] bool text_token(Token& token);
  [[nodiscard]] bool tag_token(Token& token);
  [[nodiscard]] bool tag_end(Token& token);
  void comment();
  // The text inside {% raw %}; false if it is empty.
  [[nodiscard]] bool raw_text(Token& token);
  [[nodiscard]] bool number_token(Token& token);
  void name_token(Token& token);
  void string_token(Token& token);
  void operator_token(Token& token);
  [[nodiscard]] std::string unescape(std::string_view literal) const;

  // Where a raw block's opening tag ends, if one starts at `at`; 0 otherwise.
  [[nodiscard]] std::size_t raw_begin(std::size_t at) const;
  // Strips text in front of a tag whose sign is `sign`.
  [[nodiscard]] std::string_view strip_before_tag(std::string_view text, char sign,
                                                  bool block) const;
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }
  [[nodiscard]] bool looking_at(std::string_view text, std::size_t at) const {
    return std::string_view(source_).substr(at, text.size()) == text;
  }
  [[nodiscard]] std::size_t skip_space(std::size_t at) const;
  // Moves to `at`, counting lines.
  void advance(std::size_t at);
  [[noreturn]] void fail(const std::string& message) const;

  std::string source_;
  std::size_t at_ = 0;
  Position position_;
  State state_ = State::kText;
  bool line_starting_ = true;
  bool in_raw_ = false;
  std::string open_brackets_;  // the closing ones that are due
};

}  // namespace mistral::text::jinja
