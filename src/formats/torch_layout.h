// Where the elements of a tensor with strides lie in its storage.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace mistral::formats {

struct StridedLayout {
  DType dtype = DType::kF32;
  Shape shape;
  std::vector<std::int64_t> strides;  // in elements, as many as dims
  std::int64_t offset = 0;            // in elements
};

// Bytes of the tensor with its elements one after another. Throws Error (kInvalidFile) when a
// number is negative, the sizes overflow, or an element lies outside of a storage of
// `storage_bytes`.
[[nodiscard]] std::uint64_t check_layout(const StridedLayout& layout, std::uint64_t storage_bytes);

// Whether the elements of a checked layout lie one after another.
[[nodiscard]] bool is_contiguous(const StridedLayout& layout);

// Copies the elements of a checked layout in order to `out`, which has room for all of them.
void gather(const StridedLayout& layout, std::span<const std::byte> storage,
            std::span<std::byte> out);

}  // namespace mistral::formats
