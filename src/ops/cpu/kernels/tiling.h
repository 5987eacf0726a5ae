// How the micro-kernels of products cover their outputs: some rows x 2 vectors of outputs at a
// time, accumulators in registers.
#pragma once

#include <cstdint>
#include <utility>

#include "ops/cpu/kernel_table.h"

namespace mistral::ops::cpu {
namespace {

// Vectors of outputs that a micro-kernel covers: 2 panels with 16 lanes, 1 panel with 8. With few
// rows it goes over all sets of them in turn, so that it reads a unit from one end to the other.
inline constexpr int kGroups = 2;
inline constexpr int kGroupsPerPanel = 16 / Simd::kLanes;
inline constexpr int kUnitSets = kUnitPanels * kGroupsPerPanel / kGroups;  // that make a unit
// Up to this many rows weights are decoded in registers, for each of at most two passes over rows.
inline constexpr std::int64_t kDirectRows = Simd::kDirectRows;

// f<0>() ... f<N - 1>()
template <int N, typename Function>
[[gnu::always_inline]] inline void unrolled(Function f) {
  [&]<int... P>(std::integer_sequence<int, P...>) {
    (f.template operator()<P>(), ...);
  }
  (std::make_integer_sequence<int, N>{});
}

// Calls f<R>(first row, group) so that all rows and groups of a unit are covered, R <= Tile; a call
// covers `Groups` groups. All groups of some rows come in a row: inputs are more than weights here.
template <int R, int Groups, typename Function>
inline void cover_rows(std::int64_t& row, std::int64_t rows, Function& f) {
  for (; row + R <= rows; row += R) {
    for (int group = 0; group < kUnitPanels * kGroupsPerPanel; group += Groups) {
      f.template operator()<R>(row, group);
    }
  }
  // Not every number of rows: each is a kernel of its own to compile and to keep in caches.
  if constexpr (R > 1) cover_rows<(R > 4 ? 4 : (R + 1) / 2), Groups>(row, rows, f);
}
template <int Groups, int Tile, typename Function>
inline void cover(std::int64_t rows, Function f) {
  std::int64_t row = 0;
  cover_rows<Tile, Groups>(row, rows, f);
}

}  // namespace
}  // namespace mistral::ops::cpu
