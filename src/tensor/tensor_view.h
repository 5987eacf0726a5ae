// A borrowed, contiguous, read-only tensor as it stands in a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace mistral {

struct TensorView {
  DType dtype = DType::kF32;
  Shape shape;
  std::span<const std::byte> data;  // exactly rows * row_bytes(dtype, row_length)
};

// Bytes that the elements take, also where `data` is empty.
[[nodiscard]] inline std::uint64_t byte_size(const TensorView& view) {
  return static_cast<std::uint64_t>(row_bytes(view.dtype, view.shape.elements()));
}

}  // namespace mistral
