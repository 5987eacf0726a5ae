// A name that was probably meant, for messages about names that are not known.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace mistral {

// The candidate that differs from `name` by the fewest edits (a character put in, left out,
// replaced or swapped with its neighbour), upper and lower case being the same; the first of
// several. None when none differs by at most a third of the name.
[[nodiscard]] std::optional<std::string_view> nearest_name(
    std::string_view name, std::span<const std::string_view> candidates);

}  // namespace mistral
