// Products of block formats with int8 activations, written once over Simd.
//
// For every chunk of 256 inputs, scales come first; codes are then either decoded in registers (few
// rows), or unpacked to a tile that stays in the first-level cache and serves all rows.
//
// Every output is a sum over sub-blocks in order of k, formed by the same operations whatever the
// number of rows, so results do not depend on how rows are grouped.
#pragma once

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

// As dot_step() for codes whose products fit: sums of 16 bits, to be added to those of 32 bits.
template <class S = Simd>
inline void dot_words(typename S::I& words, typename S::B codes, typename S::I values) {
  words = S::dot2(words, codes, values);
}
template <class S = Simd>
inline void add_words(typename S::I& sum, typename S::I words) {
  sum = S::add_words(sum, words);
}

// Steps whose products are added up in 16 bits before they go to the 32-bit sum; 1: none.
template <class Fmt, class S = Simd>
constexpr int word_run() {
  if constexpr (S::kWordSums && !Fmt::kSigned) {
    return Fmt::kWordSteps < Fmt::kSteps ? Fmt::kWordSteps : Fmt::kSteps;
  } else {
    return 1;
  }
}

template <int R, int G>
inline void clear(Simd::I (&sums)[R][G]) {
  for (auto& row : sums) {
    for (Simd::I& sum : row) sum = Simd::int_zero();
  }
}

// Where a micro-kernel finds codes: in the panels themselves, decoded in registers (few rows) ...
template <class Fmt>
struct PackedCodes {
  static constexpr int kPhase = Fmt::kPhase;
  const std::uint8_t* chunk[kUnitPanels];
  // Asks for what lies one chunk after `phase`: into the second-level cache, since the first has
  // too few outstanding misses to cover the latency of memory. After the last chunk comes the next
  // unit.
  void prefetch(int panel, int phase) const {
    constexpr std::int64_t kAhead = Fmt::kBlockStride * (kChunk / Fmt::kBlock);
    constexpr std::int64_t kBytes = Fmt::kBlockBytes * Fmt::kPhase * Fmt::kSubBlock / Fmt::kBlock;
    constexpr std::int64_t kStride = Fmt::kBlock == 32 ? Fmt::kBlockStride : kBytes;
    const std::uint8_t* p = chunk[panel] + phase * kStride + kAhead;
    for (std::int64_t i = 0; i < kBytes; i += 64) __builtin_prefetch(p + i, 0, 2);
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

template <class Fmt>
inline void unpack_phase(const PackedCodes<Fmt>& packed, int panel, int phase,
                         std::uint8_t* tiles) {
  packed.prefetch(panel, phase);
  unrolled<Fmt::kPhase>([&]<int P>() {
    std::uint8_t* out =
        tiles + panel * TileCodes<Fmt>::kTileBytes + 64 * (phase * Fmt::kPhase + P) * Fmt::kSteps;
#pragma GCC unroll 8
    for (int step = 0; step < Fmt::kSteps; ++step) {
      each_byte_vector([&](int i) {
        Simd::store_bytes(out + 64 * step + i, packed.template get<P>(panel, phase, step, i));
      });
    }
  });
}

template <class Fmt>
inline void unpack_codes(const PackedCodes<Fmt>& packed, int sub_blocks, std::uint8_t* tiles) {
  const int phases = (sub_blocks + Fmt::kPhase - 1) / Fmt::kPhase;
  // Of short blocks those of the two panels alternate.
  const int phases_of_block = Fmt::kBlock == 32 ? 1 : phases;
  for (int first = 0; first < phases; first += phases_of_block) {
    for (int panel = 0; panel < kUnitPanels; ++panel) {
      for (int phase = first; phase < first + phases_of_block; ++phase) {
        unpack_phase(packed, panel, phase, tiles);
      }
    }
  }
}

// What R rows of inputs hold of a chunk.
template <class Fmt, int R>
struct ChunkInputs {
  const std::int8_t* codes[R];
  const std::int32_t* sums[R];
  const float* scales[R];

  ChunkInputs(const Activations::Quantized& q, std::int64_t in, std::int64_t row, std::int64_t k) {
    for (int r = 0; r < R; ++r) {
      codes[r] = q.codes + (row + r) * in + k;
      sums[r] = Fmt::kSubBlock == 16 ? q.sums16 + (row + r) * (in / 16) + k / 16
                                     : q.sums32 + (row + r) * (in / 32) + k / 32;
      scales[r] = Fmt::kWide ? q.scales + (row + r) * (in / 256) + k / 256
                             : q.scales + (row + r) * (in / 32) + k / 32;
    }
  }
};

// Adds the products of a phase's sub-blocks, for G vectors of outputs. `group` counts vectors of
// outputs from the start of the unit; `ahead` asks for the next chunk on the way.
template <class Fmt, int R, int G, class Codes, class S = Simd>
[[gnu::always_inline]] inline void add_phase(const Codes& source, const ChunkScales* chunk_scales,
                                             bool ahead, int group, int phase,
                                             const ChunkInputs<Fmt, R>& inputs,
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
    for (int g = 0; g < G; g += kGroupsPerPanel) source.prefetch(panel[g], phase);
  }
  unrolled<Codes::kPhase>([&]<int P>() {
    const int s = phase * Codes::kPhase + P;
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
        for (int g = 0; g < G; ++g) {
          w[g] = source.template get<P>(panel[g], phase, step, 4 * lane[g]);
        }
        for (int r = 0; r < R; ++r) {
          const Simd::I a = Simd::broadcast4(inputs.codes[r] + (s * Fmt::kSteps + step) * 4);
          for (int g = 0; g < G; ++g) {
            if constexpr (kRun > 1) {
              dot_words<S>(words[r][g], w[g], a);
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
          for (int g = 0; g < G; ++g) {
            add_words<S>(dot[r][g], words[r][g]);
          }
        }
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
      const Simd::I sum = Simd::int_set1(inputs.sums[r][s]);
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
          const Simd::F a = Simd::set1(inputs.scales[r][s]);
          acc[r][g] = Simd::fma(product, Simd::mul(scale[g], a), acc[r][g]);
          if constexpr (Fmt::kHasOffset) {
            acc[r][g] = Simd::fma(Simd::mul(Simd::to_float(sum), a), offset[g], acc[r][g]);
          }
        }
      }
    }
  });
}

// Rows [row, row + R) over one chunk of `sub_blocks`, for Sets x G vectors of outputs. out
// holds the sums of earlier chunks (unless `first`). A function of its own, so that its registers
// are not spilled for the sake of kernels of other numbers of rows.
template <class Fmt, int R, int Sets, int G, class Codes>
[[gnu::noinline]] void int8_rows(const Codes& source, const ChunkScales* chunk_scales, bool ahead,
                                 int group, const Activations::Quantized& q, std::int64_t in,
                                 std::int64_t row, std::int64_t k, int sub_blocks, bool first,
                                 float* out) {
  const ChunkInputs<Fmt, R> inputs(q, in, row, k);
  const auto sums_of = [&](int set, int r, int g) {
    return out + r * kUnitColumns + (group + set * G + g) * Simd::kLanes;
  };
  // Wide: sum over the chunk in units of the activation scale; else the running output.
  Simd::F acc[Sets][R][G];
  for (int set = 0; set < Sets; ++set) {
    for (int r = 0; r < R; ++r) {
      for (int g = 0; g < G; ++g) {
        acc[set][r][g] = Fmt::kWide || first ? Simd::zero() : Simd::load(sums_of(set, r, g));
      }
    }
  }
  for (int phase = 0; phase * Codes::kPhase < sub_blocks; ++phase) {
    unrolled<Sets>([&]<int Set>() {
      add_phase<Fmt, R, G>(source, chunk_scales, ahead, group + Set * G, phase, inputs, acc[Set]);
    });
  }
  for (int set = 0; set < Sets; ++set) {
    for (int r = 0; r < R; ++r) {
      for (int g = 0; g < G; ++g) {
        float* p = sums_of(set, r, g);
        Simd::F value = acc[set][r][g];
        if constexpr (Fmt::kWide) {
          const Simd::F a = Simd::set1(inputs.scales[r][0]);
          value = first ? Simd::mul(value, a) : Simd::fma(value, a, Simd::load(p));
        }
        Simd::store(p, value);
      }
    }
  }
}

template <DType Type>
void int8_matmul(const MatmulTask& t) {
  using Fmt = Format<Type>;
  const Activations::Quantized& q = Fmt::kWide ? t.input->q256 : t.input->q32;
  auto* scales = reinterpret_cast<ChunkScales*>(t.scratch);
  auto* tiles = reinterpret_cast<std::uint8_t*>(scales + kUnitPanels);
  static_assert((sizeof(ChunkScales) + TileCodes<Fmt>::kTileBytes) * kUnitPanels <= kMatmulScratch);
  for (std::int64_t k = 0; k < t.in; k += kChunk) {
    const int count = static_cast<int>(t.in - k < kChunk ? t.in - k : kChunk);
    const int sub_blocks = count / Fmt::kSubBlock;
    PackedCodes<Fmt> packed;
    for (int p = 0; p < kUnitPanels; ++p) {
      packed.chunk[p] = reinterpret_cast<const std::uint8_t*>(t.unit) +
                        k / Fmt::kBlock * Fmt::kBlockStride + p * Fmt::kBlockBytes;
      Fmt::scales(packed.chunk[p], sub_blocks, scales[p]);
    }
    const auto run = [&]<int Sets, int G, class Codes>(const Codes& codes) {
      cover<Sets * G, Simd::kRowTile>(t.rows, [&]<int R>(std::int64_t row, int group) {
        int8_rows<Fmt, R, Sets, G>(codes, scales, row == 0, group, q, t.in, t.first_row + row, k,
                                   sub_blocks, k == 0, t.out + row * kUnitColumns);
      });
    };
    if (t.rows > kDirectRows) {
      unpack_codes<Fmt>(packed, sub_blocks, tiles);
      run.template operator()<1, kGroups>(TileCodes<Fmt>{tiles});
    } else if constexpr (Fmt::kBlock == 32) {
      // Memory is fastest when it is read from one end to the other. Short blocks of the two panels
      // alternate: both at once.
      run.template operator()<kUnitSets, kGroups>(packed);
    } else {
      // A long one fills the chunk: one panel after the other.
      run.template operator()<1, kGroupsPerPanel>(packed);
    }
  }
}

}  // namespace
}  // namespace mistral::ops::cpu
