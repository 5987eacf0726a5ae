// The program: finds the command, parses its options, runs it and turns errors into one line and
// an exit code.
#pragma once

namespace mistral::cli {

// 0: done; 1: an error, one line on stderr; 2: wrong usage, usage text on stderr; 130: interrupted.
[[nodiscard]] int run_program(int argc, const char* const* argv);

}  // namespace mistral::cli
