#include "quant/codebook_formats.h"

#include <cstring>

#include "quant/codebooks.h"
#include "quant/half.h"

namespace mistral::quant {
namespace {

constexpr int kGroups = kSuperBlock / 8;
constexpr float kShift = 0.125F;  // of IQ1_*

// Eight elements: a code of two bits an element, `scale` with the signs of `signs`.
void decode_group2(unsigned code, unsigned signs, float scale, float* x) {
  for (unsigned j = 0; j < 8; ++j) {
    const float level = scale * kIq2Levels[(code >> (2 * j)) & 3U];
    x[j] = (signs >> j) & 1U ? -level : level;
  }
}

// Four elements: a code of three bits an element.
void decode_half_group3(unsigned code, unsigned signs, const std::array<float, 8>& levels,
                        float scale, float* x) {
  for (unsigned j = 0; j < 4; ++j) {
    const float level = scale * levels[(code >> (3 * j)) & 7U];
    x[j] = (signs >> j) & 1U ? -level : level;
  }
}

void decode_group1(unsigned code, float shift, float scale, float* x) {
  for (unsigned j = 0; j < 8; ++j) x[j] = scale * (kIq1Levels[(code >> (2 * j)) & 3U] + shift);
}

// Signs of four groups and a scale, of IQ2_XXS and IQ3_XXS.
std::uint32_t signs_and_scale(const std::uint8_t* bytes) {
  std::uint32_t value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

// Nibble i of bytes.
unsigned nibble(const std::uint8_t* bytes, int i) {
  return (static_cast<unsigned>(bytes[i / 2]) >> (4 * (i % 2))) & 15U;
}

}  // namespace

void decode(const BlockIQ2_XXS& block, float* x) {
  const float d = f16_to_f32(block.d);
  for (int g = 0; g < kGroups; ++g) {
    const std::uint8_t* sub_block = block.qs + 8 * (g / 4);
    const std::uint32_t packed = signs_and_scale(sub_block + 4);
    const float scale = d * (0.5F + static_cast<float>(packed >> 28U)) * 0.25F;
    decode_group2(kIq2XxsCodes[sub_block[g % 4]], even_signs(packed >> (7 * (g % 4))), scale,
                  x + 8 * g);
  }
}

void decode(const BlockIQ2_XS& block, float* x) {
  const float d = f16_to_f32(block.d);
  for (int g = 0; g < kGroups; ++g) {
    const unsigned q = block.qs[g];
    const float scale = d * (0.5F + static_cast<float>(nibble(block.scales, g / 2))) * 0.25F;
    decode_group2(kIq2XsCodes[q & 511U], even_signs(q >> 9U), scale, x + 8 * g);
  }
}

void decode(const BlockIQ2_S& block, float* x) {
  const float d = f16_to_f32(block.d);
  for (int g = 0; g < kGroups; ++g) {
    const unsigned high = (static_cast<unsigned>(block.qh[g / 4]) >> (2 * (g % 4))) & 3U;
    const float scale = d * (0.5F + static_cast<float>(nibble(block.scales, g / 2))) * 0.25F;
    decode_group2(kIq2SCodes[block.qs[g] | high << 8U], block.signs[g], scale, x + 8 * g);
  }
}

void decode(const BlockIQ3_XXS& block, float* x) {
  const float d = f16_to_f32(block.d);
  for (int g = 0; g < kGroups; ++g) {
    const std::uint32_t packed = signs_and_scale(block.signs + 4 * (g / 4));
    const float scale = d * (0.5F + static_cast<float>(packed >> 28U)) * 0.5F;
    const unsigned signs = even_signs(packed >> (7 * (g % 4)));
    for (int half = 0; half < 2; ++half) {
      decode_half_group3(kIq3XxsCodes[block.qs[2 * g + half]], signs >> (4 * half), kIq3XxsLevels,
                         scale, x + 8 * g + 4 * half);
    }
  }
}

void decode(const BlockIQ3_S& block, float* x) {
  const float d = f16_to_f32(block.d);
  for (int g = 0; g < kGroups; ++g) {
    const float scale = d * static_cast<float>(1 + 2 * nibble(block.scales, g / 4));
    for (int half = 0; half < 2; ++half) {
      const int k = 2 * (g % 4) + half;
      const unsigned high = (static_cast<unsigned>(block.qh[g / 4]) >> k) & 1U;
      const unsigned signs = static_cast<unsigned>(block.signs[g]) >> (4 * half);
      decode_half_group3(kIq3SCodes[block.qs[2 * g + half] | high << 8U], signs, kIq3SLevels, scale,
                         x + 8 * g + 4 * half);
    }
  }
}

void decode(const BlockIQ1_S& block, float* x) {
  const float d = f16_to_f32(block.d);
  for (int g = 0; g < kGroups; ++g) {
    const unsigned qh = block.qh[g / 4];
    const float scale = d * static_cast<float>(2 * ((qh >> 12U) & 7U) + 1);
    const unsigned high = (qh >> (3 * (g % 4))) & 7U;
    decode_group1(kIq1Codes[block.qs[g] | high << 8U], qh >> 15U ? -kShift : kShift, scale,
                  x + 8 * g);
  }
}

void decode(const BlockIQ1_M& block, float* x) {
  unsigned half = 0;
  for (unsigned i = 0; i < 4; ++i) half |= (block.scales[i] >> 12U & 15U) << (4 * i);
  const float d = f16_to_f32(static_cast<HalfBits>(half));
  for (int g = 0; g < kGroups; ++g) {
    const int pair = g / 2;
    const unsigned s = (static_cast<unsigned>(block.scales[pair / 4]) >> (3 * (pair % 4))) & 7U;
    const unsigned qh = nibble(block.qh, g);
    decode_group1(kIq1Codes[block.qs[g] | (qh & 7U) << 8U], qh & 8U ? -kShift : kShift,
                  d * static_cast<float>(2 * s + 1), x + 8 * g);
  }
}

}  // namespace mistral::quant
