// Products of weights that are numbers (F32, F16, BF16), and of all types without kernels of their
// own, with f32 activations. Few rows read the weights as they are packed; for many rows, for types
// that have to be decoded, and for weights that stand as in the file, a chunk becomes a tile of f32
// first. Many rows of inputs come in panels too (kFormPanels).
//
// Every output is a sum in order of k, one fused multiply-add each, whatever the number of rows.
#pragma once

#include "ops/cpu/kernels/stored_rows.h"
#include "ops/cpu/kernels/tiling.h"
#include "quant/dequantize.h"

namespace mistral::ops::cpu {
namespace {

// Inputs of a chunk: its tile of 16 KiB and some rows of inputs fit the first-level cache.
inline constexpr std::int64_t kDenseChunk = 128;
inline constexpr std::int64_t kRawChunk = 256;        // the largest block of a type without kernels
inline constexpr std::int64_t kDensePrefetch = 8192;  // bytes ahead

// load<Parity>(unit, k, column): weights of outputs `column` and following for input k; k % 2 is
// known where inputs come in pairs.
struct DenseF32 {
  using Stored = StoredF32;
  static constexpr bool kPairs = false;
  static constexpr std::int64_t kBytes = 4;
  template <int>
  static Simd::F load(const std::byte* unit, std::int64_t k, int column) {
    return Simd::load(reinterpret_cast<const float*>(unit) + k * kUnitColumns + column);
  }
};
struct DenseF16 {
  using Stored = StoredF16;
  static constexpr bool kPairs = false;
  static constexpr std::int64_t kBytes = 2;
  template <int>
  static Simd::F load(const std::byte* unit, std::int64_t k, int column) {
    return Simd::load_f16(unit + (k * kUnitColumns + column) * 2);
  }
};
struct DenseBF16 {
  using Stored = StoredBF16;
  static constexpr bool kPairs = true;
  static constexpr std::int64_t kBytes = 2;
  // Pairs of inputs stand side by side: the low and the high half of 32 bits.
  template <int Parity>
  static Simd::F load(const std::byte* unit, std::int64_t k, int column) {
    const std::byte* pairs = unit + (k / 2 * kUnitColumns + column) * 4;
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

// Inputs of some rows: in rows ...
struct InputRows {
  static constexpr bool kPanels = false;
  const float* values;
  std::int64_t stride;
  [[nodiscard]] const float* at(int row, std::int64_t k) const { return values + row * stride + k; }
};
// ... or in a panel.
struct InputPanel {
  static constexpr bool kPanels = true;
  const float* values;
  std::int64_t size;  // floats from one panel to the next
  [[nodiscard]] const float* at(int row, std::int64_t k) const {
    return values + k * kInputPanel + row;
  }
  // Asks for what the next panel has of inputs [k, k + n).
  void prefetch(std::int64_t k, std::int64_t n) const {
    const float* next = values + size + k * kInputPanel;
    for (std::int64_t i = 0; i < n * kInputPanel; i += 16) __builtin_prefetch(next + i, 0, 3);
  }
};

// `unit`: its chunk's first input; G: vectors of outputs. `Ahead`: asks for what comes next of the
// unit on the way; a constant, since it costs registers.
template <class Source, int R, int G, bool Ahead, class Inputs>
inline void dense_rows(const std::byte* unit, int group, Inputs inputs, std::int64_t count,
                       bool first, float* out) {
  Simd::F acc[R][G];
  for (int r = 0; r < R; ++r) {
    for (int g = 0; g < G; ++g) {
      acc[r][g] =
          first ? Simd::zero() : Simd::load(out + r * kUnitColumns + (group + g) * Simd::kLanes);
    }
  }
  const auto add_input = [&]<int Parity>(std::int64_t k) {
    if (Parity == 0 && Ahead) {
      constexpr std::int64_t kBytes = (Source::kPairs ? 2 : 1) * kUnitColumns * Source::kBytes;
      const std::byte* next = unit + k * kUnitColumns * Source::kBytes + kDensePrefetch;
      for (std::int64_t i = 0; i < kBytes; i += 64) __builtin_prefetch(next + i, 0, 2);
    }
    if constexpr (Inputs::kPanels && R < G) {
      Simd::F a[R];  // the fewer ones stay in registers
      for (int r = 0; r < R; ++r) a[r] = Simd::set1(*inputs.at(r, k));
      for (int g = 0; g < G; ++g) {
        const Simd::F w = Source::template load<Parity>(unit, k, (group + g) * Simd::kLanes);
        for (int r = 0; r < R; ++r) acc[r][g] = Simd::fma(w, a[r], acc[r][g]);
      }
      return;
    }
    Simd::F w[G];
    for (int g = 0; g < G; ++g) {
      w[g] = Source::template load<Parity>(unit, k, (group + g) * Simd::kLanes);
    }
    for (int r = 0; r < R; ++r) {
      const Simd::F a = Simd::set1(*inputs.at(r, k));
      for (int g = 0; g < G; ++g) acc[r][g] = Simd::fma(w[g], a, acc[r][g]);
    }
  };
  if constexpr (Inputs::kPanels) {
    constexpr std::int64_t kStep = 8;  // inputs: three cache lines
    std::int64_t k = 0;
    for (; k + kStep <= count; k += kStep) {
      inputs.prefetch(k, kStep);
#pragma GCC unroll 8
      for (std::int64_t i = k; i < k + kStep; ++i) add_input.template operator()<0>(i);
    }
    for (; k < count; ++k) add_input.template operator()<0>(k);
  } else {
    each_input<Source>(count, add_input);
  }
  for (int r = 0; r < R; ++r) {
    for (int g = 0; g < G; ++g) {
      Simd::store(out + r * kUnitColumns + (group + g) * Simd::kLanes, acc[r][g]);
    }
  }
}

template <class Source, int Sets>
inline void dense_chunk(const MatmulTask& t, const std::byte* unit, bool ahead, std::int64_t k,
                        std::int64_t count) {
  // Registers do not last for the sums of a whole unit and more than two rows.
  constexpr int kRows = Sets > 1 ? 2 : kRowsWithoutPanels;
  const Rows in = t.input->as_rows();
  cover<Sets * kGroups, kRows>(t.rows, [&]<int R>(std::int64_t row, int group) {
    const auto run = [&]<bool Ahead>() {
      dense_rows<Source, R, Sets * kGroups, Ahead>(
          unit, group, InputRows{in.row(t.first_row + row) + k, in.stride}, count, k == 0,
          t.out + row * kUnitColumns);
    };
    if (ahead && row == 0) {
      run.template operator()<true>();
    } else {
      run.template operator()<false>();
    }
  });
}

// A tile of f32 with inputs in panels, of which the first and the last may belong to other tasks
// too.
inline void dense_panels(const MatmulTask& t, const std::byte* tile, std::int64_t k,
                         std::int64_t count) {
  static_assert(kInputPanel % Simd::kDenseRowTile == 0);
  const Activations& in = *t.input;
  const auto run = [&]<int R>(std::int64_t row, int group) {
    const InputPanel panel{in.panel(t.first_row + row) + k * kInputPanel, in.cols * kInputPanel};
    dense_rows<DenseF32, R, Simd::kDenseGroups, false>(tile, group, panel, count, k == 0,
                                                       t.out + row * kUnitColumns);
  };
  for (std::int64_t row = 0; row < t.rows;) {
    const std::int64_t end = row + kInputPanel - (t.first_row + row) % kInputPanel;
    cover_rows<Simd::kDenseRowTile, Simd::kDenseGroups>(row, end < t.rows ? end : t.rows, run);
  }
}

// fill(k, count, tile) writes [count][kUnitColumns] f32.
template <std::int64_t Chunk = kDenseChunk, typename Fill>
void tiled_matmul(const MatmulTask& t, Fill fill) {
  auto* tile = reinterpret_cast<float*>(t.scratch);
  for (std::int64_t k = 0; k < t.in; k += Chunk) {
    const std::int64_t count = t.in - k < Chunk ? t.in - k : Chunk;
    fill(k, count, tile);
    const auto* unit = reinterpret_cast<const std::byte*>(tile);
    if (t.input->panels != nullptr) {
      dense_panels(t, unit, k, count);
    } else {
      dense_chunk<DenseF32, 1>(t, unit, false, k, count);
    }
  }
}

template <class Stored>
void stored_matmul(const MatmulTask& t) {
  const std::int64_t row_size = t.in * Stored::kBytes;
  if (t.rows > kStoredRows) {
    return tiled_matmul(t, [&](std::int64_t k, std::int64_t count, float* tile) {
      transpose_rows<Stored>(t, row_size, k, count, tile);
    });
  }
  stored_product<Stored>(
      t, row_size, t.in, [&](Simd::F values, int row, std::int64_t k, Simd::F sum) {
        return Simd::fma(values, Simd::set1(t.input->as_rows().row(t.first_row + row)[k]), sum);
      });
}

template <class Source>
void dense_matmul(const MatmulTask& t) {
  if (t.stored_rows > 0) return stored_matmul<typename Source::Stored>(t);
  constexpr std::int64_t kInputBytes = kUnitColumns * Source::kBytes;
  if (t.rows <= kDirectRows) {
    for (std::int64_t k = 0; k < t.in; k += kDenseChunk) {
      dense_chunk<Source, kUnitSets>(t, t.unit + k * kInputBytes, true, k,
                                     t.in - k < kDenseChunk ? t.in - k : kDenseChunk);
    }
    return;
  }
  tiled_matmul(t, [&](std::int64_t k, std::int64_t count, float* tile) {
    const std::byte* unit = t.unit + k * kInputBytes;
    each_input<Source>(count, [&]<int Parity>(std::int64_t i) {
      for (std::int64_t line = 0; line < kInputBytes; line += 64) {
        __builtin_prefetch(unit + i * kInputBytes + line + kDensePrefetch, 0, 2);
      }
      for (int column = 0; column < kUnitColumns; column += Simd::kLanes) {
        Simd::store(tile + i * kUnitColumns + column,
                    Source::template load<Parity>(unit, i, column));
      }
    });
  });
}

// Types whose units hold rows as in the file.
inline void raw_matmul(const MatmulTask& t) {
  const DTypeInfo& type = info(t.dtype);
  const std::int64_t row_size = row_bytes(t.dtype, t.in);
  float* row = reinterpret_cast<float*>(t.scratch) + kUnitColumns * kRawChunk;
  tiled_matmul<kRawChunk>(t, [&](std::int64_t k, std::int64_t count, float* tile) {
    const std::byte* blocks = t.unit + k / type.block_elements * type.block_bytes;
    for (std::int64_t r = 0; r < t.stored_rows; ++r) {
      quant::dequantize_row(t.dtype, blocks + r * row_size, row, count);
      for (std::int64_t i = 0; i < count; ++i) tile[i * kUnitColumns + r] = row[i];
    }
  });
}

}  // namespace
}  // namespace mistral::ops::cpu
