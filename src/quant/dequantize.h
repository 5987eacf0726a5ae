// Decoding of stored rows to float: the definition of what every format means. Kernels that work
// on packed data are compared with this.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace mistral::quant {

// Whether dequantize_row knows the format. False for U8 and BOOL only, which hold no weights.
[[nodiscard]] bool can_dequantize(DType dtype);

// Decodes `n` elements, a whole number of blocks, from row_bytes(dtype, n) bytes at `src` (any
// alignment) to `dst`. For block formats the products are formed in float in this order: block
// scale times sub-block scale, times the integer, minus (or plus) the minimum term; so results are
// the same to the bit everywhere. Throws Error: kUnsupported for a format that it does not know,
// kInvalidArgument when n is negative or not a multiple of the block.
void dequantize_row(DType dtype, const std::byte* src, float* dst, std::int64_t n);

}  // namespace mistral::quant
