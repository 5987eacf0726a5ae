// JSON from strangers: nesting is limited before anything is built from it.
#pragma once

#include <cstddef>
#include <span>

#include <nlohmann/json.hpp>

namespace mistral::formats {

// Throws Error (kInvalidFile) for text that is not JSON or nests deeper than `max_depth`.
[[nodiscard]] nlohmann::json parse_limited_json(std::span<const std::byte> text, int max_depth);

}  // namespace mistral::formats
