// The program: finds the command, parses its options, runs it and turns errors into one line and
// an exit code.
#pragma once

namespace mistral::cli {

// 0: done; 1: an error, one line on stderr; 2: wrong usage, usage text on stderr; 130: interrupted.
[[nodiscard]] int run_program(int argc, const char* const* argv);

// The program `mistralcpp-server`, with the command line of mistral.rs's server: options, then the
// kind of model, then its options. Exit codes as above.
[[nodiscard]] int run_server_program(int argc, const char* const* argv);

// A file opened later must not get the number of a standard stream that the caller closed, and a
// reader that went away is a write error. What both programs begin with.
void prepare_process();

}  // namespace mistral::cli
