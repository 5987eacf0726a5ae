// Logging to stderr; results go to stdout. One logger for the process, the only global state
// besides the CPU feature table.
#pragma once

#include <string_view>

#include <spdlog/spdlog.h>

namespace mistral::log {

// Accepts trace, debug, info, warn, error, off. Throws Error (kInvalidArgument) for other names.
void set_level(std::string_view name);
// From now on messages of level info are shown, too.
void show_info();
// Whether the environment asks for messages of level debug and for files that show what was read:
// MISTRALCPP_DEBUG, or MISTRALRS_DEBUG, contains a 1.
[[nodiscard]] bool debug_requested();

namespace level = spdlog::level;
// Whether messages of this level are shown, for those that take time to put together.
[[nodiscard]] inline bool enabled(level::level_enum level) {
  return spdlog::should_log(level);
}

using spdlog::debug;
using spdlog::error;
using spdlog::info;
using spdlog::warn;

}  // namespace mistral::log
