// Dates and times as text.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace mistral::text::jinja {

// datetime.strftime of the local time, in the C locale. Throws EvalError for formats with a NUL.
[[nodiscard]] std::string format_time(std::string_view format,
                                      std::chrono::system_clock::time_point when);

}  // namespace mistral::text::jinja
