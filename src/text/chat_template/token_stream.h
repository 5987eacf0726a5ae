// The tokens of a template as a parser reads them: one current, one to look ahead.
#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "text/chat_template/lexer.h"

namespace mistral::text::jinja {

class TokenStream {
 public:
  explicit TokenStream(std::string_view source) : lexer_(source) {
    current_ = lexer_.next();
    if (at(TokenKind::kEnd)) current_.position = {};
  }

 protected:
  bool at(TokenKind kind) const { return current_.kind == kind; }
  bool at_name(std::string_view word) const {
    return at(TokenKind::kName) && current_.text == word;
  }

  // Moves on; returns the token that was current.
  Token advance() {
    Token previous = std::move(current_);
    if (!pushed_.empty()) {
      current_ = std::move(pushed_.front());
      pushed_.pop_front();
    } else {
      current_ = lexer_.next();
      // The end counts as part of the last line that held something.
      if (at(TokenKind::kEnd)) current_.position = previous.position;
    }
    return previous;
  }

  // The token behind the current one.
  const Token& look() {
    if (pushed_.empty()) {
      pushed_.push_back(lexer_.next());
      if (pushed_.back().kind == TokenKind::kEnd) pushed_.back().position = current_.position;
    }
    return pushed_.front();
  }

  bool skip(TokenKind kind) {
    if (!at(kind)) return false;
    advance();
    return true;
  }

  bool skip_name(std::string_view word) {
    if (!at_name(word)) return false;
    advance();
    return true;
  }

  [[noreturn]] void fail(const std::string& message, Position where) const {
    throw TemplateError(TemplateErrorKind::kSyntax, message, where.line, where.column);
  }
  [[noreturn]] void fail(const std::string& message) const { fail(message, current_.position); }

  [[noreturn]] void fail_expected(const std::string& wanted) const {
    if (at(TokenKind::kEnd)) {
      fail(fmt::format("unexpected end of template, expected '{}'.", wanted));
    }
    fail(fmt::format("expected token '{}', got '{}'", wanted, describe(current_)));
  }

  Token expect(TokenKind kind) {
    if (!at(kind)) fail_expected(describe(kind));
    return advance();
  }

  Token expect_name(std::string_view word) {
    if (!at_name(word)) fail_expected(std::string(word));
    return advance();
  }

  [[nodiscard]] const Token& current() const { return current_; }

 private:
  Lexer lexer_;
  Token current_;
  std::deque<Token> pushed_;
};

}  // namespace mistral::text::jinja
