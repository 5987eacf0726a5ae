// What the products of all block formats share: where their micro-kernels find codes (in the panels
// themselves, or in tiles of codes that were decoded once for many rows), and for how long products
// may be summed in 16 bits.
#pragma once

#include "ops/cpu/kernels/formats.h"
#include "ops/cpu/kernels/tiling.h"

namespace mistral::ops::cpu {
namespace {

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

// In the panels, decoded in registers (few rows) ...
template <class Fmt>
struct PackedCodes {
  static constexpr int kPhase = Fmt::kPhase;
  const std::uint8_t* chunk[kUnitPanels];

  PackedCodes(const std::byte* unit, std::int64_t k) {
    for (int p = 0; p < kUnitPanels; ++p) {
      chunk[p] = reinterpret_cast<const std::uint8_t*>(unit) + k / Fmt::kBlock * Fmt::kBlockStride +
                 p * Fmt::kBlockBytes;
    }
  }
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

}  // namespace
}  // namespace mistral::ops::cpu
