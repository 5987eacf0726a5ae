// Standard output and error. Results are written through print(), so that a reader that went away
// or a full disk ends the program with an error instead of being ignored.
#pragma once

#include <string>
#include <string_view>

namespace mistral::cli {

// Writes to standard output. Throws Error (kResource) when that fails.
void print(std::string_view text);
void flush_output();
// Writes to standard error; failures are ignored, there is nowhere to report them.
void print_error(std::string_view text);

[[nodiscard]] bool output_is_terminal();
[[nodiscard]] bool input_is_terminal();

// `text` without line breaks and control characters: messages may quote names out of files that
// strangers made.
[[nodiscard]] std::string one_line(std::string_view text);

// `text` (UTF-8) without the control characters that could drive a terminal; line breaks and tabs
// stay. For text that a model wrote.
[[nodiscard]] std::string without_controls(std::string_view text);

}  // namespace mistral::cli
