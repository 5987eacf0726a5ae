// JSON from strangers: nesting and the number of elements are limited before anything is built from
// it.
#pragma once

#include <cstddef>
#include <span>

#include <nlohmann/json.hpp>

namespace mistral::formats {

// Throws Error (kInvalidFile) for text that is not JSON, nests deeper than `max_depth`, or has an
// array or object that would take more memory than memory_for() allows.
[[nodiscard]] nlohmann::json parse_limited_json(std::span<const std::byte> text, int max_depth);

}  // namespace mistral::formats
