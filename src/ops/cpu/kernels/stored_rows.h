// Rows of numbers as they stand in a file. For a few inputs they are multiplied on their way
// through the registers; for many a chunk is turned into the tile that the micro-kernels read: the
// rows' values of one input side by side. Either way an output is the sum that it is of packed
// weights.
#pragma once

#include <cstring>

#include "ops/cpu/kernels/tiling.h"

namespace mistral::ops::cpu {
namespace {

// load(p): kLanes values of a row, as 32-bit lanes; kBytes: of a value in the file, which stands at
// any address.
struct StoredF32 {
  static constexpr std::int64_t kBytes = 4;
  static Simd::F load(const std::byte* p) { return Simd::load_f32(p); }
};
struct StoredF16 {
  static constexpr std::int64_t kBytes = 2;
  static Simd::F load(const std::byte* p) { return Simd::load_f16(p); }
};
struct StoredBF16 {
  static constexpr std::int64_t kBytes = 2;
  static Simd::F load(const std::byte* p) { return Simd::load_bf16(p); }
};

// Row `column` of the unit; one that it does not have is its last one: nobody reads what is
// computed of that.
inline const std::byte* stored_row(const MatmulTask& t, std::int64_t row_size,
                                   std::int64_t column) {
  return t.unit + (column < t.stored_rows ? column : t.stored_rows - 1) * row_size;
}

// Values [first, first + count) of the unit's rows of `row_size` bytes to `tile`
// [count][kUnitColumns].
template <class Stored>
inline void transpose_rows(const MatmulTask& t, std::int64_t row_size, std::int64_t first,
                           std::int64_t count, float* tile) {
  constexpr std::int64_t kBytes = Stored::kBytes;
  const std::int64_t start = first * kBytes;
  const std::int64_t size = count * kBytes;
  // Rows are too far apart for the processor to foresee what is read next: it is asked for here.
  const std::int64_t next = start + size < row_size ? size : kUnitColumns * row_size - start;
  for (int column = 0; column < kUnitColumns; column += Simd::kLanes) {
    const std::byte* rows[Simd::kLanes];
    for (int l = 0; l < Simd::kLanes; ++l) {
      rows[l] = stored_row(t, row_size, column + l) + start;
      for (std::int64_t i = 0; i < size; i += 64) __builtin_prefetch(rows[l] + next + i, 0, 2);
    }
    float* out = tile + column;
    std::int64_t k = 0;
    for (; k + Simd::kLanes <= count; k += Simd::kLanes) {
      Simd::F values[Simd::kLanes];
      for (int l = 0; l < Simd::kLanes; ++l) values[l] = Stored::load(rows[l] + k * kBytes);
      Simd::transpose(values);
      for (int l = 0; l < Simd::kLanes; ++l) Simd::store(out + (k + l) * kUnitColumns, values[l]);
    }
    if (k == count) continue;
    for (int l = 0; l < Simd::kLanes; ++l) {
      std::byte rest[Simd::kLanes * kBytes] = {};
      std::memcpy(rest, rows[l] + k * kBytes, static_cast<std::size_t>((count - k) * kBytes));
      float values[Simd::kLanes];
      Simd::store(values, Stored::load(rest));
      for (std::int64_t i = k; i < count; ++i) out[i * kUnitColumns + l] = values[i - k];
    }
  }
}

// Products with up to so many rows of inputs do not need a tile.
inline constexpr std::int64_t kStoredRows = 2;

// Products with the task's rows of `count` inputs, R of them. multiply(values, row, k, sums): sums
// + what the values of input k make. A vector of rows at a time: more would be more
// streams than the memory follows at full speed.
template <class Stored, int R, typename Multiply>
inline void stored_product_of(const MatmulTask& t, std::int64_t row_size, std::int64_t count,
                              Multiply multiply) {
  constexpr int kRows = Simd::kLanes;
  constexpr int kSets = kRows / Simd::kLanes;
  constexpr std::int64_t kBytes = Stored::kBytes;
  constexpr std::int64_t kAhead = 1024;
  for (int column = 0; column < kUnitColumns; column += kRows) {
    const std::byte* rows[kRows];
    for (int l = 0; l < kRows; ++l) rows[l] = stored_row(t, row_size, column + l);
    Simd::F sums[R][kSets];
    for (int r = 0; r < R; ++r) {
      for (int s = 0; s < kSets; ++s) sums[r][s] = Simd::zero();
    }
    const auto add = [&](Simd::F(&values)[Simd::kLanes], int set, std::int64_t k, std::int64_t n) {
      Simd::transpose(values);
      for (int l = 0; l < n; ++l) {
        for (int r = 0; r < R; ++r) sums[r][set] = multiply(values[l], r, k + l, sums[r][set]);
      }
    };
    std::int64_t k = 0;
    for (; k + Simd::kLanes <= count; k += Simd::kLanes) {
      if (k * kBytes % 64 == 0) {
        // Behind the end of a row comes the row that is as many further as are read together.
        std::int64_t ahead = k * kBytes + kAhead;
        if (ahead >= row_size) ahead += (kRows - 1) * row_size;
        for (const std::byte* row : rows) __builtin_prefetch(row + ahead, 0, 2);
      }
      for (int s = 0; s < kSets; ++s) {
        Simd::F values[Simd::kLanes];
        for (int l = 0; l < Simd::kLanes; ++l) {
          values[l] = Stored::load(rows[s * Simd::kLanes + l] + k * kBytes);
        }
        add(values, s, k, Simd::kLanes);
      }
    }
    for (int s = 0; s < kSets && k < count; ++s) {
      Simd::F values[Simd::kLanes];
      for (int l = 0; l < Simd::kLanes; ++l) {
        std::byte rest[Simd::kLanes * kBytes] = {};
        std::memcpy(rest, rows[s * Simd::kLanes + l] + k * kBytes,
                    static_cast<std::size_t>((count - k) * kBytes));
        values[l] = Stored::load(rest);
      }
      add(values, s, k, count - k);
    }
    for (int r = 0; r < R; ++r) {
      for (int s = 0; s < kSets; ++s) {
        Simd::store(t.out + r * kUnitColumns + column + s * Simd::kLanes, sums[r][s]);
      }
    }
  }
}

template <class Stored, typename Multiply>
inline void stored_product(const MatmulTask& t, std::int64_t row_size, std::int64_t count,
                           Multiply multiply) {
  if (t.rows == 1) {
    stored_product_of<Stored, 1>(t, row_size, count, multiply);
  } else {
    stored_product_of<Stored, kStoredRows>(t, row_size, count, multiply);
  }
}

}  // namespace
}  // namespace mistral::ops::cpu
