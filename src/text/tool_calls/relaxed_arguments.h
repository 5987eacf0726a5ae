// Arguments that models write in other notations than JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mistral::text {

// `city="Rome", days=3, wet=True`: keyword arguments with Python's literals. Returns an object of
// JSON; nothing when the text is something else or nests deeper than `max_depth`.
[[nodiscard]] std::optional<std::string> python_arguments(std::string_view text, int max_depth);

// `{city:<|"|>Rome<|"|>,days:3}`: JSON whose keys have no quotes and whose strings have long ones.
[[nodiscard]] std::optional<std::string> quoted_arguments(std::string_view text, int max_depth);
inline constexpr std::string_view kLongQuote = "<|\"|>";

}  // namespace mistral::text
