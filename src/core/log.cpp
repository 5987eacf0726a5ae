#include "core/log.h"

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

}  // namespace mistral::log
