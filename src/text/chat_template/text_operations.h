// Operations on text that methods and filters share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/chat_template/value.h"

namespace mistral::text::jinja {

// Replaces up to `limit` occurrences, all of them if it is negative. An empty `from` stands
// between all characters.
[[nodiscard]] std::string replace_text(std::string_view text, std::string_view from,
                                       std::string_view to, std::int64_t limit);
// The same with a string of the template; it is given back if it does not hold `from`.
[[nodiscard]] Value replace_in(const Value& text, std::string_view from, std::string_view to,
                               std::int64_t limit);
// The last position of `needle`; npos if there is none.
[[nodiscard]] std::size_t rfind_text(std::string_view text, std::string_view needle);
// Centres like str.center, which puts an odd space elsewhere than the format language does.
[[nodiscard]] std::string center_text(std::string_view text, std::int64_t width,
                                      std::string_view fill);
// str.isupper and str.islower: all cased characters are of that case, and there is one.
[[nodiscard]] bool is_upper_text(std::string_view text);
[[nodiscard]] bool is_lower_text(std::string_view text);

}  // namespace mistral::text::jinja
