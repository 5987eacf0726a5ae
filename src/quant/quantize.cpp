#include "quant/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "quant/block_formats.h"
#include "quant/half.h"
#include "quant/k_quants.h"
#include "quant/sub_block_sums.h"

namespace mistral::quant {
namespace {

// The element of largest magnitude, with its sign; the first of equals.
float signed_maximum(const float* x, int n) {
  float maximum = 0.0F;
  for (int j = 0; j < n; ++j) {
    if (std::fabs(x[j]) > std::fabs(maximum)) maximum = x[j];
  }
  return maximum;
}

HalfBits scale_to_f16(float scale) {
  const HalfBits half = f32_to_f16(scale);
  if ((half & 0x7c00) == 0x7c00) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "a block needs the scale {}, which is beyond the range of halves", scale);
  }
  return half;
}

// 1 / d, and 0 where d is 0 or too small to have a float as its inverse (such a block is all zero:
// its half d is 0).
float inverse(float d) {
  const float result = 1.0F / d;
  return std::isfinite(result) ? result : 0.0F;
}

// Truncation towards zero, then an upper limit: what the formats of 4 and 5 bits prescribe.
int truncate(float value, int highest) {
  return std::min(highest, static_cast<int>(value));
}

void store_nibbles(const int* q, std::uint8_t* qs) {
  for (int j = 0; j < 16; ++j) {
    qs[j] = static_cast<std::uint8_t>((q[j] & 15) | (q[j + 16] & 15) << 4);
  }
}

void store_fifth_bits(const int* q, std::uint8_t* qh) {
  std::uint32_t high = 0;
  for (int j = 0; j < 32; ++j) high |= static_cast<std::uint32_t>(q[j] >> 4) << j;
  std::memcpy(qh, &high, sizeof high);
}

void encode(const float* x, BlockQ4_0& block) {
  const float d = signed_maximum(x, 32) / -8.0F;
  const float id = inverse(d);
  block.d = scale_to_f16(d);
  int q[32];
  for (int j = 0; j < 32; ++j) q[j] = truncate(x[j] * id + 8.5F, 15);
  store_nibbles(q, block.qs);
}

void encode(const float* x, BlockQ5_0& block) {
  const float d = signed_maximum(x, 32) / -16.0F;
  const float id = inverse(d);
  block.d = scale_to_f16(d);
  int q[32];
  for (int j = 0; j < 32; ++j) q[j] = truncate(x[j] * id + 16.5F, 31);
  store_nibbles(q, block.qs);
  store_fifth_bits(q, block.qh);
}

// q in 0..highest such that x = d * q + m, for Q4_1 and Q5_1.
template <typename Block>
void encode_with_minimum(const float* x, int highest, Block& block, int* q) {
  const auto [low, high] = std::minmax_element(x, x + 32);
  const float minimum = *low;
  const float d = (*high - minimum) / static_cast<float>(highest);
  const float id = inverse(d);
  block.d = scale_to_f16(d);
  block.m = scale_to_f16(minimum);
  for (int j = 0; j < 32; ++j) q[j] = truncate((x[j] - minimum) * id + 0.5F, highest);
  store_nibbles(q, block.qs);
}

void encode(const float* x, BlockQ4_1& block) {
  int q[32];
  encode_with_minimum(x, 15, block, q);
}

void encode(const float* x, BlockQ5_1& block) {
  int q[32];
  encode_with_minimum(x, 31, block, q);
  store_fifth_bits(q, block.qh);
}

// Rounds half away from zero; |q| <= 127 as d comes from the largest magnitude.
float encode_bytes(const float* x, std::int8_t* qs) {
  const float d = std::fabs(signed_maximum(x, 32)) / 127.0F;
  const float id = inverse(d);
  for (int j = 0; j < 32; ++j) qs[j] = static_cast<std::int8_t>(std::round(x[j] * id));
  return d;
}

void encode(const float* x, BlockQ8_0& block) {
  block.d = scale_to_f16(encode_bytes(x, block.qs));
}

void encode(const float* x, BlockQ8_1& block) {
  const float d = encode_bytes(x, block.qs);
  int sum = 0;
  for (const std::int8_t q : block.qs) sum += q;
  block.d = scale_to_f16(d);
  block.s = scale_to_f16(static_cast<float>(sum) * d);
}

void encode(const float* x, BlockQ8_K& block) {
  std::memset(&block, 0, sizeof block);
  const float maximum = signed_maximum(x, 256);
  const float scale = -127.0F / maximum;
  if (!std::isfinite(scale)) return;
  block.d = 1.0F / scale;
  for (int j = 0; j < 256; ++j) {
    const float q = round_to_even(scale * x[j]);
    block.qs[j] = static_cast<std::int8_t>(std::min(127.0F, q));
    block.bsums[j / 16] = static_cast<std::int16_t>(block.bsums[j / 16] + block.qs[j]);
  }
}

using RowEncoder = void (*)(const float* src, std::byte* dst, std::int64_t n);

template <typename Block, void (*encode_block)(const float*, Block&)>
void encode_blocks(const float* src, std::byte* dst, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += Block::kElements, dst += sizeof(Block)) {
    for (int j = 0; j < Block::kElements; ++j) {
      if (!std::isfinite(src[i + j])) {
        throw make_error(ErrorKind::kInvalidArgument, "value {} at element {} of a row", src[i + j],
                         i + j);
      }
    }
    Block block;
    encode_block(src + i, block);
    std::memcpy(dst, &block, sizeof block);
  }
}

template <typename Number, Number (*convert)(float)>
void encode_numbers(const float* src, std::byte* dst, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const Number number = convert(src[i]);
    std::memcpy(dst + i * static_cast<std::int64_t>(sizeof number), &number, sizeof number);
  }
}

float identity(float value) {
  return value;
}

RowEncoder row_encoder(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return encode_numbers<float, identity>;
    case DType::kF16:
      return encode_numbers<std::uint16_t, f32_to_f16>;
    case DType::kBF16:
      return encode_numbers<std::uint16_t, f32_to_bf16>;
    case DType::kF8E4M3:
      return encode_numbers<std::uint8_t, f32_to_f8_e4m3>;
    case DType::kQ4_0:
      return encode_blocks<BlockQ4_0, encode>;
    case DType::kQ4_1:
      return encode_blocks<BlockQ4_1, encode>;
    case DType::kQ5_0:
      return encode_blocks<BlockQ5_0, encode>;
    case DType::kQ5_1:
      return encode_blocks<BlockQ5_1, encode>;
    case DType::kQ8_0:
      return encode_blocks<BlockQ8_0, encode>;
    case DType::kQ8_1:
      return encode_blocks<BlockQ8_1, encode>;
    case DType::kQ8_K:
      return encode_blocks<BlockQ8_K, encode>;
    case DType::kQ2_K:
      return encode_blocks<BlockQ2_K, encode_q2_k>;
    case DType::kQ3_K:
      return encode_blocks<BlockQ3_K, encode_q3_k>;
    case DType::kQ4_K:
      return encode_blocks<BlockQ4_K, encode_q4_k>;
    case DType::kQ5_K:
      return encode_blocks<BlockQ5_K, encode_q5_k>;
    case DType::kQ6_K:
      return encode_blocks<BlockQ6_K, encode_q6_k>;
    default:
      return nullptr;
  }
}

}  // namespace

bool can_quantize(DType dtype) {
  return row_encoder(dtype) != nullptr;
}

void quantize_row(DType dtype, const float* src, std::byte* dst, std::int64_t n) {
  const RowEncoder encoder = row_encoder(dtype);
  if (encoder == nullptr) {
    throw make_error(ErrorKind::kUnsupported, "cannot encode weights as {}", name(dtype));
  }
  if (n < 0 || n % info(dtype).block_elements != 0) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "a row of {} elements is not a whole number of {} blocks of {}", n,
                     name(dtype), info(dtype).block_elements);
  }
  try {
    encoder(src, dst, n);
  } catch (Error& error) {
    error.add_context(fmt::format("encoding as {}", name(dtype)));
    throw;
  }
}

}  // namespace mistral::quant
