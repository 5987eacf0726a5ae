#include "quant/quantize.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "quant/block_cases.h"
#include "quant/dequantize.h"

namespace mistral::quant {
namespace {

using test::BlockCase;

std::vector<std::byte> quantized(DType dtype, const std::vector<float>& row) {
  const auto n = static_cast<std::int64_t>(row.size());
  std::vector<std::byte> bytes(static_cast<std::size_t>(row_bytes(dtype, n)));
  quantize_row(dtype, row.data(), bytes.data(), n);
  return bytes;
}

std::vector<float> round_trip(DType dtype, const std::vector<float>& row) {
  std::vector<float> decoded(row.size());
  dequantize_row(dtype, quantized(dtype, row).data(), decoded.data(),
                 static_cast<std::int64_t>(row.size()));
  return decoded;
}

double squared_error(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - b[i];
    sum += difference * difference;
  }
  return sum;
}

bool searches(DType dtype) {
  return dtype >= DType::kQ2_K && dtype <= DType::kQ6_K;
}

std::vector<DType> quantizable() {
  std::vector<DType> types;
  for (int i = 0; i < static_cast<int>(DType::kCount); ++i) {
    if (can_quantize(static_cast<DType>(i))) types.push_back(static_cast<DType>(i));
  }
  return types;
}

std::vector<std::vector<float>> source_rows() {
  const auto file = formats::SafetensorsFile::open({test::blocks_dir() / "source.safetensors"});
  const TensorView view = file->find("source")->view;
  const std::vector<float> all = test::floats(view);
  const auto cols = static_cast<std::ptrdiff_t>(view.shape[1]);
  std::vector<std::vector<float>> rows;
  for (std::ptrdiff_t r = 0; r < view.shape[0]; ++r) {
    rows.emplace_back(all.begin() + r * cols, all.begin() + (r + 1) * cols);
  }
  return rows;
}

TEST(Quantize, PrescribedFormatsByteForByte) {
  const auto rows = source_rows();
  int compared = 0;
  for (const BlockCase& c : test::block_cases()) {
    if (!can_quantize(c.dtype) || searches(c.dtype)) continue;
    const TensorView packed = c.view("packed");
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const std::vector<std::byte> got = quantized(c.dtype, rows[r]);
      const std::byte* want = packed.data.data() + r * got.size();
      for (std::size_t i = 0; i < got.size(); ++i) {
        ASSERT_EQ(got[i], want[i]) << name(c.dtype) << " row " << r << " byte " << i;
      }
    }
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

// No worse than the reference encoder, in every row and in total.
TEST(Quantize, SearchedFormatsLoseNoMoreThanTheReference) {
  const auto rows = source_rows();
  const Json types = test::blocks_json().at("types");
  int compared = 0;
  for (const BlockCase& c : test::block_cases()) {
    if (!searches(c.dtype)) continue;
    const Json& expected = types.at(std::string(name(c.dtype)));
    double sum = 0.0;
    const auto cols = static_cast<double>(rows[0].size());
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const double error = squared_error(rows[r], round_trip(c.dtype, rows[r]));
      EXPECT_LE(std::sqrt(error / cols), expected.at("rmse_rows").at(r).get<double>() * 1.01)
          << name(c.dtype) << " row " << r;
      sum += error;
    }
    EXPECT_LE(std::sqrt(sum / cols / static_cast<double>(rows.size())),
              expected.at("rmse").get<double>() * 1.01)
        << name(c.dtype);
    RecordProperty(std::string(name(c.dtype)),
                   std::to_string(std::sqrt(sum / cols / static_cast<double>(rows.size())) /
                                  expected.at("rmse").get<double>()));
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

TEST(Quantize, ZerosStayZeros) {
  const std::vector<float> zeros(512, 0.0F);
  for (const DType dtype : quantizable()) EXPECT_EQ(round_trip(dtype, zeros), zeros) << name(dtype);
}

// Values that a format can hold exactly come back; a second round changes nothing.
TEST(Quantize, DecodedValuesReturnInPlainFormats) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> row(512);
  for (float& x : row) x = normal(random);
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kF8E4M3}) {
    const std::vector<float> once = round_trip(dtype, row);
    EXPECT_EQ(round_trip(dtype, once), once) << name(dtype);
  }
}

// The searched formats beat plain rounding over the range at any magnitude, offset and sign.
TEST(Quantize, ErrorScalesWithTheValues) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  std::vector<float> base(256);
  for (float& x : base) x = normal(random);
  // Bound of the relative error of normal values, by bits a weight.
  const std::pair<DType, double> bounds[] = {{DType::kQ2_K, 0.29},  {DType::kQ3_K, 0.15},
                                             {DType::kQ4_K, 0.075}, {DType::kQ5_K, 0.038},
                                             {DType::kQ6_K, 0.019}, {DType::kQ8_K, 0.008}};
  for (const auto& [dtype, bound] : bounds) {
    for (const float factor : {1.0F, -1.0F, 1e-3F, 1e4F}) {
      std::vector<float> row(base);
      for (float& x : row) x *= factor;
      const std::vector<float> none(row.size(), 0.0F);
      EXPECT_LT(std::sqrt(squared_error(row, round_trip(dtype, row)) / squared_error(row, none)),
                bound)
          << name(dtype) << " times " << factor;
    }
  }
}

TEST(Quantize, OffsetBlocksUseTheMinimum) {
  std::mt19937 random(13);
  std::uniform_real_distribution<float> uniform(-0.1F, 0.1F);
  for (const float offset : {-5.0F, 5.0F}) {
    std::vector<float> row(256);
    for (float& x : row) x = offset + uniform(random);
    for (const auto& [dtype, levels] : {std::pair{DType::kQ4_K, 15}, std::pair{DType::kQ5_K, 31}}) {
      const double rmse = std::sqrt(squared_error(row, round_trip(dtype, row)) / 256.0);
      // Rounding to steps of 0.2 / levels loses step / sqrt(12); the rest is for dmin's half.
      EXPECT_LT(rmse, 0.2 / levels / std::sqrt(12.0) * 1.5) << name(dtype) << " at " << offset;
    }
  }
}

TEST(Quantize, TinyValuesBecomeFinite) {
  std::vector<float> row(256, 0.0F);
  row[3] = std::numeric_limits<float>::denorm_min();
  row[40] = -1e-39F;
  row[99] = 1e-12F;
  for (const DType dtype : quantizable()) {
    for (const float x : round_trip(dtype, row)) {
      ASSERT_TRUE(std::isfinite(x)) << name(dtype);
      ASSERT_LE(std::fabs(x), 1e-6F) << name(dtype);
    }
  }
}

TEST(Quantize, RefusesWhatABlockCannotHold) {
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(),
                       std::numeric_limits<float>::infinity(), 3e38F};
  for (const DType dtype : quantizable()) {
    if (!info(dtype).quantized) continue;
    for (const float value : bad) {
      if (value == 3e38F && dtype == DType::kQ8_K) continue;  // its scale is a float
      std::vector<float> row(256, 1.0F);
      row[130] = value;
      try {
        quantized(dtype, row);
        ADD_FAILURE() << name(dtype) << " took " << value;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
        EXPECT_NE(std::string(error.what()).find(name(dtype)), std::string::npos) << error.what();
      }
    }
  }
}

TEST(Quantize, RefusesPartialBlocksAndUnknownFormats) {
  const std::vector<float> row(256, 1.0F);
  std::vector<std::byte> out(2048);
  for (const DType dtype : quantizable()) {
    EXPECT_THROW(quantize_row(dtype, row.data(), out.data(), -256), Error);
    if (!info(dtype).quantized) continue;
    EXPECT_THROW(quantize_row(dtype, row.data(), out.data(), info(dtype).block_elements / 2),
                 Error);
  }
  EXPECT_FALSE(can_quantize(DType::kIQ2_XS));
  EXPECT_THROW(quantize_row(DType::kIQ2_XS, row.data(), out.data(), 256), Error);
}

}  // namespace
}  // namespace mistral::quant
