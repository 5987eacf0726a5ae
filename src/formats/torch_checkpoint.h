// Reads one file of torch.save from memory: the zip archive of PyTorch 1.6 and later, or the row of
// pickles before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "formats/torch_layout.h"

namespace mistral::formats {

struct TorchTensor {
  std::string name;
  StridedLayout layout;
  std::span<const std::byte> storage;  // part of the bytes; may be shared with other tensors
  std::uint64_t bytes = 0;             // with its elements one after another
};

// The weights in the order of their dict, all places checked. Throws Error (kInvalidFile,
// kUnsupported, kNotFound for a storage that is not there) without naming the file. Runs nothing,
// and memory stays within a few times the size of the pickle, at most twice that of the file (8 MiB
// for small ones).
[[nodiscard]] std::vector<TorchTensor> parse_torch(std::span<const std::byte> bytes);

}  // namespace mistral::formats
