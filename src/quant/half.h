// Scalar conversions between float and the narrow floating-point formats. Portable integer code,
// so that every kernel set agrees to the bit with the hardware's conversions: rounding is to
// nearest even, overflow gives infinity, NaNs become quiet and keep sign and leading payload bits.
// Nothing here depends on whether the machine flushes subnormals of float to zero.
#pragma once

#include <bit>
#include <cstdint>

namespace mistral::quant {

[[nodiscard]] constexpr float f16_to_f32(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000) << 16;
  const std::uint32_t magnitude = static_cast<std::uint32_t>(half & 0x7fff) << 13;
  std::uint32_t bits;
  if (magnitude >= 0x0f800000) {  // infinity and NaN
    bits = magnitude + (std::uint32_t{224} << 23);
    if (magnitude > 0x0f800000) bits |= 0x00400000;
  } else if (magnitude < 0x00800000) {
    // A subnormal half is a multiple of 2^-24: put it below the leading one of 2^-14, subtract it.
    const float shifted = std::bit_cast<float>(magnitude + (std::uint32_t{113} << 23));
    bits = std::bit_cast<std::uint32_t>(shifted - 0x1p-14F);
  } else {
    bits = magnitude + (std::uint32_t{112} << 23);
  }
  return std::bit_cast<float>(bits | sign);
}

[[nodiscard]] constexpr std::uint16_t f32_to_f16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000);
  const std::uint32_t magnitude = bits & 0x7fffffff;
  std::uint32_t half;
  if (magnitude > 0x7f800000) {
    half = 0x7e00 | ((magnitude >> 13) & 0x3ff);
  } else if (magnitude >= 0x47800000) {  // 2^16 and above
    half = 0x7c00;
  } else if (magnitude < 0x38800000) {  // below 2^-14
    // The sum's unit in the last place is 2^-24, so the addition itself rounds.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    half = std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(0.5F);
  } else {
    // A carry out of the mantissa raises the exponent, up to infinity.
    half = (magnitude + 0xfff + ((magnitude >> 13) & 1) - (std::uint32_t{112} << 23)) >> 13;
  }
  return static_cast<std::uint16_t>(half | sign);
}

[[nodiscard]] constexpr float bf16_to_f32(std::uint16_t bf16) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bf16) << 16);
}

[[nodiscard]] constexpr std::uint16_t f32_to_bf16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<std::uint16_t>((bits >> 16) | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// E4M3 without infinities: sign, 4 bits of exponent (bias 7), 3 of mantissa; 0x7f and 0xff are NaN.
[[nodiscard]] constexpr float f8_e4m3_to_f32(std::uint8_t code) {
  const std::uint32_t sign = static_cast<std::uint32_t>(code & 0x80) << 24;
  const std::uint32_t magnitude = code & 0x7f;
  std::uint32_t bits;
  if (magnitude == 0x7f) {
    bits = 0x7fc00000;
  } else if (magnitude < 8) {
    bits = std::bit_cast<std::uint32_t>(static_cast<float>(magnitude) * 0x1p-9F);
  } else {
    bits = (magnitude << 20) + (std::uint32_t{120} << 23);
  }
  return std::bit_cast<float>(bits | sign);
}

// Finite values and infinities beyond 448 saturate to +-448.
[[nodiscard]] constexpr std::uint8_t f32_to_f8_e4m3(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint8_t>((bits >> 24) & 0x80);
  const std::uint32_t magnitude = bits & 0x7fffffff;
  std::uint32_t code;
  if (magnitude > 0x7f800000) {
    code = 0x7f;
  } else if (magnitude >= 0x43e00000) {  // 448 and above
    code = 0x7e;
  } else if (magnitude < 0x3c800000) {  // below 2^-6: multiples of 2^-9
    const float shifted = std::bit_cast<float>(magnitude) + 0x1p14F;
    code = std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(0x1p14F);
  } else {
    code = (magnitude + 0x7ffff + ((magnitude >> 20) & 1) - (std::uint32_t{120} << 23)) >> 20;
  }
  return static_cast<std::uint8_t>(code | sign);
}

}  // namespace mistral::quant
