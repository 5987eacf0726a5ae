// Reads a Python pickle (protocols 2 to 5) of a PyTorch checkpoint without running anything: only
// the opcodes and names that state dicts consist of are known, any other name is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "formats/pickle_value.h"

namespace mistral::formats {

// The pickle at the front of `bytes`, from which the result borrows. Throws Error (kInvalidFile for
// damage, kUnsupported for names and opcodes that are not known) without naming the file. Uses at
// most about `memory` bytes, no recursion, and time in proportion to the pickle and `memory`.
[[nodiscard]] Pickle read_pickle(std::span<const std::byte> bytes, std::uint64_t memory);

}  // namespace mistral::formats
