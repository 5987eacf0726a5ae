// Products of packed weights with activation rows, written once over Simd.
//
// For every chunk of up to 256 inputs a panel of 16 outputs is unpacked into a tile that stays in
// the first-level cache (int8 codes in steps of 4 inputs, f32 scale and offset per sub-block; f32
// values for dense types), and all rows of the task run over the tile with their accumulators in
// registers: kRowTile rows x 2 vectors of outputs. One row takes the same path as many.
//
// Every output is a sum over sub-blocks in order of k, formed by the same operations whatever the
// number of rows, so results do not depend on how rows are grouped.
#pragma once

#include <cstring>
#include <utility>

#include "ops/cpu/kernel_table.h"
#include "ops/cpu/kernels/formats.h"
#include "quant/dequantize.h"

namespace mistral::ops::cpu {
namespace {

// Vectors of outputs that a micro-kernel covers: 2 panels with 16 lanes, 1 panel with 8.
inline constexpr int kGroups = 2;
inline constexpr int kGroupsPerPanel = 16 / Simd::kLanes;
// Up to this many rows codes are decoded in registers, for each of at most two passes over rows.
inline constexpr std::int64_t kDirectRows = 2 * Simd::kRowTile;

template <class Fmt, class S = Simd>
inline typename S::I dot_step(typename S::I acc, typename S::B codes, typename S::I values) {
  if constexpr (Fmt::kSigned && S::kSignedDot) {
    return S::dot4_signed(acc, codes, values);
  } else {
    return S::dot4(acc, codes, values);
  }
}

// Where a micro-kernel finds codes: in the panels themselves, decoded in registers (few rows) ...
template <class Fmt>
struct PackedCodes {
  static constexpr int kPhase = Fmt::kPhase;
  const std::uint8_t* chunk[kMaxPanels];
  std::int64_t left;  // bytes from the chunk's start to the panel's end
  std::int64_t skip;  // from there to the panel that comes next
  // Asks for what lies one chunk after `phase`: into the second-level cache, since the first has
  // too few outstanding misses to cover the latency of memory.
  void prefetch(int panel, int phase) const {
    constexpr std::int64_t kAhead = Fmt::kBlockBytes * (kChunk / Fmt::kBlock);
    constexpr std::int64_t kBytes = Fmt::kBlockBytes * Fmt::kPhase * Fmt::kSubBlock / Fmt::kBlock;
    std::int64_t at = phase * kBytes + kAhead;
    if (at >= left) at += skip;
    for (std::int64_t i = 0; i < kBytes; i += 64) __builtin_prefetch(chunk[panel] + at + i, 0, 2);
  }
  template <int P>
  [[nodiscard]] Simd::B get(int panel, int phase, int step, int i) const {
    return Fmt::template codes<P>(chunk[panel], phase, step, i);
  }
};
// ... or in tiles that stay in the first-level cache, decoded once for many rows.
template <class Fmt>
struct TileCodes {
  static constexpr int kPhase = 1;
  static constexpr int kTileBytes = 64 * 64;  // [step][64]
  const std::uint8_t* tiles;
  void prefetch(int, int) const {}
  template <int P>
  [[nodiscard]] Simd::B get(int panel, int phase, int step, int i) const {
    return Simd::load_bytes(tiles + panel * kTileBytes + 64 * (phase * Fmt::kSteps + step) + i);
  }
};

// f<0>() ... f<N - 1>()
template <int N, typename Function>
[[gnu::always_inline]] inline void unrolled(Function f) {
  [&]<int... P>(std::integer_sequence<int, P...>) {
    (f.template operator()<P>(), ...);
  }
  (std::make_integer_sequence<int, N>{});
}

template <class Fmt>
inline void unpack_codes(const PackedCodes<Fmt>& packed, int panel, int sub_blocks,
                         std::uint8_t* tile) {
  for (int phase = 0; phase * Fmt::kPhase < sub_blocks; ++phase) {
    packed.prefetch(panel, phase);
    unrolled<Fmt::kPhase>([&]<int P>() {
      std::uint8_t* out = tile + 64 * (phase * Fmt::kPhase + P) * Fmt::kSteps;
#pragma GCC unroll 8
      for (int step = 0; step < Fmt::kSteps; ++step) {
        each_byte_vector([&](int i) {
          Simd::store_bytes(out + 64 * step + i, packed.template get<P>(panel, phase, step, i));
        });
      }
    });
  }
}

// Rows [row, row + R) over one chunk of `sub_blocks`. `group` counts vectors of outputs from the
// start of the unit. out holds the sums of earlier chunks (unless `first`).
template <class Fmt, int R, int G, class Codes>
inline void int8_rows(const Codes& source, const ChunkScales* chunk_scales, int group,
                      const Activations::Quantized& q, std::int64_t in, std::int64_t row,
                      std::int64_t k, int sub_blocks, bool first, float* out,
                      std::int64_t out_stride) {
  const std::int8_t* codes[R];
  const std::int32_t* sums[R];
  const float* scales[R];
  for (int r = 0; r < R; ++r) {
    codes[r] = q.codes + (row + r) * in + k;
    sums[r] = Fmt::kSubBlock == 16 ? q.sums16 + (row + r) * (in / 16) + k / 16
                                   : q.sums32 + (row + r) * (in / 32) + k / 32;
    scales[r] = Fmt::kWide ? q.scales + (row + r) * (in / 256) + k / 256
                           : q.scales + (row + r) * (in / 32) + k / 32;
  }
  int panel[G];
  int lane[G];
  for (int g = 0; g < G; ++g) {
    panel[g] = (group + g) / kGroupsPerPanel;
    lane[g] = (group + g) % kGroupsPerPanel * Simd::kLanes;
  }
  // Wide: sum over the chunk in units of the activation scale; else the running output.
  Simd::F acc[R][G];
  for (int r = 0; r < R; ++r) {
    for (int g = 0; g < G; ++g) {
      acc[r][g] = Fmt::kWide || first
                      ? Simd::zero()
                      : Simd::load(out + r * out_stride + (group + g) * Simd::kLanes);
    }
  }
  for (int phase = 0; phase * Codes::kPhase < sub_blocks; ++phase) {
    for (int g = 0; g < G; g += kGroupsPerPanel) source.prefetch(panel[g], phase);
    unrolled<Codes::kPhase>([&]<int P>() {
      const int s = phase * Codes::kPhase + P;
      Simd::I dot[R][G];
      for (int r = 0; r < R; ++r) {
        for (int g = 0; g < G; ++g) dot[r][g] = Simd::int_zero();
      }
#pragma GCC unroll 8
      for (int step = 0; step < Fmt::kSteps; ++step) {
        Simd::B w[G];
        for (int g = 0; g < G; ++g)
          w[g] = source.template get<P>(panel[g], phase, step, 4 * lane[g]);
        for (int r = 0; r < R; ++r) {
          const Simd::I a = Simd::broadcast4(codes[r] + (s * Fmt::kSteps + step) * 4);
          for (int g = 0; g < G; ++g) dot[r][g] = dot_step<Fmt>(dot[r][g], w[g], a);
        }
      }
      Simd::F scale[G];
      Simd::F offset[G];
      for (int g = 0; g < G; ++g) {
        scale[g] = Simd::load(chunk_scales[panel[g]].scale[s] + lane[g]);
        if constexpr (Fmt::kHasOffset) {
          offset[g] = Simd::load(chunk_scales[panel[g]].offset[s] + lane[g]);
        }
      }
      for (int r = 0; r < R; ++r) {
        const Simd::I sum = Simd::int_set1(sums[r][s]);
        for (int g = 0; g < G; ++g) {
          Simd::I d = dot[r][g];
          if constexpr (Fmt::kZeroShift > 0) {
            d = Simd::int_sub(d, Simd::int_shift_left<Fmt::kZeroShift>(sum));
          }
          const Simd::F product = Simd::to_float(d);
          if constexpr (Fmt::kWide) {
            acc[r][g] = Simd::fma(product, scale[g], acc[r][g]);
            if constexpr (Fmt::kHasOffset) {
              acc[r][g] = Simd::fma(Simd::to_float(sum), offset[g], acc[r][g]);
            }
          } else {
            const Simd::F a = Simd::set1(scales[r][s]);
            acc[r][g] = Simd::fma(product, Simd::mul(scale[g], a), acc[r][g]);
            if constexpr (Fmt::kHasOffset) {
              acc[r][g] = Simd::fma(Simd::mul(Simd::to_float(sum), a), offset[g], acc[r][g]);
            }
          }
        }
      }
    });
  }
  for (int r = 0; r < R; ++r) {
    for (int g = 0; g < G; ++g) {
      float* p = out + r * out_stride + (group + g) * Simd::kLanes;
      Simd::F value = acc[r][g];
      if constexpr (Fmt::kWide) {
        const Simd::F a = Simd::set1(scales[r][0]);
        value = first ? Simd::mul(value, a) : Simd::fma(value, a, Simd::load(p));
      }
      Simd::store(p, value);
    }
  }
}

template <int R, int G>
inline void dense_tile(const float* const* tiles, int group, const float* in_rows,
                       std::int64_t in_stride, std::int64_t count, bool first, float* out,
                       std::int64_t out_stride) {
  Simd::F acc[R][G];
  for (int r = 0; r < R; ++r) {
    for (int g = 0; g < G; ++g) {
      acc[r][g] =
          first ? Simd::zero() : Simd::load(out + r * out_stride + (group + g) * Simd::kLanes);
    }
  }
  for (std::int64_t k = 0; k < count; ++k) {
    Simd::F w[G];
    for (int g = 0; g < G; ++g) {
      const int column = group + g;
      w[g] = Simd::load(tiles[column / kGroupsPerPanel] + k * 16 +
                        (column % kGroupsPerPanel) * Simd::kLanes);
    }
    for (int r = 0; r < R; ++r) {
      const Simd::F a = Simd::set1(in_rows[r * in_stride + k]);
      for (int g = 0; g < G; ++g) acc[r][g] = Simd::fma(w[g], a, acc[r][g]);
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int g = 0; g < G; ++g) {
      Simd::store(out + r * out_stride + (group + g) * Simd::kLanes, acc[r][g]);
    }
  }
}

// Calls f<R, G>(first row, group) so that all rows and groups are covered, R <= kRowTile.
template <int R, typename Function>
inline void cover_rows(std::int64_t& row, std::int64_t rows, int group, int groups, Function& f) {
  for (; row + R <= rows; row += R) {
    if (groups == kGroups) {
      f.template operator()<R, kGroups>(row, group);
    } else {
      f.template operator()<R, 1>(row, group);
    }
  }
  if constexpr (R > 1) cover_rows<R - 1>(row, rows, group, groups, f);
}
template <typename Function>
inline void cover(std::int64_t rows, int panels, Function f) {
  const int total = panels * kGroupsPerPanel;
  for (int group = 0; group < total; group += kGroups) {
    std::int64_t row = 0;
    cover_rows<Simd::kRowTile>(row, rows, group, total - group < kGroups ? 1 : kGroups, f);
  }
}

template <DType Type>
void int8_matmul(const MatmulTask& t) {
  using Fmt = Format<Type>;
  const Activations::Quantized& q = Fmt::kWide ? t.input->q256 : t.input->q32;
  auto* scales = reinterpret_cast<ChunkScales*>(t.scratch);
  auto* tiles = reinterpret_cast<std::uint8_t*>(scales + kMaxPanels);
  static_assert((sizeof(ChunkScales) + TileCodes<Fmt>::kTileBytes) * kMaxPanels <= kMatmulScratch);
  const std::int64_t out_stride = t.panels * 16;
  for (std::int64_t k = 0; k < t.in; k += kChunk) {
    const int count = static_cast<int>(t.in - k < kChunk ? t.in - k : kChunk);
    const int sub_blocks = count / Fmt::kSubBlock;
    PackedCodes<Fmt> packed{
        {}, t.panel_bytes - k / Fmt::kBlock * Fmt::kBlockBytes, (t.panels - 1) * t.panel_bytes};
    for (int p = 0; p < t.panels; ++p) {
      packed.chunk[p] = reinterpret_cast<const std::uint8_t*>(t.panel + p * t.panel_bytes) +
                        k / Fmt::kBlock * Fmt::kBlockBytes;
      Fmt::scales(packed.chunk[p], sub_blocks, scales[p]);
    }
    const auto run = [&]<class Codes>(const Codes& codes) {
      cover(t.rows, t.panels, [&]<int R, int G>(std::int64_t row, int group) {
        int8_rows<Fmt, R, G>(codes, scales, group, q, t.in, t.first_row + row, k, sub_blocks,
                             k == 0, t.out + row * out_stride, out_stride);
      });
    };
    if (t.rows <= kDirectRows) {
      run(packed);
    } else {
      for (int p = 0; p < t.panels; ++p) {
        unpack_codes<Fmt>(packed, p, sub_blocks, tiles + p * TileCodes<Fmt>::kTileBytes);
      }
      run(TileCodes<Fmt>{tiles});
    }
  }
}

// F32 weights are read where they are; the others become f32 chunk by chunk.
template <typename Fill>
void dense_matmul(const MatmulTask& t, std::int64_t chunk, Fill fill) {
  const std::int64_t out_stride = t.panels * 16;
  const Rows in = t.input->as_rows();
  for (std::int64_t k = 0; k < t.in; k += chunk) {
    const std::int64_t count = t.in - k < chunk ? t.in - k : chunk;
    const float* tiles[kMaxPanels] = {};
    for (int p = 0; p < t.panels; ++p) tiles[p] = fill(p, k, count);
    cover(t.rows, t.panels, [&]<int R, int G>(std::int64_t row, int group) {
      dense_tile<R, G>(tiles, group, in.row(t.first_row + row) + k, in.stride, count, k == 0,
                       t.out + row * out_stride, out_stride);
    });
  }
}

void matmul(const MatmulTask& t) {
  auto* values = reinterpret_cast<float*>(t.scratch);
  const auto panel = [&](int p) { return t.panel + p * t.panel_bytes; };
  switch (t.dtype) {
    case DType::kQ4_0:
      return int8_matmul<DType::kQ4_0>(t);
    case DType::kQ4_1:
      return int8_matmul<DType::kQ4_1>(t);
    case DType::kQ5_0:
      return int8_matmul<DType::kQ5_0>(t);
    case DType::kQ5_1:
      return int8_matmul<DType::kQ5_1>(t);
    case DType::kQ8_0:
      return int8_matmul<DType::kQ8_0>(t);
    case DType::kQ2_K:
      return int8_matmul<DType::kQ2_K>(t);
    case DType::kQ3_K:
      return int8_matmul<DType::kQ3_K>(t);
    case DType::kQ4_K:
      return int8_matmul<DType::kQ4_K>(t);
    case DType::kQ5_K:
      return int8_matmul<DType::kQ5_K>(t);
    case DType::kQ6_K:
      return int8_matmul<DType::kQ6_K>(t);
    case DType::kF32:
      return dense_matmul(t, kChunk, [&](int p, std::int64_t k, std::int64_t) {
        return reinterpret_cast<const float*>(panel(p)) + k * 16;
      });
    case DType::kF16:
    case DType::kBF16:
      return dense_matmul(t, kChunk, [&](int p, std::int64_t k, std::int64_t count) {
        float* tile = values + p * kChunk * 16;
        const std::byte* source = panel(p) + k * 32;
        for (std::int64_t i = 0; i < count * 16; i += Simd::kLanes) {
          Simd::store(tile + i, t.dtype == DType::kF16 ? Simd::load_f16(source + 2 * i)
                                                       : Simd::load_bf16(source + 2 * i));
        }
        return static_cast<const float*>(tile);
      });
    default:
      return dense_matmul(t, kChunk, [&](int p, std::int64_t k, std::int64_t count) {
        float* tile = values + p * kChunk * 16;
        float* row = values + kMaxPanels * kChunk * 16;
        const DTypeInfo& type = info(t.dtype);
        const std::int64_t row_size = row_bytes(t.dtype, t.in);
        for (int r = 0; r < 16; ++r) {
          quant::dequantize_row(
              t.dtype, panel(p) + r * row_size + k / type.block_elements * type.block_bytes, row,
              count);
          for (std::int64_t i = 0; i < count; ++i) tile[i * 16 + r] = row[i];
        }
        return static_cast<const float*>(tile);
      });
  }
}

}  // namespace
}  // namespace mistral::ops::cpu
