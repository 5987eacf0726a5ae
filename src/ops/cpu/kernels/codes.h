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
  // Bytes that are asked for before they are decoded in registers: soon enough to be there, and so
  // near that the processor, which foresees within pages, goes on from there.
  static constexpr std::uintptr_t kAhead = 1536;
  // Before a tile of one chunk serves all rows, the whole next one.
  static constexpr std::uintptr_t kTileAhead = Fmt::kBlockStride * (kChunk / Fmt::kBlock);

  // Asks for what lies `Ahead` behind `Bytes` bytes of the panel's chunk: into the second-level
  // cache, since the first has too few outstanding misses to cover the latency of memory. Behind
  // the last chunk lies the next unit. One instruction in a loop, not many of them: processors
  // foresee the steps of each.
  template <std::uintptr_t Bytes, std::uintptr_t Ahead = kAhead>
  [[gnu::always_inline]] void prefetch(int panel, std::int64_t first) const {
    constexpr std::uintptr_t kLine = 64;
    const auto start = reinterpret_cast<std::uintptr_t>(chunk[panel] + first) + Ahead;
    const std::uintptr_t end = start + Bytes;
#pragma GCC unroll 1
    for (std::uintptr_t p = (start + kLine - 1) / kLine * kLine; p < end; p += kLine) {
      __builtin_prefetch(reinterpret_cast<const void*>(p), 0, 2);
    }
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
  template <std::uintptr_t>
  void prefetch(int, std::int64_t) const {}
  template <int P>
  [[nodiscard]] Simd::B get(int panel, int phase, int step, int i) const {
    return Simd::load_bytes(tiles + panel * kTileBytes + 64 * (phase * Fmt::kSteps + step) + i);
  }
};

template <class Fmt>
inline void unpack_phase(const PackedCodes<Fmt>& packed, int panel, int phase,
                         std::uint8_t* tiles) {
  constexpr std::int64_t kBytes = Fmt::kBlockBytes * Fmt::kPhase * Fmt::kSubBlock / Fmt::kBlock;
  packed.template prefetch<kBytes, PackedCodes<Fmt>::kTileAhead>(
      panel, phase * (Fmt::kBlock == 32 ? Fmt::kBlockStride : kBytes));
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
