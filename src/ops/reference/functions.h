// The mathematics of the ops, one row or one number at a time, in double.
#pragma once

#include <cstdint>
#include <span>

#include "ops/ops.h"

namespace mistral::ops::reference {

[[nodiscard]] double activation(Activation kind, double x);
// activation(gate) * up, where the kind does not do more to `up`.
[[nodiscard]] double gated(Activation kind, double gate, double up);

// Normalises `n` values; `in` and `out` may be the same.
void norm(const NormParams& params, const float* in, std::int64_t n, float* out);

// exp(x - max) / sum in place. Entries of minus infinity become 0; at least one must be finite.
void softmax(std::span<double> x);

// Rotates those dims of one head that the table says, by its row `row`.
void rotate(const RopeTable& table, std::int64_t row, float* head);

// Symmetric int8 codes with a scale (largest magnitude / 127) for every `block` values, and the
// sums of codes; n is a multiple of the block. In float, as the kernels do it: the codes are to be
// equal.
void quantize(const float* in, std::int64_t n, std::int64_t block, std::int8_t* codes,
              float* scales, std::int16_t* sums16, std::int16_t* sums32);

}  // namespace mistral::ops::reference
