#include "text/chat_template/time_format.h"

#include <algorithm>
#include <ctime>

#include <locale.h>

#include "text/chat_template/budget.h"
#include "text/chat_template/eval_error.h"

namespace mistral::text::jinja {
namespace {

// The C library formats in the locale of the thread; templates always speak English.
locale_t c_locale() {
  static const locale_t locale = newlocale(LC_ALL_MASK, "C", nullptr);
  return locale;
}

// Directives that datetime resolves itself: microseconds, and the zone, which a naive time lacks.
std::string resolve_own_directives(std::string_view format, std::int64_t microseconds) {
  std::string resolved;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      resolved += format[i];
      continue;
    }
    const char directive = format[++i];
    if (directive == 'f') {
      resolved += fmt::format("{:06}", microseconds);
    } else if (directive != 'z' && directive != 'Z') {
      resolved += '%';
      resolved += directive;
    }
  }
  return resolved;
}

}  // namespace

std::string format_time(std::string_view format, std::chrono::system_clock::time_point when) {
  if (format.find('\0') != std::string_view::npos) {
    throw runtime_error("ValueError: embedded null character");
  }
  const auto seconds = std::chrono::floor<std::chrono::seconds>(when);
  const auto microseconds =
      std::chrono::duration_cast<std::chrono::microseconds>(when - seconds).count();
  const std::time_t time = std::chrono::system_clock::to_time_t(seconds);
  std::tm local{};
  if (localtime_r(&time, &local) == nullptr) throw runtime_error("the time is out of range");
  // datetime does not tell the C library about the zone.
  local.tm_isdst = -1;
  local.tm_zone = "";
  const std::string resolved = resolve_own_directives(format, microseconds);
  constexpr std::uint64_t kStepsPerDirective = 16;
  Budget::spend(kStepsPerDirective *
                static_cast<std::uint64_t>(std::count(resolved.begin(), resolved.end(), '%')));
  if (resolved.empty()) return {};
  // An empty answer may mean that the buffer is too small, or that the text is empty.
  constexpr std::size_t kMaxGrowth = 256;
  for (std::size_t size = 1024;; size *= 2) {
    Budget::require(size);
    Budget::spend_bytes(size);
    std::string text(size, '\0');
    const std::size_t length = strftime_l(text.data(), size, resolved.c_str(), &local, c_locale());
    if (length > 0 || size >= kMaxGrowth * resolved.size()) {
      text.resize(length);
      return text;
    }
  }
}

}  // namespace mistral::text::jinja
