#include "cli/answer.h"

#include <utility>

#include <fmt/format.h>

#include "cli/interrupt.h"
#include "cli/output.h"
#include "core/error.h"

namespace mistral::cli {

namespace {

constexpr int kPollMilliseconds = 50;

constexpr std::string_view kDim = "\x1b[2m";
constexpr std::string_view kNormal = "\x1b[0m";

class TextPrinter {
 public:
  void answer(std::string_view text) {
    if (text.empty()) return;
    end_reasoning();
    if (terminal_) {
      print(without_controls(text));
    } else {
      print(text);
    }
    flush_output();
  }
  void reasoning(std::string_view text) {
    if (text.empty()) return;
    if (terminal_) {
      print(std::string(kDim) + without_controls(text) + std::string(kNormal));
      flush_output();
    } else {
      print_error(text);
    }
    in_reasoning_ = true;
  }
  void end_reasoning() {
    if (!std::exchange(in_reasoning_, false)) return;
    if (terminal_) {
      print("\n\n");
    } else {
      print_error("\n");
    }
  }

 private:
  bool terminal_ = output_is_terminal();
  bool in_reasoning_ = false;
};

// Parts the text of an answer, shows the parts and keeps them.
class Receiver {
 public:
  Receiver(Answer& answer, const std::optional<text::ReasoningStyle>& style) : answer_(answer) {
    if (style) splitter_.emplace(*style);
  }
  void push(const std::string& text) {
    keep(splitter_ ? splitter_->push(text) : text::ReasoningSplitter::Parts{{}, text});
  }
  void finish() {
    if (splitter_) keep(splitter_->finish());
    show_.end_reasoning();
  }

 private:
  void keep(const text::ReasoningSplitter::Parts& parts) {
    answer_.reasoning += parts.reasoning;
    answer_.text += parts.content;
    show_.reasoning(parts.reasoning);
    show_.answer(parts.content);
  }

  Answer& answer_;
  std::optional<text::ReasoningSplitter> splitter_;
  TextPrinter show_;
};

std::string rate(std::int64_t tokens, double seconds) {
  if (tokens <= 0 || seconds <= 0) return "";
  return fmt::format(", {:.1f} tokens/s", static_cast<double>(tokens) / seconds);
}

}  // namespace

Answer stream_answer(engine::Engine& engine, engine::Request request,
                     const std::optional<text::ReasoningStyle>& style) {
  const InterruptScope interrupt;
  Answer answer;
  Receiver receiver(answer, style);
  engine::RequestHandle handle = engine.submit(std::move(request));
  bool cancelled = false;
  while (true) {
    if (interrupt.interrupted() && !cancelled) {
      handle.cancel();
      cancelled = true;
    }
    std::optional<engine::Event> event = handle.next_for(kPollMilliseconds);
    if (!event) continue;
    if (auto* token = std::get_if<engine::TokenEvent>(&*event)) {
      receiver.push(token->text);
      continue;
    }
    answer.finish = std::move(std::get<engine::FinishEvent>(*event));
    receiver.push(answer.finish.text);
    receiver.finish();
    if (answer.finish.reason == FinishReason::kError) {
      throw make_error(ErrorKind::kInternal, "the model failed: {}", answer.finish.error);
    }
    return answer;
  }
}

std::string describe_speed(const Usage& usage) {
  const std::int64_t computed = usage.prompt_tokens - usage.cached_tokens;
  std::string text = fmt::format("prompt: {} tokens", usage.prompt_tokens);
  if (usage.cached_tokens > 0) text += fmt::format(" ({} cached)", usage.cached_tokens);
  text += rate(computed, usage.prompt_seconds);
  // The first token comes with the prompt.
  text += fmt::format("; answer: {} tokens{}", usage.completion_tokens,
                      rate(usage.completion_tokens - 1, usage.completion_seconds));
  return text;
}

}  // namespace mistral::cli
