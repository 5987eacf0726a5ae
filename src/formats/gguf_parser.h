// Reads the header of one GGUF file from memory: metadata and tensor table, with all counts,
// lengths and offsets checked against the bytes that are there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "formats/gguf.h"

namespace mistral::formats {

struct ParsedGguf {
  std::uint32_t version = 0;
  GgufMetadata metadata;            // strings borrow from the bytes
  std::vector<TensorInfo> tensors;  // views into the bytes; in the order of the file; file = 0
};

// Throws Error (kInvalidFile, kUnsupported) without naming the file: the caller knows it. Names
// that occur twice among the tensors are left to TensorTable, which sees all shards.
[[nodiscard]] ParsedGguf parse_gguf(std::span<const std::byte> bytes);

}  // namespace mistral::formats
