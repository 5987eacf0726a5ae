// The interactive chat.
#pragma once

#include <string>

#include "cli/session.h"
#include "core/json.h"

namespace mistral::cli {

struct ReplOptions {
  std::string system;
  bool use_template = true;  // false: every input is a text to continue, nothing is remembered
  Json variables = Json::object();  // further ones of the template
  SamplingParams sampling;
  bool throughput = false;  // log the tokens per second of each answer
};

// Reads standard input until the user leaves; returns the exit code. A request that fails ends
// with a message, the chat goes on. Throws Error when standard output cannot be written.
[[nodiscard]] int run_repl(Session& session, const ReplOptions& options);

}  // namespace mistral::cli
