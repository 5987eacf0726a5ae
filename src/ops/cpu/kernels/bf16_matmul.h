// Products of BF16 weights with BF16 activations: two inputs an instruction, sums in f32.
#pragma once

#include "ops/cpu/kernels/stored_rows.h"
#include "ops/cpu/kernels/tiling.h"

namespace mistral::ops::cpu {
namespace {

inline constexpr std::int64_t kPairChunk = 128;  // pairs: 16 KB of two panels

// Per lane: acc + sum of 2 products.
inline Simd::F dot2(Simd::F acc, Simd::B a, Simd::I b) {
  return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}

template <int R, bool Ahead>
inline void bf16_rows(const std::byte* unit, int group, const std::uint32_t* in_rows,
                      std::int64_t in_stride, std::int64_t pairs, bool first, float* out) {
  constexpr std::int64_t kPairBytes = kUnitColumns * 4;
  constexpr std::int64_t kAhead = 8192;
  Simd::F acc[R][kGroups];
  for (int r = 0; r < R; ++r) {
    for (int g = 0; g < kGroups; ++g) {
      acc[r][g] =
          first ? Simd::zero() : Simd::load(out + r * kUnitColumns + (group + g) * Simd::kLanes);
    }
  }
  for (std::int64_t k = 0; k < pairs; ++k) {
    const std::byte* pair = unit + k * kPairBytes;
    if (Ahead) {
      for (std::int64_t i = 0; i < kPairBytes; i += 64) __builtin_prefetch(pair + kAhead + i, 0, 2);
    }
    Simd::B w[kGroups];
    for (int g = 0; g < kGroups; ++g) {
      w[g] = Simd::load_bytes(pair + (group + g) * Simd::kLanes * 4);
    }
    for (int r = 0; r < R; ++r) {
      const Simd::I a = Simd::int_set1(static_cast<std::int32_t>(in_rows[r * in_stride + k]));
      for (int g = 0; g < kGroups; ++g) acc[r][g] = dot2(acc[r][g], w[g], a);
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int g = 0; g < kGroups; ++g) {
      Simd::store(out + r * kUnitColumns + (group + g) * Simd::kLanes, acc[r][g]);
    }
  }
}

// Pairs of inputs of a row as they stand in a file. An odd last one is joined by what follows it,
// and its input by zero: but zero times infinity is none, so such rows are packed.
struct StoredPairs {
  static constexpr std::int64_t kBytes = 4;
  static Simd::F load(const std::byte* p) { return StoredF32::load(p); }  // 32 bits of whatever
};

template <bool Ahead>
inline void bf16_chunk(const MatmulTask& t, const std::byte* unit, std::int64_t k,
                       std::int64_t pairs) {
  const std::int64_t in_stride = (t.in + 1) / 2;
  cover<kGroups, Simd::kRowTile>(t.rows, [&]<int R>(std::int64_t row, int group) {
    const auto run = [&]<bool First>() {
      bf16_rows<R, Ahead && First>(unit, group, t.input->bf16 + (t.first_row + row) * in_stride + k,
                                   in_stride, pairs, k == 0, t.out + row * kUnitColumns);
    };
    if (row == 0) {
      run.template operator()<true>();
    } else {
      run.template operator()<false>();
    }
  });
}

void bf16_matmul(const MatmulTask& t) {
  const std::int64_t total = (t.in + 1) / 2;
  if (t.stored_rows > 0 && t.rows <= kStoredRows) {
    const std::uint32_t* in = t.input->bf16 + t.first_row * total;
    return stored_product<StoredPairs>(
        t, t.in * 2, total, [&](Simd::F pairs, int row, std::int64_t k, Simd::F sum) {
          return dot2(sum, _mm512_castps_si512(pairs),
                      Simd::int_set1(static_cast<std::int32_t>(in[row * total + k])));
        });
  }
  for (std::int64_t k = 0; k < total; k += kPairChunk) {
    const std::int64_t pairs = total - k < kPairChunk ? total - k : kPairChunk;
    if (t.stored_rows > 0) {
      transpose_rows<StoredPairs>(t, t.in * 2, k, pairs, reinterpret_cast<float*>(t.scratch));
      bf16_chunk<false>(t, t.scratch, k, pairs);
    } else {
      bf16_chunk<true>(t, t.unit + k * kUnitColumns * 4, k, pairs);
    }
  }
}

// Pairs of neighbouring inputs, rounded to nearest even; an odd last one is joined by zero.
void to_bf16(const float* in, std::int64_t n, std::uint32_t* out) {
  std::int64_t i = 0;
  for (; i + Simd::kLanes <= n; i += Simd::kLanes) {
    Simd::store_bf16(reinterpret_cast<std::byte*>(out + i / 2), Simd::load(in + i));
  }
  if (i < n) {
    float rest[Simd::kLanes] = {};
    std::byte rounded[Simd::kLanes * 2];
    std::memcpy(rest, in + i, sizeof(float) * static_cast<std::size_t>(n - i));
    Simd::store_bf16(rounded, Simd::load(rest));
    std::memcpy(out + i / 2, rounded, static_cast<std::size_t>((n - i + 1) / 2) * 4);
  }
}

}  // namespace
}  // namespace mistral::ops::cpu
