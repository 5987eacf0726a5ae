// One request shown as it is generated.
#pragma once

#include <string>

#include "engine/engine.h"

namespace mistral::cli {

struct Answer {
  std::string text;
  engine::FinishEvent finish;
};

// Submits the request and prints its text to standard output as it arrives. Ctrl-C cancels it
// (finish.reason kCancelled). Throws Error: the request is refused, fails, or standard output
// cannot be written.
[[nodiscard]] Answer stream_answer(engine::Engine& engine, engine::Request request);

// "prompt: 12 tokens, 340.1 tokens/s; answer: 56 tokens, 71.2 tokens/s".
[[nodiscard]] std::string describe_speed(const Usage& usage);

}  // namespace mistral::cli
