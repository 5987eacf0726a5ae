// Random weights and their inputs for tests of products.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ops/backends.h"

namespace mistral::test {

struct Matrix {
  Matrix(DType dtype, std::int64_t out, std::int64_t in, std::uint32_t seed)
      : data(random_weights(dtype, out, in, seed)), view{dtype, {{out, in}}, data} {}
  std::vector<std::byte> data;
  TensorView view;
};

inline std::unique_ptr<ops::Weight> packed(ops::Backend& backend, const TensorView& view) {
  return backend.pack(view, DType::kCount, nullptr);
}

// Activations in the form that `weight` reads.
inline ActivationBuffers activations(ops::Backend& backend, const std::vector<float>& x,
                                     std::int64_t rows, const ops::Weight& weight) {
  ActivationBuffers buffers(rows, weight.in(), ops::kFormF32 | weight.input_form());
  backend.quantize({x.data(), rows, weight.in(), weight.in()}, buffers.view());
  return buffers;
}

}  // namespace mistral::test
