#include "quant/k_quants.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "quant/half.h"
#include "quant/sub_block_sums.h"

namespace mistral::quant {
namespace {

// Below this the halves of a block are all zero, and inverses stay finite above it.
constexpr float kTiny = 1e-20F;

int nearest(float value, int low, int high) {
  // The comparison also catches what is too large for an int.
  if (!(value > static_cast<float>(low))) return low;
  if (value >= static_cast<float>(high)) return high;
  return static_cast<int>(round_to_even(value));
}

bool fits_half(float scale) {
  return (f32_to_f16(scale) & 0x7c00) != 0x7c00;
}

[[noreturn]] void throw_too_large(float value) {
  throw make_error(ErrorKind::kInvalidArgument,
                   "a block holds {}: its scale is beyond the range of halves", value);
}

float largest_magnitude(const float* x) {
  float largest = 0.0F;
  for (int i = 0; i < kSuperBlock; ++i) largest = std::max(largest, std::fabs(x[i]));
  return largest;
}

// No format reaches so far, and squares of what is below have finite sums.
void check_range(const float* x) {
  if (const float largest = largest_magnitude(x); largest > 1e12F) throw_too_large(largest);
}

// A search that found no scale within the range of halves has an infinite error.
void check_found(float error, const float* x) {
  if (!std::isfinite(error)) throw_too_large(largest_magnitude(x));
}

// Formats without a minimum.

// x = d * scale * q with q in low..high and integer scales of both signs.
template <int sub_blocks, int low, int high, int scale_low, int scale_high>
struct SymmetricBlock {
  static constexpr int kSize = kSuperBlock / sub_blocks;

  float d = 0.0F;  // exactly a half
  std::array<std::int8_t, sub_blocks> scales{};
  float error = std::numeric_limits<float>::infinity();

  // Candidates are steps that bring the value of largest magnitude near one end of the range.
  static float fit(const float* x) {
    float extreme = 0.0F;
    for (int i = 0; i < kSize; ++i) {
      if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
    }
    if (std::fabs(extreme) < kTiny) return 0.0F;
    float best_gain = 0.0F;
    float best = 0.0F;
    const auto consider = [&](float inverse_step) {
      const Moments m = moments<kSize, low, high>(x, inverse_step, 0.0F);
      // Equals up to rounding go to the first.
      if (m.qq > 0.0F && m.xq * m.xq > best_gain * 1.000001F * m.qq) {
        best_gain = m.xq * m.xq / m.qq;
        best = m.xq / m.qq;
      }
    };
    // The end itself first: it suits values that are few or equal. Coarse formats gain from
    // reaching beyond the end (clipping) and from the other end, which is one level shorter.
    consider(static_cast<float>(low) / extreme);
    constexpr bool kCoarse = high < 8;
    constexpr int kSteps = kCoarse ? 16 : 9;
    constexpr float kFirst = kCoarse ? -0.6F : -0.8F;
    constexpr float kStride = kCoarse ? 0.15F : 0.2F;
    for (int i = 0; i < kSteps; ++i) {
      const float beyond = kFirst + kStride * static_cast<float>(i);
      consider((static_cast<float>(low) - beyond) / extreme);
      if (kCoarse) consider((static_cast<float>(high) + beyond) / extreme);
    }
    for (int i = 0; i < 2 && best != 0.0F; ++i) consider(1.0F / best);
    return best;
  }

  void choose_scales(const float* x, const std::array<float, sub_blocks>& ideal) {
    error = 0.0F;
    for (int b = 0; b < sub_blocks; ++b) {
      const float* sub = x + b * kSize;
      const int middle = d == 0.0F ? 0 : nearest(ideal[b] / d, scale_low, scale_high);
      float best = std::numeric_limits<float>::infinity();
      for (int s = std::max(middle - 1, scale_low); s <= std::min(middle + 1, scale_high); ++s) {
        const float e = residual<kSize, low, high>(sub, d * static_cast<float>(s), 0.0F).error;
        if (e < best) {
          best = e;
          scales[b] = static_cast<std::int8_t>(s);
        }
      }
      error += best;
    }
  }

  // The best common factor for the integers as they are.
  [[nodiscard]] float solve(const float* x) const {
    float xq = 0.0F;
    float qq = 0.0F;
    for (int b = 0; b < sub_blocks; ++b) {
      const auto s = static_cast<float>(scales[b]);
      const float step = d * s;
      if (step == 0.0F) continue;
      const Moments m = moments<kSize, low, high>(x + b * kSize, 1.0F / step, 0.0F);
      xq += s * m.xq;
      qq += s * s * m.qq;
    }
    return qq > 0.0F ? xq / qq : 0.0F;
  }

  static SymmetricBlock search(const float* x) {
    check_range(x);
    std::array<float, sub_blocks> ideal;
    float extreme = 0.0F;
    for (int b = 0; b < sub_blocks; ++b) {
      ideal[b] = fit(x + b * kSize);
      if (std::fabs(ideal[b]) > std::fabs(extreme)) extreme = ideal[b];
    }
    SymmetricBlock best;
    for (const int end : {scale_low, scale_high, scale_low + scale_high / 8}) {
      SymmetricBlock block;
      float d = extreme / static_cast<float>(end);
      for (int round = 0; round < 3; ++round) {
        if (!fits_half(d)) break;
        block.d = f16_to_f32(f32_to_f16(d));
        block.choose_scales(x, ideal);
        const bool better = block.error < best.error;
        if (better) best = block;
        if (round > 0 && !better) break;
        d = block.solve(x);
      }
    }
    check_found(best.error, x);
    return best;
  }

  // The integers, counted from `low`.
  void integers(const float* x, std::uint8_t* q) const {
    for (int i = 0; i < kSuperBlock; ++i) {
      const float step = d * static_cast<float>(scales[i / kSize]);
      const float inverse_step = step == 0.0F ? 0.0F : 1.0F / step;
      q[i] = static_cast<std::uint8_t>(to_integer<low, high>(x[i] * inverse_step) - low);
    }
  }
};

// Formats with a minimum.

// x = d * scale * q - dmin * minimum with q in 0..high and unsigned integer scales and minimums.
// The sign of dmin is free, so a block of positive values has its minimum as well.
template <int sub_blocks, int high, int scale_high>
struct MinimumBlock {
  static constexpr int kSize = kSuperBlock / sub_blocks;

  float d = 0.0F;  // exactly halves
  float dmin = 0.0F;
  std::array<std::uint8_t, sub_blocks> scales{};
  std::array<std::uint8_t, sub_blocks> mins{};
  float error = std::numeric_limits<float>::infinity();

  struct Fit {
    float scale = 0.0F;
    float minimum = 0.0F;
  };

  // x = scale * q - minimum where the minimum has the given sign.
  static Fit fit(const float* x, float sign) {
    const auto [first, last] = std::minmax_element(x, x + kSize);
    // The offset of the lowest level, zero where the sign forbids the lowest value.
    const float low = sign * *first <= 0.0F ? *first : 0.0F;
    const float range = *last - low;
    if (!(range > kTiny))
      return {0.0F, sign * std::max(0.0F, -sign * sum_of<kSize>(x, 0.0F) / kSize)};
    // Sums over x - low: small numbers, where x may be a large offset and a little change.
    std::array<float, kSize> y;
    for (int i = 0; i < kSize; ++i) y[i] = x[i] - low;
    const float y_sum = sum_of<kSize>(x, low);
    constexpr auto kCount = static_cast<float>(kSize);
    Fit best{0.0F, -low};
    float best_gain = 0.0F;
    const auto consider = [&](float inverse_step, float shift) {
      const Moments m = moments<kSize, 0, high>(y.data(), inverse_step, shift);
      const float determinant = kCount * m.qq - m.q * m.q;
      if (!(determinant > 0.0F)) return;
      float scale = (kCount * m.xq - y_sum * m.q) / determinant;
      float offset = (y_sum * m.qq - m.xq * m.q) / determinant;
      if (sign * (low + offset) > 0.0F) {
        offset = -low;
        scale = (m.xq - offset * m.q) / m.qq;
      }
      // How far the error is below the sum of y^2, for any scale and offset.
      const float gain = scale * (2.0F * m.xq - scale * m.qq) +
                         offset * (2.0F * y_sum - kCount * offset) - 2.0F * scale * offset * m.q;
      if (scale > 0.0F && gain > best_gain + 1e-6F * std::fabs(best_gain)) {
        best_gain = gain;
        best = {scale, -(low + offset)};
      }
    };
    consider(static_cast<float>(high) / range, 0.0F);
    constexpr int kSteps = 12;
    constexpr float kFirst = high < 8 ? -0.6F : -0.9F;
    constexpr float kStride = high < 8 ? 0.15F : 0.2F;
    for (int i = 0; i < kSteps; ++i) {
      consider((static_cast<float>(high) + kFirst + kStride * static_cast<float>(i)) / range, 0.0F);
    }
    for (int i = 0; i < 3 && best.scale > 0.0F; ++i) {
      const float inverse_step = 1.0F / best.scale;
      consider(inverse_step, (low + best.minimum) * inverse_step);
    }
    return best;
  }

  void choose_integers(const float* x, const std::array<Fit, sub_blocks>& ideal) {
    error = 0.0F;
    for (int b = 0; b < sub_blocks; ++b) {
      const float* sub = x + b * kSize;
      const int middle = d == 0.0F ? 0 : nearest(ideal[b].scale / d, 0, scale_high);
      float best = std::numeric_limits<float>::infinity();
      for (int s = std::max(middle - 1, 0); s <= std::min(middle + 1, scale_high); ++s) {
        const float step = d * static_cast<float>(s);
        int minimum = dmin == 0.0F ? 0 : nearest(ideal[b].minimum / dmin, 0, scale_high);
        // The minimum that suits the integers of this one, while it changes and helps.
        for (int turn = 0, previous = -1; turn < 3 && minimum != previous; ++turn) {
          const Residual r =
              residual<kSize, 0, high>(sub, step, dmin * static_cast<float>(minimum));
          if (r.error < best) {
            best = r.error;
            scales[b] = static_cast<std::uint8_t>(s);
            mins[b] = static_cast<std::uint8_t>(minimum);
          }
          previous = minimum;
          if (dmin != 0.0F) {
            minimum = nearest(-r.sum / static_cast<float>(kSize) / dmin, 0, scale_high);
          }
        }
      }
      error += best;
    }
  }

  // The best common factors for the integers as they are: two unknowns.
  void solve(const float* x, float& new_d, float& new_dmin) const {
    double aa = 0.0;
    double ab = 0.0;
    double bb = 0.0;
    double xa = 0.0;
    double xb = 0.0;
    for (int b = 0; b < sub_blocks; ++b) {
      const double s = scales[b];
      const double m = mins[b];
      const float step = d * static_cast<float>(scales[b]);
      const float inverse_step = step == 0.0F ? 0.0F : 1.0F / step;
      const Moments t = moments<kSize, 0, high>(x + b * kSize, inverse_step,
                                                dmin * static_cast<float>(mins[b]) * inverse_step);
      aa += s * s * t.qq;
      ab += s * m * t.q;
      bb += m * m * kSize;
      xa += s * t.xq;
      xb += m * sum_of<kSize>(x + b * kSize, 0.0F);
    }
    const double determinant = aa * bb - ab * ab;
    if (determinant > 1e-9 * aa * bb) {
      new_d = static_cast<float>((xa * bb - xb * ab) / determinant);
      new_dmin = static_cast<float>((xa * ab - xb * aa) / determinant);
    } else if (aa > 0.0) {
      new_d = static_cast<float>((xa + dmin * ab) / aa);
    } else if (bb > 0.0) {
      new_dmin = static_cast<float>(-xb / bb);
    }
  }

  static void search(const float* x, float sign, MinimumBlock& best) {
    std::array<Fit, sub_blocks> ideal;
    float largest_scale = 0.0F;
    float largest_minimum = 0.0F;
    for (int b = 0; b < sub_blocks; ++b) {
      ideal[b] = fit(x + b * kSize, sign);
      largest_scale = std::max(largest_scale, ideal[b].scale);
      largest_minimum = std::max(largest_minimum, sign * ideal[b].minimum);
    }
    for (const int end : {scale_high, scale_high - scale_high / 8}) {
      MinimumBlock block;
      float new_d = largest_scale / static_cast<float>(end);
      float new_dmin = sign * largest_minimum / static_cast<float>(end);
      for (int round = 0; round < 3; ++round) {
        if (!fits_half(new_d) || !fits_half(new_dmin)) break;
        block.d = f16_to_f32(f32_to_f16(new_d));
        block.dmin = f16_to_f32(f32_to_f16(new_dmin));
        block.choose_integers(x, ideal);
        const bool better = block.error < best.error;
        if (better) best = block;
        if (round > 0 && !better) break;
        block.solve(x, new_d, new_dmin);
      }
    }
  }

  static MinimumBlock search(const float* x) {
    check_range(x);
    MinimumBlock best;
    search(x, 1.0F, best);
    // A negative dmin can help only where a whole sub-block is positive.
    for (int b = 0; b < sub_blocks; ++b) {
      if (*std::min_element(x + b * kSize, x + (b + 1) * kSize) > 0.0F) {
        search(x, -1.0F, best);
        break;
      }
    }
    check_found(best.error, x);
    return best;
  }

  void integers(const float* x, std::uint8_t* q) const {
    for (int i = 0; i < kSuperBlock; ++i) {
      const float step = d * static_cast<float>(scales[i / kSize]);
      const float minimum = dmin * static_cast<float>(mins[i / kSize]);
      const float inverse_step = step == 0.0F ? 0.0F : 1.0F / step;
      q[i] = static_cast<std::uint8_t>(to_integer<0, high>((x[i] + minimum) * inverse_step));
    }
  }
};

// The low two bits of all elements, in the order of Q2_K and Q3_K.
void store_two_bits(const std::uint8_t* q, std::uint8_t* qs) {
  for (int h = 0; h < 2; ++h) {
    for (int l = 0; l < 32; ++l) {
      const std::uint8_t* column = q + 128 * h + l;
      qs[32 * h + l] = static_cast<std::uint8_t>((column[0] & 3) | (column[32] & 3) << 2 |
                                                 (column[64] & 3) << 4 | (column[96] & 3) << 6);
    }
  }
}

// The low nibbles of all elements, in the order of Q4_K and Q5_K.
void store_nibbles(const std::uint8_t* q, std::uint8_t* qs) {
  for (int c = 0; c < 4; ++c) {
    for (int l = 0; l < 32; ++l) {
      qs[32 * c + l] =
          static_cast<std::uint8_t>((q[64 * c + l] & 15) | (q[64 * c + 32 + l] & 15) << 4);
    }
  }
}

template <typename Found, typename Block>
void store_scales_and_minimums(const Found& found, Block& block) {
  block.d = f32_to_f16(found.d);
  block.dmin = f32_to_f16(found.dmin);
  pack_scales_q4_k(found.scales.data(), found.mins.data(), block.scales);
}

}  // namespace

void encode_q2_k(const float* x, BlockQ2_K& block) {
  const auto found = MinimumBlock<16, 3, 15>::search(x);
  std::uint8_t q[kSuperBlock];
  found.integers(x, q);
  for (int i = 0; i < 16; ++i) {
    block.scales[i] = static_cast<std::uint8_t>(found.scales[i] | found.mins[i] << 4);
  }
  store_two_bits(q, block.qs);
  block.d = f32_to_f16(found.d);
  block.dmin = f32_to_f16(found.dmin);
}

void encode_q3_k(const float* x, BlockQ3_K& block) {
  const auto found = SymmetricBlock<16, -4, 3, -32, 31>::search(x);
  std::uint8_t q[kSuperBlock];
  found.integers(x, q);
  pack_scales_q3_k(found.scales.data(), block.scales);
  store_two_bits(q, block.qs);
  for (int l = 0; l < 32; ++l) {
    int bits = 0;
    for (int j = 0; j < 8; ++j) bits |= (q[32 * j + l] >> 2) << j;
    block.hmask[l] = static_cast<std::uint8_t>(bits);
  }
  block.d = f32_to_f16(found.d);
}

void encode_q4_k(const float* x, BlockQ4_K& block) {
  const auto found = MinimumBlock<8, 15, 63>::search(x);
  std::uint8_t q[kSuperBlock];
  found.integers(x, q);
  store_scales_and_minimums(found, block);
  store_nibbles(q, block.qs);
}

void encode_q5_k(const float* x, BlockQ5_K& block) {
  const auto found = MinimumBlock<8, 31, 63>::search(x);
  std::uint8_t q[kSuperBlock];
  found.integers(x, q);
  store_scales_and_minimums(found, block);
  store_nibbles(q, block.qs);
  for (int l = 0; l < 32; ++l) {
    int bits = 0;
    for (int b = 0; b < 8; ++b) bits |= (q[32 * b + l] >> 4) << b;
    block.qh[l] = static_cast<std::uint8_t>(bits);
  }
}

void encode_q6_k(const float* x, BlockQ6_K& block) {
  const auto found = SymmetricBlock<16, -32, 31, -128, 127>::search(x);
  std::uint8_t q[kSuperBlock];
  found.integers(x, q);
  for (int h = 0; h < 2; ++h) {
    const std::uint8_t* half = q + 128 * h;
    for (int l = 0; l < 64; ++l) {
      block.ql[64 * h + l] = static_cast<std::uint8_t>((half[l] & 15) | (half[64 + l] & 15) << 4);
    }
    for (int l = 0; l < 32; ++l) {
      block.qh[32 * h + l] = static_cast<std::uint8_t>(
          half[l] >> 4 | half[32 + l] >> 4 << 2 | half[64 + l] >> 4 << 4 | half[96 + l] >> 4 << 6);
    }
  }
  std::copy(found.scales.begin(), found.scales.end(), block.scales);
  block.d = f32_to_f16(found.d);
}

}  // namespace mistral::quant
