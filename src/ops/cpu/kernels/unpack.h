// From a packed panel to a tile of int8 codes: one function per format. The panel's layout is
// described in packed_weight.h; byte offsets are those of the file times 16.
#pragma once

#include <cstdint>
#include <cstring>

#include "quant/dequantize.h"
#include "tensor/dtype.h"

namespace mistral::ops::cpu {
namespace {

inline constexpr std::int64_t kChunk = 256;  // inputs that are unpacked at a time

// 16 outputs x 256 inputs.
struct alignas(64) Int8Tile {
  std::uint8_t codes[64][64];  // [step of 4 inputs][output][input]
  float scale[16][16];         // [sub-block][output]
  float offset[16][16];
};

inline constexpr int kVectorBytes = Simd::kLanes * 4;

// f(byte offset inside a step of 64 bytes) for each vector of the step.
template <typename Function>
inline void each_vector(Function f) {
  for (int i = 0; i < 64; i += kVectorBytes) f(i);
}

inline void store_f16_scales(const std::uint8_t* source, float* out) {
  for (int i = 0; i < 16; i += Simd::kLanes) {
    Simd::store(out + i, Simd::load_f16(reinterpret_cast<const std::byte*>(source) + 2 * i));
  }
}

// 4-bit codes of a block of 32: low nibbles are steps 0-3, high nibbles steps 4-7.
inline void unpack_nibbles(const std::uint8_t* source, std::uint8_t (*codes)[64]) {
  const Simd::B mask = Simd::bytes_set1(15);
  for (int v = 0; v < 4; ++v) {
    each_vector([&](int i) {
      const Simd::B x = Simd::load_bytes(source + 64 * v + i);
      Simd::store_bytes(codes[v] + i, Simd::bytes_and(x, mask));
      Simd::store_bytes(codes[v + 4] + i, Simd::bytes_and(Simd::shift_right(x, 4), mask));
    });
  }
}

// As above, with a fifth bit: bit s of the byte of a lane belongs to step s.
inline void unpack_5bit(const std::uint8_t* high, const std::uint8_t* source,
                        std::uint8_t (*codes)[64]) {
  const Simd::B mask = Simd::bytes_set1(15);
  const Simd::B bit = Simd::bytes_set1(16);
  each_vector([&](int i) {
    const Simd::B h = Simd::load_bytes(high + i);
    for (int v = 0; v < 4; ++v) {
      const Simd::B x = Simd::load_bytes(source + 64 * v + i);
      const Simd::B low = Simd::bytes_and(Simd::shift_left(h, 4 - v), bit);
      const Simd::B top = Simd::bytes_and(Simd::shift_right(h, v), bit);
      Simd::store_bytes(codes[v] + i, Simd::bytes_or(Simd::bytes_and(x, mask), low));
      Simd::store_bytes(codes[v + 4] + i,
                        Simd::bytes_or(Simd::bytes_and(Simd::shift_right(x, 4), mask), top));
    }
  });
}

// The 6-bit scales and mins of Q4_K and Q5_K: 12 bytes a row, here [12][16].
inline void unpack_scales_mins(const std::uint8_t* source, const float* d, const float* dmin,
                               Int8Tile& tile) {
  for (int j = 0; j < 8; ++j) {
    alignas(64) std::uint8_t scale[16];
    alignas(64) std::uint8_t min[16];
    for (int r = 0; r < 16; ++r) {
      if (j < 4) {
        scale[r] = source[16 * j + r] & 63U;
        min[r] = source[16 * (j + 4) + r] & 63U;
      } else {
        const unsigned low = source[16 * (j + 4) + r];
        scale[r] = static_cast<std::uint8_t>((low & 15U) | (source[16 * (j - 4) + r] >> 6U << 4U));
        min[r] = static_cast<std::uint8_t>((low >> 4U) | (source[16 * j + r] >> 6U << 4U));
      }
    }
    for (int r = 0; r < 16; r += Simd::kLanes) {
      Simd::store(tile.scale[j] + r, Simd::mul(Simd::load(d + r), Simd::load_u8(scale + r)));
      Simd::store(tile.offset[j] + r,
                  Simd::sub(Simd::zero(), Simd::mul(Simd::load(dmin + r), Simd::load_u8(min + r))));
    }
  }
}

template <DType Type>
void unpack(const std::uint8_t* panel, std::int64_t k, int count, Int8Tile& tile);

template <DType Type, typename Block>
inline void unpack_blocks_of_32(const std::uint8_t* panel, std::int64_t k, int count, Block block) {
  const std::int64_t bytes = row_bytes(Type, 32) * 16;
  const std::uint8_t* source = panel + k / 32 * bytes;
  for (int b = 0; b < count / 32; ++b) block(source + b * bytes, b);
}

template <>
inline void unpack<DType::kQ4_0>(const std::uint8_t* panel, std::int64_t k, int count,
                                 Int8Tile& tile) {
  unpack_blocks_of_32<DType::kQ4_0>(panel, k, count, [&](const std::uint8_t* s, int b) {
    store_f16_scales(s, tile.scale[b]);
    unpack_nibbles(s + 32, tile.codes + 8 * b);
  });
}
template <>
inline void unpack<DType::kQ4_1>(const std::uint8_t* panel, std::int64_t k, int count,
                                 Int8Tile& tile) {
  unpack_blocks_of_32<DType::kQ4_1>(panel, k, count, [&](const std::uint8_t* s, int b) {
    store_f16_scales(s, tile.scale[b]);
    store_f16_scales(s + 32, tile.offset[b]);
    unpack_nibbles(s + 64, tile.codes + 8 * b);
  });
}
template <>
inline void unpack<DType::kQ5_0>(const std::uint8_t* panel, std::int64_t k, int count,
                                 Int8Tile& tile) {
  unpack_blocks_of_32<DType::kQ5_0>(panel, k, count, [&](const std::uint8_t* s, int b) {
    store_f16_scales(s, tile.scale[b]);
    unpack_5bit(s + 32, s + 96, tile.codes + 8 * b);
  });
}
template <>
inline void unpack<DType::kQ5_1>(const std::uint8_t* panel, std::int64_t k, int count,
                                 Int8Tile& tile) {
  unpack_blocks_of_32<DType::kQ5_1>(panel, k, count, [&](const std::uint8_t* s, int b) {
    store_f16_scales(s, tile.scale[b]);
    store_f16_scales(s + 32, tile.offset[b]);
    unpack_5bit(s + 64, s + 128, tile.codes + 8 * b);
  });
}
template <>
inline void unpack<DType::kQ8_0>(const std::uint8_t* panel, std::int64_t k, int count,
                                 Int8Tile& tile) {
  const Simd::B flip = Simd::bytes_set1(Simd::kSignedDot ? 0 : 0x80);
  unpack_blocks_of_32<DType::kQ8_0>(panel, k, count, [&](const std::uint8_t* s, int b) {
    store_f16_scales(s, tile.scale[b]);
    for (int v = 0; v < 8; ++v) {
      each_vector([&](int i) {
        Simd::store_bytes(tile.codes[8 * b + v] + i,
                          Simd::bytes_xor(Simd::load_bytes(s + 32 + 64 * v + i), flip));
      });
    }
  });
}

template <>
inline void unpack<DType::kQ4_K>(const std::uint8_t* panel, std::int64_t k, int, Int8Tile& tile) {
  const std::uint8_t* s = panel + k / 256 * row_bytes(DType::kQ4_K, 256) * 16;
  alignas(64) float d[16];
  alignas(64) float dmin[16];
  store_f16_scales(s, d);
  store_f16_scales(s + 32, dmin);
  unpack_scales_mins(s + 64, d, dmin, tile);
  const Simd::B mask = Simd::bytes_set1(15);
  for (int c = 0; c < 4; ++c) {
    for (int v = 0; v < 8; ++v) {
      each_vector([&](int i) {
        const Simd::B x = Simd::load_bytes(s + 256 + 64 * (8 * c + v) + i);
        Simd::store_bytes(tile.codes[16 * c + v] + i, Simd::bytes_and(x, mask));
        Simd::store_bytes(tile.codes[16 * c + 8 + v] + i,
                          Simd::bytes_and(Simd::shift_right(x, 4), mask));
      });
    }
  }
}

template <>
inline void unpack<DType::kQ5_K>(const std::uint8_t* panel, std::int64_t k, int, Int8Tile& tile) {
  const std::uint8_t* s = panel + k / 256 * row_bytes(DType::kQ5_K, 256) * 16;
  alignas(64) float d[16];
  alignas(64) float dmin[16];
  store_f16_scales(s, d);
  store_f16_scales(s + 32, dmin);
  unpack_scales_mins(s + 64, d, dmin, tile);
  const Simd::B mask = Simd::bytes_set1(15);
  const Simd::B bit = Simd::bytes_set1(16);
  const std::uint8_t* high = s + 256;
  const std::uint8_t* low = s + 768;
  for (int v = 0; v < 8; ++v) {
    each_vector([&](int i) {
      const Simd::B h = Simd::load_bytes(high + 64 * v + i);
      for (int c = 0; c < 4; ++c) {
        const Simd::B x = Simd::load_bytes(low + 64 * (8 * c + v) + i);
        // Bits 2c and 2c + 1 of h move to bit 4.
        const Simd::B even =
            2 * c <= 4 ? Simd::shift_left(h, 4 - 2 * c) : Simd::shift_right(h, 2 * c - 4);
        const Simd::B odd =
            2 * c + 1 <= 4 ? Simd::shift_left(h, 3 - 2 * c) : Simd::shift_right(h, 2 * c - 3);
        Simd::store_bytes(tile.codes[16 * c + v] + i,
                          Simd::bytes_or(Simd::bytes_and(x, mask), Simd::bytes_and(even, bit)));
        Simd::store_bytes(tile.codes[16 * c + 8 + v] + i,
                          Simd::bytes_or(Simd::bytes_and(Simd::shift_right(x, 4), mask),
                                         Simd::bytes_and(odd, bit)));
      }
    });
  }
}

template <>
inline void unpack<DType::kQ6_K>(const std::uint8_t* panel, std::int64_t k, int, Int8Tile& tile) {
  const std::uint8_t* s = panel + k / 256 * row_bytes(DType::kQ6_K, 256) * 16;
  const std::uint8_t* scales = s + 192 * 16;
  alignas(64) float d[16];
  store_f16_scales(s + 208 * 16, d);
  for (int j = 0; j < 16; ++j) {
    for (int r = 0; r < 16; r += Simd::kLanes) {
      Simd::store(tile.scale[j] + r,
                  Simd::mul(Simd::load(d + r), Simd::load_i8(scales + 16 * j + r)));
    }
  }
  const Simd::B nibble = Simd::bytes_set1(15);
  const Simd::B two = Simd::bytes_set1(0x30);
  for (int h = 0; h < 2; ++h) {
    const std::uint8_t* low = s + h * 64 * 16;
    const std::uint8_t* high = s + 128 * 16 + h * 32 * 16;
    for (int v = 0; v < 8; ++v) {
      each_vector([&](int i) {
        const Simd::B a = Simd::load_bytes(low + 64 * v + i);
        const Simd::B b = Simd::load_bytes(low + 64 * (v + 8) + i);
        const Simd::B q = Simd::load_bytes(high + 64 * v + i);
        std::uint8_t(*codes)[64] = tile.codes + 32 * h + v;
        const auto put = [&](int group, Simd::B x, Simd::B bits) {
          Simd::store_bytes(codes[8 * group] + i,
                            Simd::bytes_or(Simd::bytes_and(x, nibble), Simd::bytes_and(bits, two)));
        };
        put(0, a, Simd::shift_left(q, 4));
        put(1, b, Simd::shift_left(q, 2));
        put(2, Simd::shift_right(a, 4), q);
        put(3, Simd::shift_right(b, 4), Simd::shift_right(q, 2));
      });
    }
  }
}

template <>
inline void unpack<DType::kQ2_K>(const std::uint8_t* panel, std::int64_t k, int, Int8Tile& tile) {
  const std::uint8_t* s = panel + k / 256 * row_bytes(DType::kQ2_K, 256) * 16;
  alignas(64) float d[16];
  alignas(64) float dmin[16];
  store_f16_scales(s + 80 * 16, d);
  store_f16_scales(s + 82 * 16, dmin);
  for (int j = 0; j < 16; ++j) {
    alignas(64) std::uint8_t scale[16];
    alignas(64) std::uint8_t min[16];
    for (int r = 0; r < 16; ++r) {
      scale[r] = s[16 * j + r] & 15U;
      min[r] = static_cast<std::uint8_t>(s[16 * j + r] >> 4U);
    }
    for (int r = 0; r < 16; r += Simd::kLanes) {
      Simd::store(tile.scale[j] + r, Simd::mul(Simd::load(d + r), Simd::load_u8(scale + r)));
      Simd::store(tile.offset[j] + r,
                  Simd::sub(Simd::zero(), Simd::mul(Simd::load(dmin + r), Simd::load_u8(min + r))));
    }
  }
  const Simd::B mask = Simd::bytes_set1(3);
  for (int h = 0; h < 2; ++h) {
    for (int v = 0; v < 8; ++v) {
      each_vector([&](int i) {
        const Simd::B q = Simd::load_bytes(s + 16 * 16 + 64 * (8 * h + v) + i);
        for (int j = 0; j < 4; ++j) {
          Simd::store_bytes(tile.codes[32 * h + 8 * j + v] + i,
                            Simd::bytes_and(Simd::shift_right(q, 2 * j), mask));
        }
      });
    }
  }
}

template <>
inline void unpack<DType::kQ3_K>(const std::uint8_t* panel, std::int64_t k, int, Int8Tile& tile) {
  const std::uint8_t* s = panel + k / 256 * row_bytes(DType::kQ3_K, 256) * 16;
  const std::uint8_t* scales = s + 96 * 16;
  alignas(64) float d[16];
  store_f16_scales(s + 108 * 16, d);
  for (int j = 0; j < 16; ++j) {
    alignas(64) std::uint8_t scale[16];
    for (int r = 0; r < 16; ++r) {
      const unsigned low = j < 8 ? scales[16 * j + r] & 15U : scales[16 * (j - 8) + r] >> 4U;
      const unsigned high = (scales[16 * (8 + j % 4) + r] >> (2 * (j / 4))) & 3U;
      scale[r] = static_cast<std::uint8_t>((low | high << 4U) - 32U);
    }
    for (int r = 0; r < 16; r += Simd::kLanes) {
      Simd::store(tile.scale[j] + r, Simd::mul(Simd::load(d + r), Simd::load_i8(scale + r)));
    }
  }
  // The high bit adds 4; codes are offset by 4.
  const Simd::B mask = Simd::bytes_set1(3);
  const Simd::B bit = Simd::bytes_set1(4);
  for (int v = 0; v < 8; ++v) {
    each_vector([&](int i) {
      const Simd::B m = Simd::load_bytes(s + 64 * v + i);
      for (int h = 0; h < 2; ++h) {
        const Simd::B q = Simd::load_bytes(s + 32 * 16 + 64 * (8 * h + v) + i);
        for (int j = 0; j < 4; ++j) {
          const int n = 4 * h + j;
          const Simd::B high = n <= 2 ? Simd::shift_left(m, 2 - n) : Simd::shift_right(m, n - 2);
          Simd::store_bytes(tile.codes[32 * h + 8 * j + v] + i,
                            Simd::bytes_or(Simd::bytes_and(Simd::shift_right(q, 2 * j), mask),
                                           Simd::bytes_and(high, bit)));
        }
      }
    });
  }
}

}  // namespace
}  // namespace mistral::ops::cpu
