// A borrowed, contiguous, read-only tensor as it stands in a file.
#pragma once

#include <cstddef>
#include <span>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace mistral {

struct TensorView {
  DType dtype = DType::kF32;
  Shape shape;
  std::span<const std::byte> data;  // exactly rows * row_bytes(dtype, row_length)
};

}  // namespace mistral
