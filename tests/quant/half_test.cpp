#include "quant/half.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include <gtest/gtest.h>

namespace mistral::quant {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::uint32_t bits(float value) {
  return std::bit_cast<std::uint32_t>(value);
}

// A format of `exponent_bits` and `mantissa_bits` by its definition, for codes that are no NaN.
double value_by_definition(unsigned code, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int mantissa = static_cast<int>(code) & ((1 << mantissa_bits) - 1);
  const int exponent = static_cast<int>(code >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const double sign = (code >> (exponent_bits + mantissa_bits)) & 1 ? -1.0 : 1.0;
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

TEST(Half, EveryCodeHasItsValueAndReturns) {
  for (unsigned code = 0; code < 0x10000; ++code) {
    const auto half = static_cast<std::uint16_t>(code);
    const float value = f16_to_f32(half);
    if ((code & 0x7c00) != 0x7c00) {
      ASSERT_EQ(value, value_by_definition(code, 5, 10)) << code;
      ASSERT_EQ(std::signbit(value), (code & 0x8000) != 0) << code;
      ASSERT_EQ(f32_to_f16(value), half);
    } else if ((code & 0x3ff) == 0) {
      ASSERT_EQ(value, (code & 0x8000) != 0 ? -kInfinity : kInfinity);
      ASSERT_EQ(f32_to_f16(value), half);
    } else {
      ASSERT_EQ(bits(value), (code & 0x8000) << 16 | 0x7fc00000 | (code & 0x3ff) << 13) << code;
      ASSERT_EQ(f32_to_f16(value), half | 0x200);
    }
  }
}

TEST(Half, RoundsToNearestEvenBetweenAllNeighbours) {
  for (unsigned code = 0; code < 0x7c00; ++code) {
    const double low = value_by_definition(code, 5, 10);
    const double high = code == 0x7bff ? 65536.0 : value_by_definition(code + 1, 5, 10);
    const auto middle = static_cast<float>((low + high) / 2);  // exact: one bit more
    const auto lower = static_cast<std::uint16_t>(code);
    const auto upper = static_cast<std::uint16_t>(code + 1);
    for (const unsigned sign : {0U, 0x8000U}) {
      const float factor = sign != 0 ? -1.0F : 1.0F;
      ASSERT_EQ(f32_to_f16(factor * middle), ((code & 1) != 0 ? upper : lower) | sign) << code;
      ASSERT_EQ(f32_to_f16(factor * std::nextafter(middle, 0.0F)), lower | sign) << code;
      ASSERT_EQ(f32_to_f16(factor * std::nextafter(middle, kInfinity)), upper | sign) << code;
    }
  }
}

TEST(Half, BeyondTheRange) {
  EXPECT_EQ(f32_to_f16(65504.0F), 0x7bff);
  EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::max()), 0x7c00);
  EXPECT_EQ(f32_to_f16(-1e30F), 0xfc00);
  EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::denorm_min()), 0);
  EXPECT_EQ(f32_to_f16(-std::numeric_limits<float>::min()), 0x8000);
  EXPECT_EQ(f32_to_f16(std::bit_cast<float>(0xff800001U)), 0xfe00);  // a signalling NaN
}

TEST(BFloat16, EveryCodeHasItsValueAndReturns) {
  for (unsigned code = 0; code < 0x10000; ++code) {
    const auto bf16 = static_cast<std::uint16_t>(code);
    const float value = bf16_to_f32(bf16);
    ASSERT_EQ(bits(value), code << 16);
    const bool nan = (code & 0x7f80) == 0x7f80 && (code & 0x7f) != 0;
    ASSERT_EQ(std::isnan(value), nan);
    ASSERT_EQ(f32_to_bf16(value), nan ? code | 0x40 : code);
    if ((code & 0x7f80) != 0x7f80) {
      ASSERT_EQ(value, value_by_definition(code, 8, 7));
    }
  }
}

TEST(BFloat16, RoundsToNearestEven) {
  for (unsigned code = 0; code < 0x7f80; ++code) {
    const unsigned middle = code << 16 | 0x8000;
    const auto lower = static_cast<std::uint16_t>(code);
    const auto upper = static_cast<std::uint16_t>(code + 1);
    for (const unsigned sign : {0U, 0x8000U}) {
      const unsigned high_sign = sign << 16;
      ASSERT_EQ(f32_to_bf16(std::bit_cast<float>(middle | high_sign)),
                ((code & 1) != 0 ? upper : lower) | sign);
      ASSERT_EQ(f32_to_bf16(std::bit_cast<float>((middle - 1) | high_sign)), lower | sign);
      ASSERT_EQ(f32_to_bf16(std::bit_cast<float>((middle + 1) | high_sign)), upper | sign);
    }
  }
  // A NaN whose payload lies in the bits that are cut off stays a NaN.
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x7f800001U)), 0x7fc0);
}

TEST(Float8, EveryCodeHasItsValueAndReturns) {
  for (unsigned code = 0; code < 0x100; ++code) {
    const auto f8 = static_cast<std::uint8_t>(code);
    const float value = f8_e4m3_to_f32(f8);
    ASSERT_EQ(f32_to_f8_e4m3(value), f8);
    if ((code & 0x7f) == 0x7f) {
      ASSERT_TRUE(std::isnan(value));
    } else {
      ASSERT_EQ(value, value_by_definition(code, 4, 3)) << code;
      ASSERT_EQ(std::signbit(value), (code & 0x80) != 0);
    }
  }
}

TEST(Float8, RoundsToNearestEvenAndSaturates) {
  for (unsigned code = 0; code < 0x7e; ++code) {
    const double low = value_by_definition(code, 4, 3);
    const double high = value_by_definition(code + 1, 4, 3);
    const auto middle = static_cast<float>((low + high) / 2);
    for (const unsigned sign : {0U, 0x80U}) {
      const float factor = sign != 0 ? -1.0F : 1.0F;
      ASSERT_EQ(f32_to_f8_e4m3(factor * middle), ((code & 1) != 0 ? code + 1 : code) | sign);
      ASSERT_EQ(f32_to_f8_e4m3(factor * std::nextafter(middle, 0.0F)), code | sign);
      ASSERT_EQ(f32_to_f8_e4m3(factor * std::nextafter(middle, kInfinity)), (code + 1) | sign);
    }
  }
  EXPECT_EQ(f32_to_f8_e4m3(464.0F), 0x7e);
  EXPECT_EQ(f32_to_f8_e4m3(-1e30F), 0xfe);
  EXPECT_EQ(f32_to_f8_e4m3(kInfinity), 0x7e);
  EXPECT_EQ(f32_to_f8_e4m3(std::numeric_limits<float>::denorm_min()), 0);
}

}  // namespace
}  // namespace mistral::quant
