// Reads the header of one safetensors file from memory, with all offsets checked against the bytes
// that are there.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "formats/weight_source.h"

namespace mistral::formats {

// The tensors in the order of their data; views into `bytes`, file = 0. Throws Error (kInvalidFile,
// kUnsupported) without naming the file: the caller knows it. Memory stays in proportion to the
// header, whatever it claims.
[[nodiscard]] std::vector<TensorInfo> parse_safetensors(std::span<const std::byte> bytes);

}  // namespace mistral::formats
