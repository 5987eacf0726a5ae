// Products of weights that are numbers (F32, F16, BF16), and of all types without kernels of their
// own, with f32 activations. Few rows read the panels as they are; for many rows, and for types
// that have to be decoded, a chunk becomes a tile of f32 first.
//
// Every output is a sum in order of k, one fused multiply-add each, whatever the number of rows.
#pragma once

#include "ops/cpu/kernels/tiling.h"
#include "quant/dequantize.h"

namespace mistral::ops::cpu {
namespace {

inline constexpr std::int64_t kDenseChunk =
    256;  // also the largest block of a type without kernels
inline constexpr std::int64_t kDensePrefetch = 4096;  // bytes ahead

// load<Parity>(panel, k, lane): weights of outputs `lane` and following for input k; k % 2 is
// known where inputs come in pairs.
struct DenseF32 {
  static constexpr bool kPairs = false;
  static constexpr std::int64_t kBytes = 4;
  template <int>
  static Simd::F load(const std::byte* panel, std::int64_t k, int lane) {
    return Simd::load(reinterpret_cast<const float*>(panel) + k * 16 + lane);
  }
};
struct DenseF16 {
  static constexpr bool kPairs = false;
  static constexpr std::int64_t kBytes = 2;
  template <int>
  static Simd::F load(const std::byte* panel, std::int64_t k, int lane) {
    return Simd::load_f16(panel + (k * 16 + lane) * 2);
  }
};
struct DenseBF16 {
  static constexpr bool kPairs = true;
  static constexpr std::int64_t kBytes = 2;
  // Pairs of inputs stand side by side: the low and the high half of 32 bits.
  template <int Parity>
  static Simd::F load(const std::byte* panel, std::int64_t k, int lane) {
    const std::byte* pairs = panel + (k / 2 * 16 + lane) * 4;
    return Parity == 0 ? Simd::load_low_bf16(pairs) : Simd::load_high_bf16(pairs);
  }
};

// f<Parity>(k) for k in [0, count); Parity is 0 where the source does not ask for it.
template <class Source, typename Function>
[[gnu::always_inline]] inline void each_input(std::int64_t count, Function f) {
  if constexpr (Source::kPairs) {
    std::int64_t k = 0;
    for (; k + 2 <= count; k += 2) {
      f.template operator()<0>(k);
      f.template operator()<1>(k + 1);
    }
    if (k < count) f.template operator()<0>(k);
  } else {
    for (std::int64_t k = 0; k < count; ++k) f.template operator()<0>(k);
  }
}

// A chunk of the panels of a unit.
struct DenseChunk {
  const std::byte* panel[kUnitPanels];
  std::int64_t left = 0;  // bytes from here to the panel's end; 0: nothing to ask for in advance
  std::int64_t skip = 0;  // from there to the panel that comes next
};

// `Ahead`: asks for what comes next on the way; a constant, since it costs registers.
template <class Source, int R, bool Ahead>
inline void dense_rows(const DenseChunk& chunk, int group, const float* in_rows,
                       std::int64_t in_stride, std::int64_t count, bool first, float* out) {
  const std::byte* panel[kGroups];
  int lane[kGroups];
  for (int g = 0; g < kGroups; ++g) {
    panel[g] = chunk.panel[(group + g) / kGroupsPerPanel];
    lane[g] = (group + g) % kGroupsPerPanel * Simd::kLanes;
  }
  Simd::F acc[R][kGroups];
  for (int r = 0; r < R; ++r) {
    for (int g = 0; g < kGroups; ++g) {
      acc[r][g] =
          first ? Simd::zero() : Simd::load(out + r * kUnitColumns + (group + g) * Simd::kLanes);
    }
  }
  each_input<Source>(count, [&]<int Parity>(std::int64_t k) {
    if (Parity == 0 && Ahead) {
      constexpr std::int64_t kBytes = (Source::kPairs ? 32 : 16) * Source::kBytes;
      std::int64_t at = k * 16 * Source::kBytes + kDensePrefetch;
      if (at >= chunk.left) at += chunk.skip;
      for (int g = 0; g < kGroups; g += kGroupsPerPanel) {
        for (std::int64_t i = 0; i < kBytes; i += 64) {
          __builtin_prefetch(panel[g] + at + i, 0, 2);
        }
      }
    }
    Simd::F w[kGroups];
    for (int g = 0; g < kGroups; ++g) w[g] = Source::template load<Parity>(panel[g], k, lane[g]);
    for (int r = 0; r < R; ++r) {
      const Simd::F a = Simd::set1(in_rows[r * in_stride + k]);
      for (int g = 0; g < kGroups; ++g) acc[r][g] = Simd::fma(w[g], a, acc[r][g]);
    }
  });
  for (int r = 0; r < R; ++r) {
    for (int g = 0; g < kGroups; ++g) {
      Simd::store(out + r * kUnitColumns + (group + g) * Simd::kLanes, acc[r][g]);
    }
  }
}

template <class Source>
inline void dense_chunk(const MatmulTask& t, const DenseChunk& chunk, std::int64_t k,
                        std::int64_t count) {
  const Rows in = t.input->as_rows();
  cover(t.rows, [&]<int R>(std::int64_t row, int group) {
    const auto run = [&]<bool Ahead>() {
      dense_rows<Source, R, Ahead>(chunk, group, in.row(t.first_row + row) + k, in.stride, count,
                                   k == 0, t.out + row * kUnitColumns);
    };
    if (chunk.left != 0 && row == 0) {
      run.template operator()<true>();
    } else {
      run.template operator()<false>();
    }
  });
}

// fill(panel index, k, count, tile) writes [count][16] f32.
template <typename Fill>
void tiled_matmul(const MatmulTask& t, Fill fill) {
  auto* values = reinterpret_cast<float*>(t.scratch);
  for (std::int64_t k = 0; k < t.in; k += kDenseChunk) {
    const std::int64_t count = t.in - k < kDenseChunk ? t.in - k : kDenseChunk;
    DenseChunk chunk;
    for (int p = 0; p < kUnitPanels; ++p) {
      float* tile = values + p * kDenseChunk * 16;
      fill(p, k, count, tile);
      chunk.panel[p] = reinterpret_cast<const std::byte*>(tile);
    }
    dense_chunk<DenseF32>(t, chunk, k, count);
  }
}

template <class Source>
void dense_matmul(const MatmulTask& t) {
  const auto place = [&](int p, std::int64_t k) {
    return t.panel + p * t.panel_bytes + k * 16 * Source::kBytes;
  };
  if (Source::kBytes == 4 || t.rows <= kDirectRows) {
    for (std::int64_t k = 0; k < t.in; k += kDenseChunk) {
      DenseChunk chunk;
      for (int p = 0; p < kUnitPanels; ++p) chunk.panel[p] = place(p, k);
      chunk.left = t.panel_bytes - k * 16 * Source::kBytes;
      chunk.skip = (kUnitPanels - 1) * t.panel_bytes;
      dense_chunk<Source>(t, chunk, k, t.in - k < kDenseChunk ? t.in - k : kDenseChunk);
    }
    return;
  }
  tiled_matmul(t, [&](int p, std::int64_t k, std::int64_t count, float* tile) {
    const std::int64_t left = t.panel_bytes - k * 16 * Source::kBytes;
    each_input<Source>(count, [&]<int Parity>(std::int64_t i) {
      if (Parity == 0) {
        std::int64_t at = i * 16 * Source::kBytes + kDensePrefetch;
        if (at >= left) at += (kUnitPanels - 1) * t.panel_bytes;
        __builtin_prefetch(place(p, k) + at, 0, 2);
      }
      for (int lane = 0; lane < 16; lane += Simd::kLanes) {
        Simd::store(tile + i * 16 + lane, Source::template load<Parity>(place(p, k), i, lane));
      }
    });
  });
}

// Types whose panels hold rows as in the file.
inline void raw_matmul(const MatmulTask& t) {
  const DTypeInfo& type = info(t.dtype);
  const std::int64_t row_size = row_bytes(t.dtype, t.in);
  float* row = reinterpret_cast<float*>(t.scratch) + kUnitPanels * kDenseChunk * 16;
  tiled_matmul(t, [&](int p, std::int64_t k, std::int64_t count, float* tile) {
    const std::byte* blocks =
        t.panel + p * t.panel_bytes + k / type.block_elements * type.block_bytes;
    for (int r = 0; r < 16; ++r) {
      quant::dequantize_row(t.dtype, blocks + r * row_size, row, count);
      for (std::int64_t i = 0; i < count; ++i) tile[i * 16 + r] = row[i];
    }
  });
}

}  // namespace
}  // namespace mistral::ops::cpu
