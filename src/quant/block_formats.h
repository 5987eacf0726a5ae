// The block formats of GGML files, byte for byte: a row is a run of such blocks. Names follow the
// gguf specification; formats that need codebooks (IQ1_*, IQ2_*, IQ3_*) are in codebook_formats.h.
//
// Halves are kept as their bits (quant/half.h). Files are little-endian and so are the machines
// this project runs on. Blocks in a mapped file may lie on odd addresses: copy them out
// (std::memcpy) or read bytes; do not take references to members of a mapped block.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace mistral::quant {

static_assert(std::endian::native == std::endian::little);

using HalfBits = std::uint16_t;

inline constexpr int kSmallBlock = 32;   // elements of a block of Q4_0 .. Q8_1, IQ4_NL, MXFP4
inline constexpr int kSuperBlock = 256;  // elements of a block of the K formats and their kin

// x[j] = d * (low nibble j - 8), x[j + 16] = d * (high nibble j - 8).
struct BlockQ4_0 {
  static constexpr int kElements = kSmallBlock;
  HalfBits d;
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

// x = d * q + m, nibbles as in Q4_0.
struct BlockQ4_1 {
  static constexpr int kElements = kSmallBlock;
  HalfBits d;
  HalfBits m;
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

// x = d * (q - 16); bit i of qh (little-endian u32) is the fifth bit of element i.
struct BlockQ5_0 {
  static constexpr int kElements = kSmallBlock;
  HalfBits d;
  std::uint8_t qh[4];
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

// x = d * q + m, bits as in Q5_0.
struct BlockQ5_1 {
  static constexpr int kElements = kSmallBlock;
  HalfBits d;
  HalfBits m;
  std::uint8_t qh[4];
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_1) == 24);

// x = d * q.
struct BlockQ8_0 {
  static constexpr int kElements = kSmallBlock;
  HalfBits d;
  std::int8_t qs[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

// x = d * q; s = d * sum(q), which dot products with formats that have a minimum use.
struct BlockQ8_1 {
  static constexpr int kElements = kSmallBlock;
  HalfBits d;
  HalfBits s;
  std::int8_t qs[32];
};
static_assert(sizeof(BlockQ8_1) == 36);

// Sixteen sub-blocks of 16. Element 128h + 32j + l has q = two bits 2j of qs[32h + l] and
// sub-block s = 8h + 2j + (l >= 16); x = d * (scales[s] & 15) * q - dmin * (scales[s] >> 4).
struct BlockQ2_K {
  static constexpr int kElements = kSuperBlock;
  std::uint8_t scales[16];
  std::uint8_t qs[64];
  HalfBits d;
  HalfBits dmin;
};
static_assert(sizeof(BlockQ2_K) == 84);

// Order of elements as in Q2_K; bit 4h + j of hmask[l] is the third bit: q = low bits - (bit ? 0
// : 4); x = d * scale[s] * q with the signed 6-bit scales of unpack_scales_q3_k.
struct BlockQ3_K {
  static constexpr int kElements = kSuperBlock;
  std::uint8_t hmask[32];
  std::uint8_t qs[64];
  std::uint8_t scales[12];
  HalfBits d;
};
static_assert(sizeof(BlockQ3_K) == 110);

// Eight sub-blocks of 32, scales and minimums of unpack_scales_q4_k. For c in 0..3, the low
// nibbles of qs[32c ..] are sub-block 2c, the high ones 2c + 1; x = d * scale * q - dmin * min.
struct BlockQ4_K {
  static constexpr int kElements = kSuperBlock;
  HalfBits d;
  HalfBits dmin;
  std::uint8_t scales[12];
  std::uint8_t qs[128];
};
static_assert(sizeof(BlockQ4_K) == 144);

// As Q4_K; bit b of qh[l] is the fifth bit of element l of sub-block b.
struct BlockQ5_K {
  static constexpr int kElements = kSuperBlock;
  HalfBits d;
  HalfBits dmin;
  std::uint8_t scales[12];
  std::uint8_t qh[32];
  std::uint8_t qs[128];
};
static_assert(sizeof(BlockQ5_K) == 176);

// Sixteen sub-blocks of 16. Element 128h + 32j + l: low bits are the low (j < 2) or high nibble
// of ql[64h + 32 (j & 1) + l], high bits the two bits 2j of qh[32h + l];
// x = d * scales[8h + 2j + (l >= 16)] * (q - 32).
struct BlockQ6_K {
  static constexpr int kElements = kSuperBlock;
  std::uint8_t ql[128];
  std::uint8_t qh[64];
  std::int8_t scales[16];
  HalfBits d;
};
static_assert(sizeof(BlockQ6_K) == 210);

// x = d * q; bsums[i] = sum of the q of elements 16i .. 16i + 15.
struct BlockQ8_K {
  static constexpr int kElements = kSuperBlock;
  float d;
  std::int8_t qs[256];
  std::int16_t bsums[16];
};
static_assert(sizeof(BlockQ8_K) == 292);

// x = d * kIq4Values[nibble], nibbles as in Q4_0.
struct BlockIQ4_NL {
  static constexpr int kElements = kSmallBlock;
  HalfBits d;
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockIQ4_NL) == 18);

// Eight sub-blocks b of 32 with 16 bytes each, nibbles as in Q4_0 within a sub-block; 6-bit scale
// ls: low four bits in nibble b of scales_l, high two bits 2b of scales_h;
// x = d * (ls - 32) * kIq4Values[nibble].
struct BlockIQ4_XS {
  static constexpr int kElements = kSuperBlock;
  HalfBits d;
  std::uint16_t scales_h;
  std::uint8_t scales_l[4];
  std::uint8_t qs[128];
};
static_assert(sizeof(BlockIQ4_XS) == 136);

// Base-3 digits, five a byte (ceil(v * 256 / 243)): digit n of byte b is
// (((b * 3^n) & 255) * 3) >> 8; x = (digit - 1) * d. Bytes 0..31 of qs hold elements 32n + m, bytes
// 32..47 elements 160 + 16n + m, qh (four digits a byte) elements 240 + 4n + j.
struct BlockTQ1_0 {
  static constexpr int kElements = kSuperBlock;
  std::uint8_t qs[48];
  std::uint8_t qh[4];
  HalfBits d;
};
static_assert(sizeof(BlockTQ1_0) == 54);

// Element 128h + 32k + m = ((two bits 2k of qs[32h + m]) - 1) * d.
struct BlockTQ2_0 {
  static constexpr int kElements = kSuperBlock;
  std::uint8_t qs[64];
  HalfBits d;
};
static_assert(sizeof(BlockTQ2_0) == 66);

// x = 2^(e - 128) * kMxfp4Values[nibble], nibbles as in Q4_0.
struct BlockMXFP4 {
  static constexpr int kElements = kSmallBlock;
  std::uint8_t e;
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockMXFP4) == 17);

inline constexpr std::array<std::int8_t, 16> kIq4Values = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// Twice the values of E2M1.
inline constexpr std::array<std::int8_t, 16> kMxfp4Values = {0, 1,  2,  3,  4,  6,  8,  12,
                                                             0, -1, -2, -3, -4, -6, -8, -12};

// The scale 2^(e - 128) of a MXFP4 block; exact, subnormal for e < 2.
[[nodiscard]] constexpr float mxfp4_scale(std::uint8_t e) {
  return std::bit_cast<float>(e < 2 ? std::uint32_t{0x00200000} << e
                                    : (std::uint32_t{e} - 1) << 23);
}

// The sixteen signed scales (-32..31) of a Q3_K block.
constexpr void unpack_scales_q3_k(const std::uint8_t* packed, std::int8_t* scales) {
  for (int i = 0; i < 16; ++i) {
    const int low = i < 8 ? packed[i] & 15 : packed[i - 8] >> 4;
    const int high = (packed[8 + i % 4] >> (2 * (i / 4))) & 3;
    scales[i] = static_cast<std::int8_t>((low | high << 4) - 32);
  }
}

constexpr void pack_scales_q3_k(const std::int8_t* scales, std::uint8_t* packed) {
  for (int i = 0; i < 12; ++i) packed[i] = 0;
  for (int i = 0; i < 16; ++i) {
    const int value = scales[i] + 32;
    const int low = i < 8 ? value & 15 : (value & 15) << 4;
    packed[i % 8] = static_cast<std::uint8_t>(packed[i % 8] | low);
    packed[8 + i % 4] =
        static_cast<std::uint8_t>(packed[8 + i % 4] | (value >> 4) << (2 * (i / 4)));
  }
}

// The eight 6-bit scales and minimums (0..63) of a Q4_K or Q5_K block.
constexpr void unpack_scales_q4_k(const std::uint8_t* packed, std::uint8_t* scales,
                                  std::uint8_t* mins) {
  for (int i = 0; i < 4; ++i) {
    scales[i] = packed[i] & 63;
    mins[i] = packed[i + 4] & 63;
    scales[i + 4] = static_cast<std::uint8_t>((packed[i + 8] & 15) | (packed[i] >> 6) << 4);
    mins[i + 4] = static_cast<std::uint8_t>((packed[i + 8] >> 4) | (packed[i + 4] >> 6) << 4);
  }
}

constexpr void pack_scales_q4_k(const std::uint8_t* scales, const std::uint8_t* mins,
                                std::uint8_t* packed) {
  for (int i = 0; i < 4; ++i) {
    packed[i] = static_cast<std::uint8_t>(scales[i] | (scales[i + 4] >> 4) << 6);
    packed[i + 4] = static_cast<std::uint8_t>(mins[i] | (mins[i + 4] >> 4) << 6);
    packed[i + 8] = static_cast<std::uint8_t>((scales[i + 4] & 15) | (mins[i + 4] & 15) << 4);
  }
}

}  // namespace mistral::quant
