// Splits what a model says into its reasoning and its answer, while it is being generated.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/tokenizer.h"

namespace mistral::text {

// How a model marks its reasoning.
struct ReasoningStyle {
  enum class Kind {
    kTags,      // <think> reasoning </think> answer
    kChannels,  // <|channel|>analysis<|message|> reasoning <|end|> … final … (gpt-oss)
  };
  Kind kind = Kind::kTags;
  std::string open = "<think>";
  std::string close = "</think>";
  // kTags: the prompt ends with the open tag, so the text begins with reasoning. kChannels: what
  // the prompt says of the message that the model goes on with ("assistant<|channel|>final").
  bool inside = false;
  std::string header;
};

// The style of a model with this template, for an answer to this prompt. A template that marks no
// reasoning gives <think> tags: models fine-tuned on others' answers use them.
[[nodiscard]] ReasoningStyle reasoning_style(std::string_view template_source,
                                             std::string_view prompt);

// The special tokens of a vocabulary that mark reasoning: a text that is to be split must show
// them.
[[nodiscard]] std::vector<TokenId> reasoning_marks(const Tokenizer& tokenizer);

// The result does not depend on how the text is cut into pieces. White space around the reasoning
// and between it and the answer is left out. Text without marks is answer from the first letter on;
// reasoning that never ends is reasoning. Only the first block of tags counts: later ones are what
// the model talks about. Calls of tools in channels stay in the answer with their marks.
class ReasoningSplitter {
 public:
  struct Parts {
    std::string reasoning;
    std::string content;
    [[nodiscard]] bool empty() const { return reasoning.empty() && content.empty(); }
  };

  explicit ReasoningSplitter(ReasoningStyle style);

  // What became certain with `text`.
  [[nodiscard]] Parts push(std::string_view text);
  // The rest, at the end of the answer.
  [[nodiscard]] Parts finish();

 private:
  enum class State {
    kStart,  // tags: nothing but white space so far
    kReasoning,
    kGap,  // white space between reasoning and answer
    kContent,
    kHeader,   // channels: up to <|message|>
    kBetween,  // channels: behind a message
  };
  enum class Target { kReasoning, kContent };

  // Works on `pending_` as far as it is certain; all of it when `last`.
  void advance(bool last, Parts& parts);
  // One step; false when more text is needed.
  [[nodiscard]] bool step_tags(bool last, Parts& parts);
  [[nodiscard]] bool step_channels(bool last, Parts& parts);
  // Hands out pending text up to a mark among `marks`, or as far as none can begin; returns the
  // index of the mark found and removes it, -1 for none.
  template <std::size_t N>
  int take_until(const std::string_view (&marks)[N], bool last, std::string& out);
  void put_reasoning(std::string_view text, Parts& parts);
  void open_message(Parts& parts);

  ReasoningStyle style_;
  State state_ = State::kStart;
  Target target_ = Target::kContent;
  std::string pending_;
  std::string header_;  // channels: since the role
  bool first_header_ = true;
  std::string blanks_;  // white space of the reasoning that may turn out to be its end
  bool any_reasoning_ = false;
  bool any_content_ = false;
  bool new_message_ = false;  // channels: another message of the same kind begins
};

}  // namespace mistral::text
