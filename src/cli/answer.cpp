#include "cli/answer.h"

#include <utility>

#include <fmt/format.h>

#include "cli/interrupt.h"
#include "cli/output.h"
#include "core/error.h"

namespace mistral::cli {

namespace {

constexpr int kPollMilliseconds = 50;

class TextPrinter {
 public:
  void operator()(std::string_view text) const {
    if (text.empty()) return;
    if (terminal_) {
      print(without_controls(text));
    } else {
      print(text);
    }
    flush_output();
  }

 private:
  bool terminal_ = output_is_terminal();
};

std::string rate(std::int64_t tokens, double seconds) {
  if (tokens <= 0 || seconds <= 0) return "";
  return fmt::format(", {:.1f} tokens/s", static_cast<double>(tokens) / seconds);
}

}  // namespace

Answer stream_answer(engine::Engine& engine, engine::Request request) {
  const InterruptScope interrupt;
  const TextPrinter show;
  Answer answer;
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
      answer.text += token->text;
      show(token->text);
      continue;
    }
    answer.finish = std::move(std::get<engine::FinishEvent>(*event));
    answer.text += answer.finish.text;
    show(answer.finish.text);
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
