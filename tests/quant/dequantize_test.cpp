#include "quant/dequantize.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "quant/block_cases.h"
#include "quant/block_formats.h"
#include "quant/codebooks.h"

namespace mistral::quant {
namespace {

using test::BlockCase;

void expect_decodes(const BlockCase& c, const std::string& packed_name,
                    const std::string& expected_name) {
  const TensorView packed = c.view(packed_name);
  const std::vector<float> expected = test::floats(c.view(expected_name));
  ASSERT_FALSE(expected.empty());
  const auto rows = packed.shape[0];
  const auto row_elements = static_cast<std::int64_t>(expected.size()) / rows;
  const std::int64_t bytes = row_bytes(c.dtype, row_elements);
  ASSERT_EQ(static_cast<std::int64_t>(packed.data.size()), rows * bytes) << name(c.dtype);
  std::vector<float> got(static_cast<std::size_t>(row_elements));
  // A copy on an odd address: mapped rows need not be aligned.
  std::vector<std::byte> odd(static_cast<std::size_t>(bytes) + 1);
  for (std::int64_t r = 0; r < rows; ++r) {
    std::memcpy(odd.data() + 1, packed.data.data() + r * bytes, static_cast<std::size_t>(bytes));
    dequantize_row(c.dtype, odd.data() + 1, got.data(), row_elements);
    for (std::int64_t i = 0; i < row_elements; ++i) {
      const float want = expected[static_cast<std::size_t>(r * row_elements + i)];
      ASSERT_EQ(std::bit_cast<std::uint32_t>(got[static_cast<std::size_t>(i)]),
                std::bit_cast<std::uint32_t>(want))
          << name(c.dtype) << " " << packed_name << " row " << r << " element " << i << ": "
          << got[static_cast<std::size_t>(i)] << ", expected " << want;
    }
  }
}

// Every type that the reference lists has a file, and every file is decoded.
TEST(Dequantize, ReferenceBlocksToTheBit) {
  std::set<std::string> listed;
  const Json reference = test::blocks_json();
  for (const auto& [type, facts] : reference.at("types").items()) listed.insert(type);
  std::set<std::string> decoded;
  for (const BlockCase& c : test::block_cases()) {
    ASSERT_TRUE(can_dequantize(c.dtype)) << name(c.dtype);
    expect_decodes(c, "packed", "dequant");
    if (info(c.dtype).quantized) expect_decodes(c, "packed_random", "dequant_random");
    decoded.insert(std::string(name(c.dtype)));
  }
  EXPECT_EQ(decoded, listed);
  for (int i = 0; i < static_cast<int>(DType::kCount); ++i) {
    const auto dtype = static_cast<DType>(i);
    if (!info(dtype).quantized) continue;
    EXPECT_TRUE(decoded.contains(std::string(name(dtype)))) << name(dtype);
  }
}

TEST(Dequantize, KnowsAllButBytes) {
  for (int i = 0; i < static_cast<int>(DType::kCount); ++i) {
    const auto dtype = static_cast<DType>(i);
    const bool refused = dtype == DType::kU8 || dtype == DType::kBool;
    EXPECT_EQ(can_dequantize(dtype), !refused) << name(dtype);
    if (!refused) continue;
    float out = 0.0F;
    try {
      dequantize_row(dtype, nullptr, &out, 0);
      ADD_FAILURE() << name(dtype) << " was not refused";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
      EXPECT_NE(std::string(error.what()).find(name(dtype)), std::string::npos) << error.what();
    }
  }
}

// The signs that are not stored make the number of negative elements even.
TEST(Codebooks, SignsAreEven) {
  for (unsigned stored = 0; stored < 256; ++stored) {
    EXPECT_EQ(std::popcount(even_signs(stored)) % 2, 0) << stored;
    EXPECT_EQ(even_signs(stored) & 127U, stored & 127U);
  }
}

template <typename Number>
void expect_numbers(DType dtype, const std::vector<Number>& numbers) {
  std::vector<float> got(numbers.size());
  dequantize_row(dtype, std::as_bytes(std::span(numbers)).data(), got.data(),
                 static_cast<std::int64_t>(numbers.size()));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    EXPECT_EQ(got[i], static_cast<float>(numbers[i])) << name(dtype);
  }
}

TEST(Dequantize, PlainNumbers) {
  expect_numbers<float>(DType::kF32, {0.0F, -1.5F, 1e30F});
  expect_numbers<double>(DType::kF64, {0.1, -1e300, 3.0});
  expect_numbers<std::int8_t>(DType::kI8, {-128, -1, 0, 127});
  expect_numbers<std::int16_t>(DType::kI16, {-32768, 5});
  expect_numbers<std::int32_t>(DType::kI32, {-2147483647, 16777217});
  expect_numbers<std::int64_t>(DType::kI64, {-(std::int64_t{1} << 60), 7});
}

TEST(Dequantize, NoElementsAndPartialBlocks) {
  for (int i = 0; i < static_cast<int>(DType::kCount); ++i) {
    const auto dtype = static_cast<DType>(i);
    if (!can_dequantize(dtype)) continue;
    EXPECT_NO_THROW(dequantize_row(dtype, nullptr, nullptr, 0)) << name(dtype);
    EXPECT_THROW(dequantize_row(dtype, nullptr, nullptr, -256), Error) << name(dtype);
    if (info(dtype).block_elements > 1) {
      EXPECT_THROW(dequantize_row(dtype, nullptr, nullptr, info(dtype).block_elements - 1), Error);
    }
  }
}

TEST(BlockFormats, ScaleOfMicroscaling) {
  for (int e = 0; e < 256; ++e) {
    EXPECT_EQ(mxfp4_scale(static_cast<std::uint8_t>(e)), std::ldexp(1.0F, e - 128)) << e;
  }
}

TEST(BlockFormats, PackedScalesReturn) {
  std::int8_t signed_scales[16];
  std::int8_t signed_again[16];
  std::uint8_t scales[8];
  std::uint8_t mins[8];
  std::uint8_t scales_again[8];
  std::uint8_t mins_again[8];
  std::uint8_t packed[12];
  for (int turn = 0; turn < 64; ++turn) {
    for (int i = 0; i < 16; ++i)
      signed_scales[i] = static_cast<std::int8_t>((turn + 7 * i) % 64 - 32);
    for (int i = 0; i < 8; ++i) {
      scales[i] = static_cast<std::uint8_t>((turn + 11 * i) % 64);
      mins[i] = static_cast<std::uint8_t>((5 * turn + 13 * i) % 64);
    }
    pack_scales_q3_k(signed_scales, packed);
    unpack_scales_q3_k(packed, signed_again);
    EXPECT_EQ(std::memcmp(signed_scales, signed_again, sizeof signed_scales), 0);
    pack_scales_q4_k(scales, mins, packed);
    unpack_scales_q4_k(packed, scales_again, mins_again);
    EXPECT_EQ(std::memcmp(scales, scales_again, sizeof scales), 0);
    EXPECT_EQ(std::memcmp(mins, mins_again, sizeof mins), 0);
  }
}

}  // namespace
}  // namespace mistral::quant
