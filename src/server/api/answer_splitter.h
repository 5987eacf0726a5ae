// The one place where the text of a chat's answer is taken apart: what the model thought, and what
// it answers.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/reasoning/reasoning_splitter.h"

namespace mistral::server {

struct AnswerParts {
  std::string reasoning;
  std::string content;
  [[nodiscard]] bool empty() const { return reasoning.empty() && content.empty(); }
};

// What it returns adds up to the same, however the text was cut into pieces.
class AnswerSplitter {
 public:
  explicit AnswerSplitter(const text::ReasoningStyle& style) : reasoning_(style) {}

  [[nodiscard]] AnswerParts push(std::string_view text) { return parts(reasoning_.push(text)); }
  [[nodiscard]] AnswerParts finish() { return parts(reasoning_.finish()); }

 private:
  static AnswerParts parts(text::ReasoningSplitter::Parts from) {
    return {std::move(from.reasoning), std::move(from.content)};
  }

  text::ReasoningSplitter reasoning_;
};

}  // namespace mistral::server
