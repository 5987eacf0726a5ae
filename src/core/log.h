// Logging to stderr; results go to stdout. One logger for the process, the only global state
// besides the CPU feature table.
#pragma once

#include <string_view>

#include <spdlog/spdlog.h>

namespace mistral::log {

// Accepts trace, debug, info, warn, error, off. Throws Error (kInvalidArgument) for other names.
void set_level(std::string_view name);

using spdlog::debug;
using spdlog::error;
using spdlog::info;
using spdlog::warn;

}  // namespace mistral::log
