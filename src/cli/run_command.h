// How both programs run a command: its options are parsed, and errors become one line and an exit
// code.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"

namespace mistral::cli {

[[nodiscard]] std::string version_text();

// `log_level` empty: the command's own. Throws what the command throws, but for UsageError.
[[nodiscard]] int run_command(const CommandEntry& entry, std::vector<std::string> arguments,
                              std::string log_level);
[[nodiscard]] const CommandEntry* find_command(std::string_view name);
// One line on standard error, and `usage`; the exit code.
[[nodiscard]] int fail_usage(std::string_view message, std::string_view usage);
// Calls `work`, which returns an exit code; what it throws becomes a line and a code.
[[nodiscard]] int guarded(const std::function<int()>& work);

}  // namespace mistral::cli
