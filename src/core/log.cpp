#include "core/log.h"

#include <cstdlib>

#include <spdlog/sinks/stdout_color_sinks.h>

#include "core/error.h"

namespace mistral::log {

void set_level(std::string_view name) {
  static const bool installed = [] {
    auto logger = spdlog::stderr_color_mt("mistral");
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
    spdlog::set_default_logger(std::move(logger));
    return true;
  }();
  (void)installed;
  for (const std::string_view known : {"trace", "debug", "info", "warn", "error", "off"}) {
    if (name == known) {
      spdlog::set_level(spdlog::level::from_str(name == "error" ? "err" : std::string(name)));
      return;
    }
  }
  throw make_error(ErrorKind::kInvalidArgument,
                   "unknown log level '{}': expected trace, debug, info, warn, error or off", name);
}

void show_info() {
  if (!spdlog::should_log(spdlog::level::info)) spdlog::set_level(spdlog::level::info);
}

bool debug_requested() {
  for (const char* name : {"MISTRALCPP_DEBUG", "MISTRALRS_DEBUG"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && std::string_view(value).find('1') != std::string_view::npos)
      return true;
  }
  return false;
}

}  // namespace mistral::log
