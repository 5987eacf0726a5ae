// Encoding of float rows into stored formats.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace mistral::quant {

// Whether quantize_row knows the format: F32, F16, BF16, F8_E4M3, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0,
// Q8_1 and Q2_K to Q8_K.
[[nodiscard]] bool can_quantize(DType dtype);

// Encodes `n` elements, a whole number of blocks, to row_bytes(dtype, n) bytes at `dst` (any
// alignment). The result depends on the values alone and is the same on every machine: the formats
// with blocks of 32 and Q8_K follow the arithmetic that the GGML formats prescribe, byte for byte;
// Q2_K to Q6_K minimise the squared error of each block of 256 (quant/k_quants.h).
// Throws Error: kUnsupported for a format that it does not know; kInvalidArgument when n is
// negative or not a multiple of the block, when a block format meets a value that is not finite, or
// when the scale of a block does not fit its half.
void quantize_row(DType dtype, const float* src, std::byte* dst, std::int64_t n);

}  // namespace mistral::quant
