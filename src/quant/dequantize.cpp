#include "quant/dequantize.h"

#include <cstring>

#include "core/error.h"
#include "quant/block_formats.h"
#include "quant/codebook_formats.h"
#include "quant/half.h"

namespace mistral::quant {
namespace {

// One decoder a format: a block to its kElements floats.

void decode(const BlockQ4_0& block, float* x) {
  const float d = f16_to_f32(block.d);
  for (int j = 0; j < 16; ++j) {
    x[j] = d * static_cast<float>((block.qs[j] & 15) - 8);
    x[j + 16] = d * static_cast<float>((block.qs[j] >> 4) - 8);
  }
}

void decode(const BlockQ4_1& block, float* x) {
  const float d = f16_to_f32(block.d);
  const float m = f16_to_f32(block.m);
  for (int j = 0; j < 16; ++j) {
    x[j] = d * static_cast<float>(block.qs[j] & 15) + m;
    x[j + 16] = d * static_cast<float>(block.qs[j] >> 4) + m;
  }
}

// The five-bit values of Q5_0 and Q5_1.
template <typename Block>
void unpack_five_bits(const Block& block, int* q) {
  std::uint32_t high;
  std::memcpy(&high, block.qh, sizeof high);
  for (int j = 0; j < 16; ++j) {
    q[j] = (block.qs[j] & 15) | static_cast<int>((high >> j) & 1) << 4;
    q[j + 16] = (block.qs[j] >> 4) | static_cast<int>((high >> (j + 16)) & 1) << 4;
  }
}

void decode(const BlockQ5_0& block, float* x) {
  const float d = f16_to_f32(block.d);
  int q[32];
  unpack_five_bits(block, q);
  for (int j = 0; j < 32; ++j) x[j] = d * static_cast<float>(q[j] - 16);
}

void decode(const BlockQ5_1& block, float* x) {
  const float d = f16_to_f32(block.d);
  const float m = f16_to_f32(block.m);
  int q[32];
  unpack_five_bits(block, q);
  for (int j = 0; j < 32; ++j) x[j] = d * static_cast<float>(q[j]) + m;
}

void decode(const BlockQ8_0& block, float* x) {
  const float d = f16_to_f32(block.d);
  for (int j = 0; j < 32; ++j) x[j] = d * static_cast<float>(block.qs[j]);
}

void decode(const BlockQ8_1& block, float* x) {
  const float d = f16_to_f32(block.d);
  for (int j = 0; j < 32; ++j) x[j] = d * static_cast<float>(block.qs[j]);
}

void decode(const BlockQ2_K& block, float* x) {
  const float d = f16_to_f32(block.d);
  const float dmin = f16_to_f32(block.dmin);
  for (int s = 0; s < 16; ++s) {
    const float scale = d * static_cast<float>(block.scales[s] & 15);
    const float minimum = dmin * static_cast<float>(block.scales[s] >> 4);
    const std::uint8_t* qs = block.qs + 32 * (s / 8) + 16 * (s % 2);
    const int shift = s % 8 / 2 * 2;
    for (int l = 0; l < 16; ++l) {
      x[16 * s + l] = scale * static_cast<float>((qs[l] >> shift) & 3) - minimum;
    }
  }
}

void decode(const BlockQ3_K& block, float* x) {
  const float d = f16_to_f32(block.d);
  std::int8_t scales[16];
  unpack_scales_q3_k(block.scales, scales);
  for (int s = 0; s < 16; ++s) {
    const float scale = d * static_cast<float>(scales[s]);
    const std::uint8_t* qs = block.qs + 32 * (s / 8) + 16 * (s % 2);
    const std::uint8_t* high = block.hmask + 16 * (s % 2);
    const int shift = s % 8 / 2 * 2;
    const int high_bit = s / 2;
    for (int l = 0; l < 16; ++l) {
      const int q = ((qs[l] >> shift) & 3) - ((high[l] >> high_bit) & 1 ? 0 : 4);
      x[16 * s + l] = scale * static_cast<float>(q);
    }
  }
}

// Q4_K (qh null) and Q5_K.
template <typename Block>
void decode_scale_and_minimum(const Block& block, const std::uint8_t* qh, float* x) {
  const float d = f16_to_f32(block.d);
  const float dmin = f16_to_f32(block.dmin);
  std::uint8_t scales[8];
  std::uint8_t mins[8];
  unpack_scales_q4_k(block.scales, scales, mins);
  for (int b = 0; b < 8; ++b) {
    const float scale = d * static_cast<float>(scales[b]);
    const float minimum = dmin * static_cast<float>(mins[b]);
    const std::uint8_t* qs = block.qs + 32 * (b / 2);
    const int shift = b % 2 * 4;
    for (int l = 0; l < 32; ++l) {
      int q = (qs[l] >> shift) & 15;
      if (qh != nullptr) q |= ((qh[l] >> b) & 1) << 4;
      x[32 * b + l] = scale * static_cast<float>(q) - minimum;
    }
  }
}

void decode(const BlockQ4_K& block, float* x) {
  decode_scale_and_minimum(block, nullptr, x);
}
void decode(const BlockQ5_K& block, float* x) {
  decode_scale_and_minimum(block, block.qh, x);
}

void decode(const BlockQ6_K& block, float* x) {
  const float d = f16_to_f32(block.d);
  for (int s = 0; s < 16; ++s) {
    const float scale = d * static_cast<float>(block.scales[s]);
    const int half = s / 8;
    const int j = s % 8 / 2;
    const int first = 16 * (s % 2);
    const std::uint8_t* ql = block.ql + 64 * half + 32 * (j % 2) + first;
    const std::uint8_t* qh = block.qh + 32 * half + first;
    for (int l = 0; l < 16; ++l) {
      const int q = ((ql[l] >> (j / 2 * 4)) & 15) | ((qh[l] >> (2 * j)) & 3) << 4;
      x[16 * s + l] = scale * static_cast<float>(q - 32);
    }
  }
}

void decode(const BlockQ8_K& block, float* x) {
  for (int j = 0; j < 256; ++j) x[j] = block.d * static_cast<float>(block.qs[j]);
}

// Sixteen bytes of nibbles that index a table.
void decode_table(float scale, const std::uint8_t* qs, const std::array<std::int8_t, 16>& table,
                  float* x) {
  for (int j = 0; j < 16; ++j) {
    x[j] = scale * static_cast<float>(table[qs[j] & 15]);
    x[j + 16] = scale * static_cast<float>(table[qs[j] >> 4]);
  }
}

void decode(const BlockIQ4_NL& block, float* x) {
  decode_table(f16_to_f32(block.d), block.qs, kIq4Values, x);
}

void decode(const BlockIQ4_XS& block, float* x) {
  const float d = f16_to_f32(block.d);
  for (int b = 0; b < 8; ++b) {
    const int low = (block.scales_l[b / 2] >> (4 * (b % 2))) & 15;
    const int high = (block.scales_h >> (2 * b)) & 3;
    const float scale = d * static_cast<float>((low | high << 4) - 32);
    decode_table(scale, block.qs + 16 * b, kIq4Values, x + 32 * b);
  }
}

float trit(std::uint8_t packed, int digit, float d) {
  constexpr int kPowers[5] = {1, 3, 9, 27, 81};
  const int shifted = (packed * kPowers[digit]) & 255;
  return static_cast<float>(((shifted * 3) >> 8) - 1) * d;
}

void decode(const BlockTQ1_0& block, float* x) {
  const float d = f16_to_f32(block.d);
  for (int n = 0; n < 5; ++n) {
    for (int m = 0; m < 32; ++m) x[32 * n + m] = trit(block.qs[m], n, d);
    for (int m = 0; m < 16; ++m) x[160 + 16 * n + m] = trit(block.qs[32 + m], n, d);
  }
  for (int n = 0; n < 4; ++n) {
    for (int j = 0; j < 4; ++j) x[240 + 4 * n + j] = trit(block.qh[j], n, d);
  }
}

void decode(const BlockTQ2_0& block, float* x) {
  const float d = f16_to_f32(block.d);
  for (int i = 0; i < 256; ++i) {
    const int bits = block.qs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2);
    x[i] = static_cast<float>((bits & 3) - 1) * d;
  }
}

void decode(const BlockMXFP4& block, float* x) {
  decode_table(mxfp4_scale(block.e), block.qs, kMxfp4Values, x);
}

using RowDecoder = void (*)(const std::byte* src, float* dst, std::int64_t n);

template <typename Block>
void decode_blocks(const std::byte* src, float* dst, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += Block::kElements, src += sizeof(Block)) {
    Block block;
    std::memcpy(&block, src, sizeof block);
    decode(block, dst + i);
  }
}

template <typename Number, float (*convert)(Number)>
void decode_numbers(const std::byte* src, float* dst, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    Number number;
    std::memcpy(&number, src + i * static_cast<std::int64_t>(sizeof number), sizeof number);
    dst[i] = convert(number);
  }
}

template <typename Number>
float cast(Number number) {
  return static_cast<float>(number);
}

RowDecoder row_decoder(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return decode_numbers<float, cast>;
    case DType::kF16:
      return decode_numbers<std::uint16_t, f16_to_f32>;
    case DType::kBF16:
      return decode_numbers<std::uint16_t, bf16_to_f32>;
    case DType::kF64:
      return decode_numbers<double, cast>;
    case DType::kI8:
      return decode_numbers<std::int8_t, cast>;
    case DType::kI16:
      return decode_numbers<std::int16_t, cast>;
    case DType::kI32:
      return decode_numbers<std::int32_t, cast>;
    case DType::kI64:
      return decode_numbers<std::int64_t, cast>;
    case DType::kF8E4M3:
      return decode_numbers<std::uint8_t, f8_e4m3_to_f32>;
    case DType::kQ4_0:
      return decode_blocks<BlockQ4_0>;
    case DType::kQ4_1:
      return decode_blocks<BlockQ4_1>;
    case DType::kQ5_0:
      return decode_blocks<BlockQ5_0>;
    case DType::kQ5_1:
      return decode_blocks<BlockQ5_1>;
    case DType::kQ8_0:
      return decode_blocks<BlockQ8_0>;
    case DType::kQ8_1:
      return decode_blocks<BlockQ8_1>;
    case DType::kQ2_K:
      return decode_blocks<BlockQ2_K>;
    case DType::kQ3_K:
      return decode_blocks<BlockQ3_K>;
    case DType::kQ4_K:
      return decode_blocks<BlockQ4_K>;
    case DType::kQ5_K:
      return decode_blocks<BlockQ5_K>;
    case DType::kQ6_K:
      return decode_blocks<BlockQ6_K>;
    case DType::kQ8_K:
      return decode_blocks<BlockQ8_K>;
    case DType::kIQ4_NL:
      return decode_blocks<BlockIQ4_NL>;
    case DType::kIQ4_XS:
      return decode_blocks<BlockIQ4_XS>;
    case DType::kIQ2_XXS:
      return decode_blocks<BlockIQ2_XXS>;
    case DType::kIQ2_XS:
      return decode_blocks<BlockIQ2_XS>;
    case DType::kIQ2_S:
      return decode_blocks<BlockIQ2_S>;
    case DType::kIQ3_XXS:
      return decode_blocks<BlockIQ3_XXS>;
    case DType::kIQ3_S:
      return decode_blocks<BlockIQ3_S>;
    case DType::kIQ1_S:
      return decode_blocks<BlockIQ1_S>;
    case DType::kIQ1_M:
      return decode_blocks<BlockIQ1_M>;
    case DType::kTQ1_0:
      return decode_blocks<BlockTQ1_0>;
    case DType::kTQ2_0:
      return decode_blocks<BlockTQ2_0>;
    case DType::kMXFP4:
      return decode_blocks<BlockMXFP4>;
    default:
      return nullptr;
  }
}

}  // namespace

bool can_dequantize(DType dtype) {
  return row_decoder(dtype) != nullptr;
}

void dequantize_row(DType dtype, const std::byte* src, float* dst, std::int64_t n) {
  const RowDecoder decoder = row_decoder(dtype);
  if (decoder == nullptr) {
    throw make_error(ErrorKind::kUnsupported, "cannot decode weights of type {}", name(dtype));
  }
  if (n < 0 || n % info(dtype).block_elements != 0) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "a row of {} elements is not a whole number of {} blocks of {}", n,
                     name(dtype), info(dtype).block_elements);
  }
  decoder(src, dst, n);
}

}  // namespace mistral::quant
