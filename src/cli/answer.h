// One request shown as it is generated.
#pragma once

#include <optional>
#include <string>

#include "engine/engine.h"
#include "text/reasoning/reasoning_splitter.h"

namespace mistral::cli {

struct Answer {
  std::string text;       // without the reasoning
  std::string reasoning;  // empty unless a style is given
  engine::FinishEvent finish;
};

// Submits the request and prints its text to standard output as it arrives. With a `style`,
// reasoning is shown apart: dimmed on a terminal, else on standard error. Ctrl-C cancels the
// request (finish.reason kCancelled). Throws Error: the request is refused, fails, or standard
// output cannot be written.
[[nodiscard]] Answer stream_answer(engine::Engine& engine, engine::Request request,
                                   const std::optional<text::ReasoningStyle>& style = {});

// "prompt: 12 tokens, 340.1 tokens/s; answer: 56 tokens, 71.2 tokens/s".
[[nodiscard]] std::string describe_speed(const Usage& usage);

}  // namespace mistral::cli
