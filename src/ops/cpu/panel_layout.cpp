#include "ops/cpu/panel_layout.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <span>

namespace mistral::ops::cpu {
namespace {

// A field of a block and the width in which the rows of a panel are interleaved.
struct Field {
  int offset;
  int bytes;
  int unit;
};

// The fields of each block format, in the order in which kernels read them. Codes are interleaved
// by 4 bytes, scales by their own width.
std::span<const Field> fields(DType dtype) {
  static constexpr std::array<Field, 2> kQ4_0 = {{{0, 2, 2}, {2, 16, 4}}};
  static constexpr std::array<Field, 3> kQ4_1 = {{{0, 2, 2}, {2, 2, 2}, {4, 16, 4}}};
  static constexpr std::array<Field, 3> kQ5_0 = {{{0, 2, 2}, {2, 4, 4}, {6, 16, 4}}};
  static constexpr std::array<Field, 4> kQ5_1 = {{{0, 2, 2}, {2, 2, 2}, {4, 4, 4}, {8, 16, 4}}};
  static constexpr std::array<Field, 2> kQ8_0 = {{{0, 2, 2}, {2, 32, 4}}};
  static constexpr std::array<Field, 4> kQ2_K = {{{0, 16, 1}, {80, 2, 2}, {82, 2, 2}, {16, 64, 4}}};
  static constexpr std::array<Field, 4> kQ3_K = {
      {{96, 12, 1}, {108, 2, 2}, {0, 32, 4}, {32, 64, 4}}};
  static constexpr std::array<Field, 4> kQ4_K = {{{0, 2, 2}, {2, 2, 2}, {4, 12, 1}, {16, 128, 4}}};
  static constexpr std::array<Field, 5> kQ5_K = {
      {{0, 2, 2}, {2, 2, 2}, {4, 12, 1}, {16, 32, 4}, {48, 128, 4}}};
  static constexpr std::array<Field, 4> kQ6_K = {
      {{192, 16, 1}, {208, 2, 2}, {0, 128, 4}, {128, 64, 4}}};
  switch (dtype) {
    case DType::kQ4_0:
      return kQ4_0;
    case DType::kQ4_1:
      return kQ4_1;
    case DType::kQ5_0:
      return kQ5_0;
    case DType::kQ5_1:
      return kQ5_1;
    case DType::kQ8_0:
      return kQ8_0;
    case DType::kQ2_K:
      return kQ2_K;
    case DType::kQ3_K:
      return kQ3_K;
    case DType::kQ4_K:
      return kQ4_K;
    case DType::kQ5_K:
      return kQ5_K;
    case DType::kQ6_K:
      return kQ6_K;
    default:
      return {};
  }
}

// Rows of a panel are transposed in vectors of 16 bytes, which every processor of 64 bits has.
using Bytes = std::uint8_t __attribute__((vector_size(16)));
using Words = std::uint32_t __attribute__((vector_size(16)));

template <class Vector>
Vector load(const std::byte* p) {
  Vector x;
  std::memcpy(&x, p, sizeof(x));
  return x;
}
template <class Vector>
void store(std::byte* p, Vector x) {
  std::memcpy(p, &x, sizeof(x));
}

// a[0], b[0], a[1], b[1] ...: of the lower halves, and of the upper ones.
Words zip_low(Words a, Words b) {
  return __builtin_shufflevector(a, b, 0, 4, 1, 5);
}
Words zip_high(Words a, Words b) {
  return __builtin_shufflevector(a, b, 2, 6, 3, 7);
}
Bytes zip_low(Bytes a, Bytes b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
Bytes zip_high(Bytes a, Bytes b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                 31);
}

// A matrix of as many vectors as a vector has elements: each round zips row i with row i + N / 2,
// which moves one bit of the row's number to the column's.
template <class Vector, std::size_t N>
void transpose(Vector (&rows)[N]) {
  static_assert(sizeof(Vector) / sizeof(rows[0][0]) == N);
  for (std::size_t moved = 1; moved < N; moved *= 2) {
    Vector zipped[N];
    for (std::size_t i = 0; i < N / 2; ++i) {
      zipped[2 * i] = zip_low(rows[i], rows[i + N / 2]);
      zipped[2 * i + 1] = zip_high(rows[i], rows[i + N / 2]);
    }
    for (std::size_t i = 0; i < N; ++i) rows[i] = zipped[i];
  }
}

// Swaps bits of a number whose places differ by 2^High - 2^Low: in the numbers of the places, bits
// High and Low change places.
template <unsigned High, unsigned Low>
Words swap_places(Words x) {
  constexpr std::uint32_t kMask = [] {
    std::uint32_t mask = 0;
    for (unsigned i = 0; i < 32; ++i) {
      if ((i >> High & 1U) == 0 && (i >> Low & 1U) == 1) mask |= 1U << i;
    }
    return mask;
  }();
  constexpr unsigned kDistance = (1U << High) - (1U << Low);
  const Words swapped = ((x >> kDistance) ^ x) & kMask;
  return x ^ swapped ^ (swapped << kDistance);
}

// Offset of the 32 high bits in a Q5_0 or Q5_1 block, or -1.
int high_bits_offset(DType dtype) {
  return dtype == DType::kQ5_0 ? 2 : dtype == DType::kQ5_1 ? 4 : -1;
}

// Bit 4s + j of a number <-> bit s of byte j: place s2 s1 s0 j1 j0 <-> place j1 j0 s2 s1 s0.
Words transpose_high_bits(Words x) {
  return swap_places<1, 0>(swap_places<2, 1>(swap_places<3, 0>(swap_places<4, 1>(x))));
}
Words restore_high_bits(Words x) {
  return swap_places<4, 1>(swap_places<3, 0>(swap_places<2, 1>(swap_places<1, 0>(x))));
}

// Codes of Q6_K. The file has nibbles and pairs of upper bits apart. Decoding is cheapest where
// three of four codes are a byte's lower six bits, and the fourth is made of the upper two of each;
// and memory is read in order where these bytes stand side by side.
struct Q6Codes {
  static constexpr std::size_t kAt = 18;  // bytes of scales before them
  static constexpr std::size_t kHalf = 64;
  static constexpr std::size_t kHigh = 128;  // in the file: where the upper bits begin
  static constexpr std::size_t kBytes = 192;
};

// Over the interleaved fields of a panel: groups of 4 codes of each row (64 bytes).
void regroup_panel(std::byte* codes) {
  std::array<std::byte, Q6Codes::kBytes * kPanelRows> file;
  std::memcpy(file.data(), codes, file.size());
  for (std::size_t half = 0; half < 2; ++half) {
    const std::byte* low = file.data() + half * Q6Codes::kHalf * kPanelRows;
    const std::byte* high = file.data() + (Q6Codes::kHigh + half * 32) * kPanelRows;
    for (std::size_t i = 0; i < 32 * kPanelRows; i += sizeof(Bytes)) {
      const auto low0 = load<Bytes>(low + i);
      const auto low1 = load<Bytes>(low + 32 * kPanelRows + i);
      const auto h = load<Bytes>(high + i);
      const Bytes fourth = low1 >> 4 | (h >> 2 & 0x30);
      std::byte* group = codes + i / 64 * 192 + i % 64;
      store<Bytes>(group, (low0 & 15) | (h << 4 & 0x30) | fourth << 6);
      store<Bytes>(group + 64, (low1 & 15) | (h << 2 & 0x30) | (fourth << 4 & 0xC0));
      store<Bytes>(group + 128, low0 >> 4 | (h & 0x30) | (fourth << 2 & 0xC0));
    }
    codes += std::size_t{8} * 3 * 64;
  }
}
// The inverse for one row of the panel.
void restore_row(const std::byte* codes, int row, std::byte* block) {
  for (std::size_t i = 0; i < 64; ++i) {
    const std::byte* from = codes + i / 4 * 192 + static_cast<std::size_t>(row) * 4 + i % 4;
    const auto a = static_cast<unsigned>(from[0]);
    const auto b = static_cast<unsigned>(from[64]);
    const auto c = static_cast<unsigned>(from[128]);
    const unsigned fourth = a >> 6U | (b >> 4U & 12U) | (c >> 2U & 0x30U);
    std::byte* low = block + i / 32 * Q6Codes::kHalf + i % 32;
    low[0] = static_cast<std::byte>((a & 15U) | (c << 4U & 0xF0U));
    low[32] = static_cast<std::byte>((b & 15U) | (fourth << 4U & 0xF0U));
    block[Q6Codes::kHigh + i] = static_cast<std::byte>((a >> 4U & 3U) | (b >> 2U & 12U) |
                                                       (c & 0x30U) | (fourth << 2U & 0xC0U));
  }
}

// A field of up to 16 rows, in units of its width ...
template <std::size_t Width>
void interleave_units(const std::byte* const* rows, int row_count, const Field& f, std::byte* out) {
  for (std::size_t at = 0; at < static_cast<std::size_t>(f.bytes); at += Width) {
    for (int r = 0; r < row_count; ++r) {
      std::memcpy(out + at * kPanelRows + static_cast<std::size_t>(r) * Width,
                  rows[r] + f.offset + at, Width);
    }
  }
}
void interleave(const std::byte* const* rows, int row_count, const Field& f, std::byte* out) {
  switch (f.unit) {
    case 1:
      return interleave_units<1>(rows, row_count, f, out);
    case 2:
      return interleave_units<2>(rows, row_count, f, out);
    default:
      return interleave_units<4>(rows, row_count, f, out);
  }
}
// ... and of all 16, which is nearly always so: in units of 4 bytes,
void interleave_words(const std::byte* const* rows, int bytes, std::byte* out) {
  constexpr std::size_t kRows = 4;
  for (std::size_t column = 0; column < static_cast<std::size_t>(bytes); column += sizeof(Words)) {
    for (std::size_t r = 0; r < kPanelRows; r += kRows) {
      Words part[kRows];
      for (std::size_t i = 0; i < kRows; ++i) part[i] = load<Words>(rows[r + i] + column);
      transpose(part);
      for (std::size_t i = 0; i < kRows; ++i) {
        store(out + (column + 4 * i) * kPanelRows + 4 * r, part[i]);
      }
    }
  }
}
// and byte by byte.
template <std::size_t Count>
void interleave_bytes(const std::byte* const* rows, std::byte* out) {
  static_assert(Count <= sizeof(Bytes));
  Bytes part[kPanelRows];
  for (std::size_t r = 0; r < kPanelRows; ++r) {
    part[r] = Bytes{};
    std::memcpy(&part[r], rows[r], Count);
  }
  transpose(part);
  for (std::size_t i = 0; i < Count; ++i) store(out + i * kPanelRows, part[i]);
}

void interleave_all(const std::byte* const* rows, const Field& f, std::byte* out) {
  const std::byte* field_rows[kPanelRows];
  for (std::size_t r = 0; r < kPanelRows; ++r) field_rows[r] = rows[r] + f.offset;
  if (f.unit == 4 && f.bytes % static_cast<int>(sizeof(Words)) == 0) {
    interleave_words(field_rows, f.bytes, out);
  } else if (f.unit == 1 && f.bytes == 12) {
    interleave_bytes<12>(field_rows, out);
  } else if (f.unit == 1 && f.bytes == 16) {
    interleave_bytes<16>(field_rows, out);
  } else {
    interleave(rows, kPanelRows, f, out);
  }
}

}  // namespace

bool has_panels(DType dtype) {
  return !fields(dtype).empty();
}

void pack_block(DType dtype, const std::byte* const* rows, int row_count, std::byte* out) {
  std::byte* field_out = out;
  for (const Field& f : fields(dtype)) {
    if (row_count == kPanelRows) {
      interleave_all(rows, f, field_out);
    } else {
      interleave(rows, row_count, f, field_out);
    }
    field_out += f.bytes * kPanelRows;
  }
  if (const int offset = high_bits_offset(dtype); offset >= 0) {
    std::byte* words = out + offset * kPanelRows;
    for (std::size_t i = 0; i < 4 * kPanelRows; i += sizeof(Words)) {
      store(words + i, transpose_high_bits(load<Words>(words + i)));
    }
  }
  if (dtype == DType::kQ6_K) regroup_panel(out + Q6Codes::kAt * kPanelRows);
}

void unpack_block(DType dtype, const std::byte* packed, int row, std::byte* block) {
  const std::byte* in = packed;
  for (const Field& f : fields(dtype)) {
    for (int u = 0; u < f.bytes / f.unit; ++u) {
      std::memcpy(block + f.offset + u * f.unit, in + (u * kPanelRows + row) * f.unit,
                  static_cast<std::size_t>(f.unit));
    }
    in += f.bytes * kPanelRows;
  }
  if (const int offset = high_bits_offset(dtype); offset >= 0) {
    Words word{};
    std::memcpy(&word, block + offset, 4);
    word = restore_high_bits(word);
    std::memcpy(block + offset, &word, 4);
  }
  if (dtype == DType::kQ6_K) restore_row(packed + Q6Codes::kAt * kPanelRows, row, block);
}

}  // namespace mistral::ops::cpu
