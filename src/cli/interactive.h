// The interactive mode of the server programs, as mistral.rs has it: `serve -i`. `run` is the one
// for people who want more.
#pragma once

#include "cli/session.h"

namespace mistral::cli {

// Reads messages from standard input, one a line, until it ends or \exit comes; returns the exit
// code. With `throughput` the speed of each answer is logged.
[[nodiscard]] int run_interactive(Session& session, bool throughput);

}  // namespace mistral::cli
