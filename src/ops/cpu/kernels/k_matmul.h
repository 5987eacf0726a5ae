// Products of K types with int8 activations, written once over Simd.
//
// A block of 256 weights holds small integers all the way down: codes, the scale of each sub-block,
// and what is added to each (a minimum, or the zero point of codes). So the products of a block are
// exact sums of integers, which meet the block's floating-point factors once. Results depend on the
// order of blocks alone, not on how rows or the sums inside of a block are grouped.
//
// Codes are either decoded in registers (few rows), or unpacked to a tile that stays in the
// first-level cache and serves all rows.
#pragma once

#include "ops/cpu/kernels/codes.h"
#include "ops/cpu/kernels/formats.h"
#include "ops/cpu/kernels/tiling.h"

namespace mistral::ops::cpu {
namespace {

// What R rows of inputs hold of a block.
template <class Fmt, int R>
struct BlockInputs {
  const std::int8_t* codes[R];
  const std::int16_t* sums[R];  // of the codes of each sub-block
  float scale[R];

  BlockInputs(const Activations::Quantized& q, std::int64_t in, std::int64_t row, std::int64_t k) {
    for (int r = 0; r < R; ++r) {
      codes[r] = q.codes + (row + r) * (in + q.codes_gap) + k;
      sums[r] =
          (Fmt::kSubBlock == 16 ? q.sums16 : q.sums32) + ((row + r) * in + k) / Fmt::kSubBlock;
      scale[r] = q.scales[((row + r) * in + k) / kChunk];
    }
  }
};

// Sub-blocks that are summed side by side. Their codes lie in different bits of the same bytes,
// which are read once for all of them; sums of so many still fit into registers.
template <class Codes, int Sums>
constexpr int side_by_side() {
  int n = Codes::kPhase == 8 ? 4 : Codes::kPhase;
  while (n > 1 && n * Sums > 8) n /= 2;
  return n;
}

// Adds scale * code * input of sub-blocks P, P + Stride ... of a phase, for G vectors of outputs.
template <class Fmt, int P, int Stride, int Count, int R, int G, class Codes, class S = Simd>
[[gnu::always_inline]] inline void add_sub_blocks(const Codes& source, const BlockScales* scales,
                                                  const int (&panel)[G], const int (&lane)[G],
                                                  int phase, const BlockInputs<Fmt, R>& inputs,
                                                  Simd::I (&acc)[R][G]) {
  constexpr int kRun = S::kWordSums ? word_run<Fmt>() : Fmt::kSteps;
  const int first = phase * Codes::kPhase + P;
#pragma GCC unroll 8
  for (int run = 0; run < Fmt::kSteps; run += kRun) {
    Simd::I sums[Count][R][G];
    for (auto& sub_block : sums) clear(sub_block);
#pragma GCC unroll 8
    for (int step = run; step < run + kRun; ++step) {
      unrolled<Count>([&]<int I>() {
        Simd::B w[G];
        for (int g = 0; g < G; ++g) {
          w[g] = source.template get<P + I * Stride>(panel[g], phase, step, 4 * lane[g]);
        }
        for (int r = 0; r < R; ++r) {
          const Simd::I a =
              Simd::broadcast4(inputs.codes[r] + ((first + I * Stride) * Fmt::kSteps + step) * 4);
          for (int g = 0; g < G; ++g) {
            Simd::I& sum = sums[I][r][g];
            if constexpr (S::kWordSums) {
              sum = S::dot2(sum, w[g], a);
            } else {
              sum = S::dot4(sum, w[g], a);
            }
            sum = Simd::made_now(sum);
          }
        }
      });
    }
    for (int i = 0; i < Count; ++i) {
      for (int g = 0; g < G; ++g) {
        const Simd::I scale = Simd::load_scale<Fmt::kSignedScales>(
            scales[panel[g]].scale[first + i * Stride] + lane[g]);
        for (int r = 0; r < R; ++r) {
          acc[r][g] = Simd::made_now(Simd::add_scaled(acc[r][g], sums[i][r][g], scale));
        }
      }
    }
  }
}

// Rows [row, row + R) over one block, for G vectors of outputs. out holds the sums of earlier
// blocks (unless k is 0). `group` counts vectors of outputs from the start of the unit; `ahead`
// asks for the next block on the way. A function of its own, so that its registers are not spilled
// for the sake of kernels of other numbers of rows.
template <class Fmt, int R, int G, class Codes>
[[gnu::noinline]] void k_rows(const Codes& source, const BlockScales* scales, bool ahead, int group,
                              const Activations::Quantized& q, std::int64_t in, std::int64_t row,
                              std::int64_t k, float* out) {
  constexpr int kSubBlocks = kChunk / Fmt::kSubBlock;
  const BlockInputs<Fmt, R> inputs(q, in, row, k);
  int panel[G];
  int lane[G];
  for (int g = 0; g < G; ++g) {
    panel[g] = (group + g) / kGroupsPerPanel;
    lane[g] = (group + g) % kGroupsPerPanel * Simd::kLanes;
  }
  Simd::I acc[R][G];
  clear(acc);
  constexpr int kCount = side_by_side<Codes, R * G>();
  constexpr int kStride = Codes::kPhase / kCount;
  for (int phase = 0; phase < kSubBlocks / Codes::kPhase; ++phase) {
    unrolled<kStride>([&]<int P>() {
      constexpr std::int64_t kBytes = Fmt::kBlockBytes / (kSubBlocks / Codes::kPhase) / kStride;
      if (ahead) source.template prefetch<kBytes>(panel[0], (phase * kStride + P) * kBytes);
      add_sub_blocks<Fmt, P, kStride, kCount>(source, scales, panel, lane, phase, inputs, acc);
    });
  }
  Simd::I offsets[R][G];
  clear(offsets);
  for (int pair = 0; pair < kSubBlocks / 2; ++pair) {
    for (int r = 0; r < R; ++r) {
      const Simd::I sums = Simd::broadcast_pair(inputs.sums[r] + 2 * pair);
      for (int g = 0; g < G; ++g) {
        const Simd::I pairs =
            Simd::widen<Fmt::kSignedScales>(scales[panel[g]].offset[pair] + 2 * lane[g]);
        offsets[r][g] = Simd::add_pairs(offsets[r][g], pairs, sums);
      }
    }
  }
  for (int g = 0; g < G; ++g) {
    const Simd::F factor = Simd::load(scales[panel[g]].factor + lane[g]);
    for (int r = 0; r < R; ++r) {
      Simd::F value;
      if constexpr (Fmt::kHasOffset) {
        const Simd::F min_factor = Simd::load(scales[panel[g]].offset_factor + lane[g]);
        value = Simd::fma(Simd::to_float(offsets[r][g]), min_factor,
                          Simd::mul(Simd::to_float(acc[r][g]), factor));
      } else {
        const Simd::I zero = Simd::int_shift_left<Fmt::kZeroShift>(offsets[r][g]);
        value = Simd::mul(Simd::to_float(Simd::int_sub(acc[r][g], zero)), factor);
      }
      const Simd::F a = Simd::set1(inputs.scale[r]);
      float* p = out + r * kUnitColumns + (group + g) * Simd::kLanes;
      Simd::store(p, k == 0 ? Simd::mul(value, a) : Simd::fma(value, a, Simd::load(p)));
    }
  }
}

template <DType Type>
void k_matmul(const MatmulTask& t) {
  using Fmt = Format<Type>;
  auto* scales = reinterpret_cast<BlockScales*>(t.scratch);
  auto* tiles = reinterpret_cast<std::uint8_t*>(scales + kUnitPanels);
  static_assert((sizeof(BlockScales) + TileCodes<Fmt>::kTileBytes) * kUnitPanels <= kMatmulScratch);
  for (std::int64_t k = 0; k < t.in; k += kChunk) {
    const PackedCodes<Fmt> packed(t.unit, k);
    const auto scales_of = [&](int panel) { Fmt::scales(packed.chunk[panel], scales[panel]); };
    const auto run = [&]<int R, int G>(const auto& codes, std::int64_t row, int group) {
      k_rows<Fmt, R, G>(codes, scales, row == 0, group, t.input->q256, t.in, t.first_row + row, k,
                        t.out + row * kUnitColumns);
    };
    if (t.rows > kDirectRows) {
      for (int p = 0; p < kUnitPanels; ++p) scales_of(p);
      unpack_codes<Fmt>(packed, kChunk / Fmt::kSubBlock, tiles);
      cover<kGroups, Simd::kRowTile>(t.rows, [&]<int R>(std::int64_t row, int group) {
        run.template operator()<R, kGroups>(TileCodes<Fmt>{tiles}, row, group);
      });
    } else {
      // Memory is fastest when it is read from one end to the other: one panel's block after the
      // other's.
      cover<kGroupsPerPanel, Simd::kRowTile>(t.rows, [&]<int R>(std::int64_t row, int group) {
        if (row == 0) scales_of(group / kGroupsPerPanel);
        run.template operator()<R, kGroupsPerPanel>(packed, row, group);
      });
    }
  }
}

}  // namespace
}  // namespace mistral::ops::cpu
