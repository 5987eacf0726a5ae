// What the machine has left.
#pragma once

#include <cstdint>
#include <filesystem>

namespace mistral {

// Sums of bytes up to here are told as they are; what is beyond is refused without more counting.
inline constexpr std::int64_t kBeyondAnyMachine = std::int64_t{1} << 50;

// Bytes that this process may still take without swapping: available memory of the system, limited
// by the memory limits of its control group and of those around it. 0 when unknown. /proc and /sys
// are looked for in `root`.
[[nodiscard]] std::int64_t available_memory(const std::filesystem::path& root = "/");

// All memory that this process may have at most, counted the same way. 0 when unknown.
[[nodiscard]] std::int64_t total_memory(const std::filesystem::path& root = "/");

}  // namespace mistral
