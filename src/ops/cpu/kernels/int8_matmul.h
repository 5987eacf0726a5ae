// Products of formats with blocks of 32 (Q4_0 ... Q8_0) with int8 activations, written once over
// Simd.
//
// Codes and scales are either decoded in registers (few rows), or, those of 256 inputs at a time,
// unpacked to a tile that stays in the first-level cache and serves all rows.
//
// Every output is a sum over blocks in order of k, formed by the same operations whatever the
// number of rows, so results do not depend on how rows are grouped.
#pragma once

#include "ops/cpu/kernels/codes.h"
#include "ops/cpu/kernels/formats.h"
#include "ops/cpu/kernels/tiling.h"

namespace mistral::ops::cpu {
namespace {

template <class Fmt, class S = Simd>
inline typename S::I dot_step(typename S::I acc, typename S::B codes, typename S::I values) {
  if constexpr (Fmt::kSigned && S::kSignedDot) {
    return S::dot4_signed(acc, codes, values);
  } else {
    return S::dot4(acc, codes, values);
  }
}

// Scales of 16 outputs for the blocks of a chunk.
struct alignas(64) ChunkScales {
  float scale[8][16];  // [block][output]
  float offset[8][16];
};

// They stand in the panels, each before the codes of its block, which is the order in which memory
// is read ...
template <class Fmt>
struct PackedScales {
  const std::uint8_t* const (&chunk)[kUnitPanels];
  [[nodiscard]] Simd::F scale(int panel, int block, int lane) const {
    return f16_scales(chunk[panel] + block * Fmt::kBlockStride, lane);
  }
  [[nodiscard]] Simd::F offset(int panel, int block, int lane) const {
    return f16_scales(chunk[panel] + block * Fmt::kBlockStride + 32, lane);
  }
};
// ... or beside the tiles.
struct TileScales {
  const ChunkScales* chunk;
  [[nodiscard]] Simd::F scale(int panel, int block, int lane) const {
    return Simd::load(chunk[panel].scale[block] + lane);
  }
  [[nodiscard]] Simd::F offset(int panel, int block, int lane) const {
    return Simd::load(chunk[panel].offset[block] + lane);
  }
};

template <class Fmt>
inline void unpack_scales(const PackedScales<Fmt>& packed, int panel, int blocks,
                          ChunkScales& out) {
  for (int s = 0; s < blocks; ++s) {
    each_lane_vector([&](int lane) {
      Simd::store(out.scale[s] + lane, packed.scale(panel, s, lane));
      if constexpr (Fmt::kHasOffset) {
        Simd::store(out.offset[s] + lane, packed.offset(panel, s, lane));
      }
    });
  }
}

// What R rows of inputs hold of a chunk.
template <int R>
struct ChunkInputs {
  const std::int8_t* codes[R];
  const std::int16_t* sums[R];
  const float* scales[R];

  ChunkInputs(const Activations::Quantized& q, std::int64_t in, std::int64_t row, std::int64_t k) {
    for (int r = 0; r < R; ++r) {
      codes[r] = q.codes + (row + r) * (in + q.codes_gap) + k;
      sums[r] = q.sums32 + (row + r) * (in / 32) + k / 32;
      scales[r] = q.scales + (row + r) * (in / 32) + k / 32;
    }
  }
};

// Adds the products of block `s` of the chunk, for G vectors of outputs. `group` counts vectors of
// outputs from the start of the unit; `ahead` asks for the next chunk on the way.
template <class Fmt, int R, int G, class Codes, class Scales, class S = Simd>
[[gnu::always_inline]] inline void add_block(const Codes& source, const Scales& scales, bool ahead,
                                             int group, int s, const ChunkInputs<R>& inputs,
                                             Simd::F (&acc)[R][G]) {
  // Of two rows all products fit into registers, and are faster in any order.
  constexpr bool kInOrder = R > 2;
  int panel[G];
  int lane[G];
  for (int g = 0; g < G; ++g) {
    panel[g] = (group + g) / kGroupsPerPanel;
    lane[g] = (group + g) % kGroupsPerPanel * Simd::kLanes;
  }
  if (ahead) {
    for (int g = 0; g < G; g += kGroupsPerPanel) {
      source.template prefetch<Fmt::kBlockBytes>(panel[g], s * Fmt::kBlockStride);
    }
  }
  Simd::I dot[R][G];
  clear(dot);
  constexpr int kRun = word_run<Fmt>();
#pragma GCC unroll 8
  for (int run = 0; run < Fmt::kSteps; run += kRun) {
    Simd::I words[R][G];
    if constexpr (kRun > 1) clear(words);
#pragma GCC unroll 8
    for (int step = run; step < run + kRun; ++step) {
      Simd::B w[G];
      for (int g = 0; g < G; ++g) w[g] = source.template get<0>(panel[g], s, step, 4 * lane[g]);
      for (int r = 0; r < R; ++r) {
        const Simd::I a = Simd::broadcast4(inputs.codes[r] + (s * Fmt::kSteps + step) * 4);
        for (int g = 0; g < G; ++g) {
          if constexpr (kRun > 1) {
            words[r][g] = S::dot2(words[r][g], w[g], a);
            if constexpr (kInOrder) words[r][g] = Simd::made_now(words[r][g]);
          } else {
            dot[r][g] = dot_step<Fmt>(dot[r][g], w[g], a);
            if constexpr (kInOrder) dot[r][g] = Simd::made_now(dot[r][g]);
          }
        }
      }
    }
    if constexpr (kRun > 1) {
      for (int r = 0; r < R; ++r) {
        for (int g = 0; g < G; ++g) dot[r][g] = S::add_words(dot[r][g], words[r][g]);
      }
    }
  }
  Simd::F scale[G];
  Simd::F offset[G];
  for (int g = 0; g < G; ++g) {
    scale[g] = scales.scale(panel[g], s, lane[g]);
    if constexpr (Fmt::kHasOffset) offset[g] = scales.offset(panel[g], s, lane[g]);
  }
  for (int r = 0; r < R; ++r) {
    const Simd::F a = Simd::set1(inputs.scales[r][s]);
    for (int g = 0; g < G; ++g) {
      Simd::I d = dot[r][g];
      if constexpr (Fmt::kZeroShift > 0) {
        d = Simd::int_sub(d, Simd::int_broadcast<1 << Fmt::kZeroShift>(inputs.sums[r] + s));
      }
      acc[r][g] = Simd::fma(Simd::to_float(d), Simd::mul(scale[g], a), acc[r][g]);
      if constexpr (Fmt::kHasOffset) {
        const Simd::F sum = Simd::to_float(Simd::int_broadcast<1>(inputs.sums[r] + s));
        acc[r][g] = Simd::fma(Simd::mul(sum, a), offset[g], acc[r][g]);
      }
    }
  }
}

// Rows [row, row + R) over one chunk of `blocks`, for Sets x G vectors of outputs. out holds the
// sums of earlier chunks (unless `first`). A function of its own, so that its registers are not
// spilled for the sake of kernels of other numbers of rows.
template <class Fmt, int R, int Sets, int G, class Codes, class Scales>
[[gnu::noinline]] void int8_rows(const Codes& source, const Scales& scales, bool ahead, int group,
                                 const Activations::Quantized& q, std::int64_t in, std::int64_t row,
                                 std::int64_t k, int blocks, bool first, float* out) {
  const ChunkInputs<R> inputs(q, in, row, k);
  const auto sums_of = [&](int set, int r, int g) {
    return out + r * kUnitColumns + (group + set * G + g) * Simd::kLanes;
  };
  Simd::F acc[Sets][R][G];
  for (int set = 0; set < Sets; ++set) {
    for (int r = 0; r < R; ++r) {
      for (int g = 0; g < G; ++g) {
        acc[set][r][g] = first ? Simd::zero() : Simd::load(sums_of(set, r, g));
      }
    }
  }
  for (int s = 0; s < blocks; ++s) {
    unrolled<Sets>([&]<int Set>() {
      add_block<Fmt, R, G>(source, scales, ahead, group + Set * G, s, inputs, acc[Set]);
    });
  }
  for (int set = 0; set < Sets; ++set) {
    for (int r = 0; r < R; ++r) {
      for (int g = 0; g < G; ++g) Simd::store(sums_of(set, r, g), acc[set][r][g]);
    }
  }
}

template <DType Type>
void int8_matmul(const MatmulTask& t) {
  using Fmt = Format<Type>;
  auto* scales = reinterpret_cast<ChunkScales*>(t.scratch);
  auto* tiles = reinterpret_cast<std::uint8_t*>(scales + kUnitPanels);
  static_assert((sizeof(ChunkScales) + TileCodes<Fmt>::kTileBytes) * kUnitPanels <= kMatmulScratch);
  for (std::int64_t k = 0; k < t.in; k += kChunk) {
    const int blocks = static_cast<int>(t.in - k < kChunk ? t.in - k : kChunk) / Fmt::kBlock;
    const PackedCodes<Fmt> packed(t.unit, k);
    const PackedScales<Fmt> packed_scales{packed.chunk};
    const auto run = [&]<int Sets, int G>(const auto& codes, const auto& scales_of) {
      cover<Sets * G, Simd::kRowTile>(t.rows, [&]<int R>(std::int64_t row, int group) {
        int8_rows<Fmt, R, Sets, G>(codes, scales_of, row == 0, group, t.input->q32, t.in,
                                   t.first_row + row, k, blocks, k == 0,
                                   t.out + row * kUnitColumns);
      });
    };
    if (t.rows > kDirectRows) {
      for (int p = 0; p < kUnitPanels; ++p) unpack_scales(packed_scales, p, blocks, scales[p]);
      unpack_codes<Fmt>(packed, blocks, tiles);
      run.template operator()<1, kGroups>(TileCodes<Fmt>{tiles}, TileScales{scales});
    } else {
      // Memory is fastest when it is read from one end to the other. Blocks of the two panels
      // alternate: both at once.
      run.template operator()<kUnitSets, kGroups>(packed, packed_scales);
    }
  }
}

}  // namespace
}  // namespace mistral::ops::cpu
