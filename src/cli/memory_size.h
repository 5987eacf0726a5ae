// Amounts of memory as users write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mistral::cli {

inline constexpr std::int64_t kMostMemory = std::int64_t{1} << 52;

// Bytes of "800000000", "12GiB", "12 GB", "1.5g": a number and perhaps a unit B, K, M, G or T,
// which are powers of 1024 as everywhere in this program. None for everything else and for what is
// below a byte or above kMostMemory.
[[nodiscard]] std::optional<std::int64_t> parse_memory_size(std::string_view text);

}  // namespace mistral::cli
