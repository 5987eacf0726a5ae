// Block formats whose elements are entries of a codebook (quant/codebooks.h): 256 elements in eight
// sub-blocks of 32, each of four groups of eight. As in block_formats.h, bytes are as in the file.
#pragma once

#include <cstdint>

#include "quant/block_formats.h"

namespace mistral::quant {

// Sub-block b: qs[8b .. 8b + 3] are the indices of its groups; the u32 behind them has seven signs
// a group from the lowest bits on (even_signs) and a scale s in the highest four;
// x = d * (s + 1/2) / 4 * +-level.
struct BlockIQ2_XXS {
  static constexpr int kElements = kSuperBlock;
  HalfBits d;
  std::uint8_t qs[64];
};
static_assert(sizeof(BlockIQ2_XXS) == 66);

// Group g: nine bits of index and seven signs in qs[g]; scales as nibbles, one for two groups.
struct BlockIQ2_XS {
  static constexpr int kElements = kSuperBlock;
  HalfBits d;
  std::uint16_t qs[32];
  std::uint8_t scales[8];
};
static_assert(sizeof(BlockIQ2_XS) == 74);

// Group g: index in qs[g] with two more bits in qh[g / 4], all eight signs in signs[g]; scales as
// in IQ2_XS.
struct BlockIQ2_S {
  static constexpr int kElements = kSuperBlock;
  HalfBits d;
  std::uint8_t qs[32];
  std::uint8_t signs[32];
  std::uint8_t qh[8];
  std::uint8_t scales[8];
};
static_assert(sizeof(BlockIQ2_S) == 82);

// Half a group has an index: qs[2g], qs[2g + 1]; signs and scale of sub-block b in the u32 at
// signs[4b] as in IQ2_XXS; x = d * (s + 1/2) / 2 * +-level.
struct BlockIQ3_XXS {
  static constexpr int kElements = kSuperBlock;
  HalfBits d;
  std::uint8_t qs[64];
  std::uint8_t signs[32];
};
static_assert(sizeof(BlockIQ3_XXS) == 98);

// Bit k of qh[b] is the ninth bit of index k of sub-block b; nibble b of scales is s;
// x = d * (2 s + 1) * +-level.
struct BlockIQ3_S {
  static constexpr int kElements = kSuperBlock;
  HalfBits d;
  std::uint8_t qs[64];
  std::uint8_t qh[8];
  std::uint8_t signs[32];
  std::uint8_t scales[4];
};
static_assert(sizeof(BlockIQ3_S) == 110);

// qh[b]: three more bits of index for each of the four groups, a scale s of three bits, and in the
// highest bit the sign of the shift; x = d * (2 s + 1) * (level +- 1/8).
struct BlockIQ1_S {
  static constexpr int kElements = kSuperBlock;
  HalfBits d;
  std::uint8_t qs[32];
  std::uint16_t qh[8];
};
static_assert(sizeof(BlockIQ1_S) == 50);

// Nibble g of qh: three more bits of index and the sign of the shift of group g. Three bits of
// scale for every two groups, four of them in twelve bits of scales; the highest nibbles of scales
// are the block's scale d, a half.
struct BlockIQ1_M {
  static constexpr int kElements = kSuperBlock;
  std::uint8_t qs[32];
  std::uint8_t qh[16];
  std::uint16_t scales[4];
};
static_assert(sizeof(BlockIQ1_M) == 56);

// One block to its 256 floats.
void decode(const BlockIQ2_XXS& block, float* x);
void decode(const BlockIQ2_XS& block, float* x);
void decode(const BlockIQ2_S& block, float* x);
void decode(const BlockIQ3_XXS& block, float* x);
void decode(const BlockIQ3_S& block, float* x);
void decode(const BlockIQ1_S& block, float* x);
void decode(const BlockIQ1_M& block, float* x);

}  // namespace mistral::quant
