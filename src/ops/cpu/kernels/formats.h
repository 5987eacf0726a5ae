// The block formats with int8 kernels: how codes, scales and offsets are read from a packed panel.
// The panel's layout is described in cpu_weight.h; byte offsets are those of a row's fields, as
// cpu_weight.cpp orders them, times 16.
//
// A chunk is 256 inputs of a panel (fewer at the end of a row). Its sub-blocks, the runs of inputs
// that share a scale, are counted from its start; a step is 4 inputs of 16 outputs, 64 bytes.
// Formats repeat their bit positions every kPhase sub-blocks: sub-block = phase * kPhase + P.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace mistral::ops::cpu {
namespace {

inline constexpr std::int64_t kChunk = 256;

// What a block of 256 of 16 outputs holds beside codes.
struct alignas(64) BlockScales {
  std::uint8_t scale[16][16];  // [sub-block][output], int8 where kSignedScales
  std::uint8_t offset[8][32];  // [pair of sub-blocks][output][sub-block of the pair], as scales
  float factor[16];            // of scales
  float offset_factor[16];     // of offsets
};

// value = scale * (code - 2^kZeroShift), or scale * code + offset; of K types, scale and offset are
// products of an integer and a factor.
template <int Block, int BlockBytes, int SubBlock, int Bits, int Phase, bool HasOffset,
          int ZeroShift, bool Signed = false>
struct FormatBase {
  static constexpr int kBlock = Block;  // inputs; also the block of the activations
  static constexpr std::int64_t kBlockBytes = std::int64_t{BlockBytes} * 16;  // of a panel
  static constexpr std::int64_t kBlockStride = 2 * kBlockBytes;  // blocks of two panels alternate
  static constexpr int kSubBlock = SubBlock;
  static constexpr int kSteps = SubBlock / 4;
  // Steps whose products add up in 16 bits: two a lane and step, of codes and values to -128.
  static constexpr int kWordSteps = 32767 / (2 * 128 * ((1 << Bits) - 1));
  static constexpr int kPhase = Phase;
  static constexpr bool kHasOffset = HasOffset;
  static constexpr int kZeroShift = ZeroShift;  // 0: none
  static constexpr bool kSigned = Signed;       // codes are signed and Simd multiplies them so
  static constexpr bool kSignedScales = Block == 256 && !HasOffset;
};

// Every format has
//   codes<P>(chunk, phase, step, i): the vector at byte i of a step's 64
// and those of K types
//   scales(chunk, out).
template <DType Type>
struct Format;

inline Simd::F f16_scales(const std::uint8_t* p, int lane) {
  return Simd::load_f16(reinterpret_cast<const std::byte*>(p) + 2 * lane);
}
template <typename Function>
inline void each_lane_vector(Function f) {
  for (int lane = 0; lane < 16; lane += Simd::kLanes) f(lane);
}
// f(byte offset) for each vector of 64 bytes.
template <typename Function>
inline void each_byte_vector(Function f) {
  for (int i = 0; i < 64; i += Simd::kLanes * 4) f(i);
}

inline Simd::B masked(Simd::B x, std::uint8_t mask) {
  return Simd::bytes_and(x, Simd::bytes_set1(mask));
}

// 4-bit codes of a block of 32: low nibbles are steps 0-3, high nibbles steps 4-7.
inline Simd::B nibbles(const std::uint8_t* source, int step, int i) {
  const Simd::B x = Simd::load_bytes(source + 64 * (step % 4) + i);
  return masked(step < 4 ? x : Simd::shift_right(x, 4), 15);
}
// The fifth bit: bit `step` of the byte of a lane.
inline Simd::B fifth_bits(const std::uint8_t* source, int step, int i) {
  const Simd::B h = Simd::load_bytes(source + i);
  return masked(step < 4 ? Simd::shift_left(h, 4 - step) : Simd::shift_right(h, step - 4), 16);
}

template <>
struct Format<DType::kQ4_0> : FormatBase<32, 18, 32, 4, 1, false, 3> {
  template <int P>
  static Simd::B codes(const std::uint8_t* chunk, int phase, int step, int i) {
    return nibbles(chunk + phase * kBlockStride + 32, step, i);
  }
};
template <>
struct Format<DType::kQ4_1> : FormatBase<32, 20, 32, 4, 1, true, 0> {
  template <int P>
  static Simd::B codes(const std::uint8_t* chunk, int phase, int step, int i) {
    return nibbles(chunk + phase * kBlockStride + 64, step, i);
  }
};
template <>
struct Format<DType::kQ5_0> : FormatBase<32, 22, 32, 5, 1, false, 4> {
  template <int P>
  static Simd::B codes(const std::uint8_t* chunk, int phase, int step, int i) {
    const std::uint8_t* block = chunk + phase * kBlockStride;
    return Simd::bytes_or(nibbles(block + 96, step, i), fifth_bits(block + 32, step, i));
  }
};
template <>
struct Format<DType::kQ5_1> : FormatBase<32, 24, 32, 5, 1, true, 0> {
  template <int P>
  static Simd::B codes(const std::uint8_t* chunk, int phase, int step, int i) {
    const std::uint8_t* block = chunk + phase * kBlockStride;
    return Simd::bytes_or(nibbles(block + 128, step, i), fifth_bits(block + 64, step, i));
  }
};
template <>
struct Format<DType::kQ8_0>
    : FormatBase<32, 34, 32, 8, 1, false, Simd::kSignedDot ? 0 : 7, Simd::kSignedDot> {
  template <int P>
  static Simd::B codes(const std::uint8_t* chunk, int phase, int step, int i) {
    const Simd::B x = Simd::load_bytes(chunk + phase * kBlockStride + 32 + 64 * step + i);
    return Simd::kSignedDot ? x : Simd::bytes_xor(x, Simd::bytes_set1(0x80));
  }
};

inline void pair_offsets(const std::uint8_t (*from)[16], int sub_blocks, BlockScales& out) {
  for (int j = 0; j < sub_blocks; j += 2) Simd::interleave(from[j], from[j + 1], out.offset[j / 2]);
}
inline void put_factors(const std::uint8_t* d, float* out) {
  each_lane_vector([&](int lane) { Simd::store(out + lane, f16_scales(d, lane)); });
}
inline void put_min_factors(const std::uint8_t* dmin, float* out) {
  each_lane_vector(
      [&](int lane) { Simd::store(out + lane, Simd::sub(Simd::zero(), f16_scales(dmin, lane))); });
}

// The 6-bit scales and mins of Q4_K and Q5_K: 12 bytes a row, here [12][16], after d and dmin.
// Bytes 0-3 and 4-7 hold scales and mins of sub-blocks 0-3 in their low 6 bits, and in the upper 2
// the upper bits of sub-blocks 4-7, whose lower 4 bits are the nibbles of bytes 8-11.
inline void scales_and_mins(const std::uint8_t* block, BlockScales& out) {
  alignas(64) std::uint8_t mins[8][16];
  const std::uint8_t* packed = block + 64;
  each_byte_vector([&](int i) {
    const Simd::B a = Simd::load_bytes(packed + i);
    const Simd::B b = Simd::load_bytes(packed + 64 + i);
    const Simd::B c = Simd::load_bytes(packed + 128 + i);
    Simd::store_bytes(out.scale[0] + i, masked(a, 63));
    Simd::store_bytes(mins[0] + i, masked(b, 63));
    Simd::store_bytes(out.scale[4] + i,
                      Simd::bytes_or(masked(c, 15), masked(Simd::shift_right(a, 2), 0x30)));
    Simd::store_bytes(mins[4] + i, Simd::bytes_or(masked(Simd::shift_right(c, 4), 15),
                                                  masked(Simd::shift_right(b, 2), 0x30)));
  });
  pair_offsets(mins, 8, out);
  put_factors(block, out.factor);
  put_min_factors(block + 32, out.offset_factor);
}

template <>
struct Format<DType::kQ4_K> : FormatBase<256, 144, 32, 4, 2, true, 0> {
  static void scales(const std::uint8_t* chunk, BlockScales& out) { scales_and_mins(chunk, out); }
  template <int P>
  static Simd::B codes(const std::uint8_t* chunk, int phase, int step, int i) {
    const Simd::B x = Simd::load_bytes(chunk + 256 + 64 * (8 * phase + step) + i);
    return masked(P == 0 ? x : Simd::shift_right(x, 4), 15);
  }
};

template <>
struct Format<DType::kQ5_K> : FormatBase<256, 176, 32, 5, 2, true, 0> {
  static void scales(const std::uint8_t* chunk, BlockScales& out) { scales_and_mins(chunk, out); }
  template <int P>
  static Simd::B codes(const std::uint8_t* chunk, int phase, int step, int i) {
    const Simd::B x = Simd::load_bytes(chunk + 48 * 16 + 64 * (8 * phase + step) + i);
    // Bit 2 * phase + P of a byte: to the top two bits first.
    const Simd::B h =
        Simd::shift_left(Simd::load_bytes(chunk + 16 * 16 + 64 * step + i), 6 - 2 * phase);
    return Simd::bytes_or(masked(P == 0 ? x : Simd::shift_right(x, 4), 15),
                          masked(Simd::shift_right(h, P == 0 ? 2 : 3), 16));
  }
};

template <>
struct Format<DType::kQ6_K> : FormatBase<256, 210, 16, 6, 8, false, 5> {
  static void scales(const std::uint8_t* chunk, BlockScales& out) {
    for (int j = 0; j < 16; j += 4) {
      each_byte_vector([&](int i) {
        Simd::store_bytes(out.scale[j] + i, Simd::load_bytes(chunk + 16 * j + i));
      });
    }
    pair_offsets(out.scale, 16, out);  // the zero point of codes
    put_factors(chunk + 16 * 16, out.factor);
  }
  // Half a block holds four runs of 32 codes (two sub-blocks each): three in the lower six bits of
  // 32 bytes each, the fourth in pieces of two bits above them.
  template <int P>
  static Simd::B codes(const std::uint8_t* chunk, int phase, int step, int i) {
    constexpr int kRun = P / 2;
    const int v = P % 2 * 4 + step;
    const auto bytes = [&](int run) {
      return Simd::load_bytes(chunk + 18 * 16 + 192 * (8 * phase + v) + 64 * run + i);
    };
    if constexpr (kRun < 3) {
      return masked(bytes(kRun), 63);
    } else {
      return Simd::bytes_or(masked(Simd::shift_right(bytes(0), 6), 3),
                            Simd::bytes_or(masked(Simd::shift_right(bytes(1), 4), 12),
                                           masked(Simd::shift_right(bytes(2), 2), 0x30)));
    }
  }
};

template <>
struct Format<DType::kQ2_K> : FormatBase<256, 84, 16, 2, 8, true, 0> {
  static void scales(const std::uint8_t* chunk, BlockScales& out) {
    alignas(64) std::uint8_t mins[16][16];
    for (int quarter = 0; quarter < 4; ++quarter) {
      each_byte_vector([&](int i) {
        const Simd::B x = Simd::load_bytes(chunk + 64 * quarter + i);
        Simd::store_bytes(out.scale[4 * quarter] + i, masked(x, 15));
        Simd::store_bytes(mins[4 * quarter] + i, masked(Simd::shift_right(x, 4), 15));
      });
    }
    pair_offsets(mins, 16, out);
    put_factors(chunk + 16 * 16, out.factor);
    put_min_factors(chunk + 18 * 16, out.offset_factor);
  }
  template <int P>
  static Simd::B codes(const std::uint8_t* chunk, int phase, int step, int i) {
    const int v = 8 * phase + P % 2 * 4 + step;
    return masked(Simd::shift_right(Simd::load_bytes(chunk + 20 * 16 + 64 * v + i), P / 2 * 2), 3);
  }
};

template <>
struct Format<DType::kQ3_K> : FormatBase<256, 110, 16, 3, 8, false, 2> {
  // 6-bit scales, offset by 32: [12][16], lower nibbles in bytes 0-7, upper bits in bytes 8-11.
  static void scales(const std::uint8_t* chunk, BlockScales& out) {
    const Simd::B zero = Simd::bytes_set1(32);
    each_byte_vector([&](int i) {
      const Simd::B a = Simd::load_bytes(chunk + i);
      const Simd::B b = Simd::load_bytes(chunk + 64 + i);
      const Simd::B h = Simd::load_bytes(chunk + 128 + i);
      const auto put = [&](int quarter, Simd::B low, Simd::B high) {
        const Simd::B scale = Simd::bytes_or(masked(low, 15), masked(high, 0x30));
        Simd::store_bytes(out.scale[4 * quarter] + i, Simd::bytes_sub(scale, zero));
      };
      put(0, a, Simd::shift_left(h, 4));
      put(1, b, Simd::shift_left(h, 2));
      put(2, Simd::shift_right(a, 4), h);
      put(3, Simd::shift_right(b, 4), Simd::shift_right(h, 2));
    });
    pair_offsets(out.scale, 16, out);  // the zero point of codes
    put_factors(chunk + 12 * 16, out.factor);
  }
  // The high bit adds 4; codes are offset by 4.
  template <int P>
  static Simd::B codes(const std::uint8_t* chunk, int phase, int step, int i) {
    constexpr int kRun = P / 2;
    const int v = P % 2 * 4 + step;
    const Simd::B q = Simd::load_bytes(chunk + 46 * 16 + 64 * (8 * phase + v) + i);
    // Bit 4 * phase + kRun of a byte: to the upper nibble first.
    const Simd::B m =
        Simd::shift_left(Simd::load_bytes(chunk + 14 * 16 + 64 * v + i), 4 - 4 * phase);
    return Simd::bytes_or(masked(Simd::shift_right(q, 2 * kRun), 3),
                          masked(Simd::shift_right(m, 2 + kRun), 4));
  }
};

}  // namespace
}  // namespace mistral::ops::cpu
