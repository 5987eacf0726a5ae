// Sums over the elements of a sub-block that the encoders of block formats try scales with: the
// inner loops of quant/k_quants.cpp.
#pragma once

#include <array>
#include <cstring>

namespace mistral::quant {

// Floats of this size have a unit of 1: adding and subtracting it rounds.
inline constexpr float kUnitsOfOne = 0x1.8p23F;

// The nearest integer, ties to even, for |value| < 2^22.
[[nodiscard]] inline float round_to_even(float value) {
  return (value + kUnitsOfOne) - kUnitsOfOne;
}

// Four floats, in the baseline instructions of every machine; the compilers do not find these
// vectors in plain loops. (Attribute of GCC and Clang.)
using Vector = float __attribute__((vector_size(16)));

inline Vector load(const float* x) {
  Vector v;
  std::memcpy(&v, x, sizeof v);
  return v;
}

inline Vector broadcast(float x) {
  return Vector{x, x, x, x};
}

// Sums run in eight lanes that are added at the end: two vectors do not wait for each other, and
// the order of additions is fixed.
inline constexpr int kWidth = 4;
inline constexpr int kLanes = 2 * kWidth;
using Lanes = std::array<Vector, 2>;

inline float total(const Lanes& lanes) {
  const Vector sum = lanes[0] + lanes[1];
  return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

template <int low, int high>
Vector to_integer(Vector value) {
  const Vector lowest = broadcast(static_cast<float>(low));
  const Vector highest = broadcast(static_cast<float>(high));
  value = value < lowest ? lowest : value;
  value = value > highest ? highest : value;
  const Vector units = broadcast(kUnitsOfOne);
  return (value + units) - units;
}

template <int low, int high>
float to_integer(float value) {
  return to_integer<low, high>(broadcast(value))[0];
}

// Sums over a sub-block with its integers q.
struct Moments {
  float q = 0.0F;
  float qq = 0.0F;
  float xq = 0.0F;
};

// q = round(x * inverse_step + shift), within the limits.
template <int size, int low, int high>
Moments moments(const float* x, float inverse_step, float shift) {
  const Vector inverse = broadcast(inverse_step);
  const Vector offset = broadcast(shift);
  Lanes q_sum{};
  Lanes qq_sum{};
  Lanes xq_sum{};
  for (int i = 0; i < size; i += kLanes) {
    for (int l = 0; l < 2; ++l) {
      const Vector value = load(x + i + l * kWidth);
      const Vector q = to_integer<low, high>(value * inverse + offset);
      q_sum[l] += q;
      qq_sum[l] += q * q;
      xq_sum[l] += value * q;
    }
  }
  return {total(q_sum), total(qq_sum), total(xq_sum)};
}

// The error of decoding with x = step * q - minimum for the best q; the sum of x - step * q too.
struct Residual {
  float error = 0.0F;
  float sum = 0.0F;
};

template <int size, int low, int high>
Residual residual(const float* x, float step, float minimum) {
  const Vector inverse = broadcast(step == 0.0F ? 0.0F : 1.0F / step);
  const Vector steps = broadcast(step);
  const Vector minimums = broadcast(minimum);
  Lanes error{};
  Lanes sum{};
  for (int i = 0; i < size; i += kLanes) {
    for (int l = 0; l < 2; ++l) {
      const Vector value = load(x + i + l * kWidth);
      const Vector q = to_integer<low, high>((value + minimums) * inverse);
      const Vector rest = value - steps * q;
      const Vector difference = rest + minimums;
      sum[l] += rest;
      error[l] += difference * difference;
    }
  }
  return {total(error), total(sum)};
}

// The sum of x - shift.
template <int size>
float sum_of(const float* x, float shift) {
  Lanes sum{};
  for (int i = 0; i < size; i += kLanes) {
    for (int l = 0; l < 2; ++l) sum[l] += load(x + i + l * kWidth) - broadcast(shift);
  }
  return total(sum);
}

}  // namespace mistral::quant
