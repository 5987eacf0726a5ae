// What tests over backends share: the kernel sets of this machine, random data, bit comparison.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "ops/ops.h"
#include "quant/half.h"
#include "quant/quantize.h"

namespace mistral::test {

// The sets that this processor can run; "portable" always is one.
inline std::vector<std::string> kernel_sets() {
  std::vector<std::string> sets;
  ThreadPool pool(1);
  for (const char* isa : {"portable", "avx2", "avxvnni", "avx512", "avx512bf16"}) {
    try {
      static_cast<void>(ops::make_cpu_backend(pool, isa));
      sets.emplace_back(isa);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kUnsupported) throw;
    }
  }
  return sets;
}

// Two backends of one kernel set that differ in their number of threads, and the reference.
struct Backends {
  explicit Backends(const std::string& isa)
      : cpu(ops::make_cpu_backend(one, isa)),
        threaded(ops::make_cpu_backend(three, isa)),
        reference(ops::make_reference_backend(one)) {}

  ThreadPool one{1};
  ThreadPool three{3};
  std::unique_ptr<ops::Backend> cpu;
  std::unique_ptr<ops::Backend> threaded;
  std::unique_ptr<ops::Backend> reference;
};

class PerKernelSet : public testing::TestWithParam<std::string> {
 protected:
  Backends backends_{GetParam()};
};

inline constexpr ops::Activation kActivations[] = {
    ops::Activation::kSilu,         ops::Activation::kGeluTanh, ops::Activation::kGeluErf,
    ops::Activation::kGeluQuick,    ops::Activation::kRelu,     ops::Activation::kRelu2,
    ops::Activation::kRelu6,        ops::Activation::kSigmoid,  ops::Activation::kHardSigmoid,
    ops::Activation::kHardSwish,    ops::Activation::kElu,      ops::Activation::kLeakyRelu,
    ops::Activation::kClampedSwiglu};

inline std::vector<float> random_values(std::int64_t count, std::uint32_t seed,
                                        float spread = 1.0F) {
  std::minstd_rand random(seed + 1);
  std::normal_distribution<float> normal(0.0F, spread);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& x : values) x = normal(random);
  return values;
}

// Rows of a stored type: every bit pattern of codes and sub-block scales, sane common scales.
inline std::vector<std::byte> random_weights(DType dtype, std::int64_t rows, std::int64_t cols,
                                             std::uint32_t seed) {
  std::minstd_rand random(seed + 17);
  const DTypeInfo& type = info(dtype);
  const auto bytes = static_cast<std::size_t>(rows * row_bytes(dtype, cols));
  std::vector<std::byte> data(bytes);
  if (!type.quantized) {
    const std::vector<float> values = random_values(rows * cols, seed);
    if (quant::can_quantize(dtype)) {
      quant::quantize_row(dtype, values.data(), data.data(), rows * cols);
    } else if (dtype == DType::kF64) {
      const std::vector<double> doubles(values.begin(), values.end());
      std::memcpy(data.data(), doubles.data(), bytes);
    } else {  // small integers of any width
      for (std::size_t i = 0; i < bytes; i += static_cast<std::size_t>(type.block_bytes)) {
        const std::int64_t value = static_cast<std::int64_t>(random() % 200) - 100;
        std::memcpy(data.data() + i, &value, static_cast<std::size_t>(type.block_bytes));
      }
    }
    return data;
  }
  for (std::byte& b : data) b = static_cast<std::byte>(random() >> 7U);
  const auto scale = [&](float magnitude) {
    const float factor = 0.5F + static_cast<float>(random() % 1000) / 1000.0F;
    return (random() % 2 == 0 ? magnitude : -magnitude) * factor;
  };
  const auto put_half = [&](std::byte* at, float magnitude) {
    const std::uint16_t half = quant::f32_to_f16(scale(magnitude));
    std::memcpy(at, &half, sizeof half);
  };
  for (std::size_t i = 0; i < bytes; i += static_cast<std::size_t>(type.block_bytes)) {
    std::byte* block = data.data() + i;
    switch (dtype) {
      case DType::kQ4_1:
      case DType::kQ5_1:
      case DType::kQ8_1:
        put_half(block, 0.05F);
        put_half(block + 2, 0.5F);
        break;
      case DType::kQ4_K:
      case DType::kQ5_K:
        put_half(block, 0.002F);
        put_half(block + 2, 0.02F);
        break;
      case DType::kQ2_K:
        put_half(block + 80, 0.05F);
        put_half(block + 82, 0.05F);
        break;
      case DType::kQ3_K:
        put_half(block + 108, 0.01F);
        break;
      case DType::kQ6_K:
        put_half(block + 208, 0.0005F);
        break;
      case DType::kTQ1_0:
        put_half(block + 52, 0.5F);
        break;
      case DType::kTQ2_0:
        put_half(block + 64, 0.5F);
        break;
      case DType::kQ8_K: {
        const float d = scale(0.01F);
        std::memcpy(block, &d, sizeof d);
        break;
      }
      case DType::kIQ1_M: {  // the half is spread over the highest nibbles of four words
        const unsigned half = quant::f32_to_f16(scale(0.02F));
        for (unsigned n = 0; n < 4; ++n) {
          std::byte& byte = block[49 + 2 * n];
          byte = (byte & std::byte{15}) | static_cast<std::byte>((half >> (4 * n) & 15U) << 4U);
        }
        break;
      }
      case DType::kMXFP4:
        block[0] = static_cast<std::byte>(124 + random() % 6);
        break;
      default:
        put_half(block, 0.02F);
        break;  // those that start with their only half
    }
  }
  return data;
}

inline void expect_same_bits(const std::vector<float>& got, const std::vector<float>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(got[i]), std::bit_cast<std::uint32_t>(want[i]))
        << "element " << i << ": " << got[i] << " and " << want[i];
  }
}

// Equal up to `tolerance` times the larger of 1 and the magnitude; NaN only where NaN is expected.
inline void expect_close(const std::vector<float>& got, const std::vector<float>& want,
                         double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(want[i])) {
      ASSERT_TRUE(std::isnan(got[i])) << "element " << i << ": " << got[i];
      continue;
    }
    const double limit = tolerance * std::fmax(1.0, std::fabs(want[i]));
    ASSERT_TRUE(std::fabs(static_cast<double>(got[i]) - want[i]) <= limit)
        << "element " << i << ": " << got[i] << ", expected " << want[i];
  }
}

// The buffers behind an Activations value.
class ActivationBuffers {
 public:
  ActivationBuffers(std::int64_t rows, std::int64_t cols, unsigned forms)
      : rows_(rows), cols_(cols), forms_(forms), values_(size(rows * cols), kUntouched) {
    if ((forms & ops::kFormQ8x32) != 0) q32_.allocate(rows, cols, 32);
    if ((forms & ops::kFormQ8x256) != 0) q256_.allocate(rows, cols, 256);
    if ((forms & ops::kFormBF16) != 0) bf16_.resize(size(rows * pairs()));
    if ((forms & ops::kFormPanels) != 0 && rows > ops::kRowsWithoutPanels) {
      panels_.resize(size((rows + ops::kInputPanel) * cols), kUntouched);
    }
  }

  // The rows from `first` on.
  [[nodiscard]] ops::Activations view(std::int64_t first, std::int64_t count) {
    ops::Activations a;
    a.forms = forms_;
    a.rows = count;
    a.cols = cols_;
    a.values = values_.data() + first * cols_;
    if ((forms_ & ops::kFormQ8x32) != 0) a.q32 = q32_.view(first, cols_, 32);
    if ((forms_ & ops::kFormQ8x256) != 0) a.q256 = q256_.view(first, cols_, 256);
    if ((forms_ & ops::kFormBF16) != 0) a.bf16 = bf16_.data() + first * pairs();
    // Panels of their own: without them, rows are read as they are.
    if (first == 0 && !panels_.empty()) a.panels = panels_.data();
    return a;
  }
  [[nodiscard]] ops::Activations view() { return view(0, rows_); }
  [[nodiscard]] std::vector<float>& values() { return values_; }

  // What a product over `form` sees: the values as they are or rounded, or codes times their
  // scales.
  [[nodiscard]] std::vector<float> seen(unsigned form) const {
    if (form == ops::kFormF32 || form == ops::kFormPanels) return values_;
    if (form == ops::kFormBF16) return seen_bf16();
    const Quantized& q = form == ops::kFormQ8x32 ? q32_ : q256_;
    const std::size_t block = form == ops::kFormQ8x32 ? 32 : 256;
    std::vector<float> result(q.codes.size());
    for (std::size_t i = 0; i < result.size(); ++i) {
      result[i] = static_cast<float>(q.codes[i]) * q.scales[i / block];
    }
    return result;
  }

  void expect_same(const ActivationBuffers& other) const {
    expect_same_bits(values_, other.values_);
    EXPECT_EQ(bf16_, other.bf16_);
    expect_same_bits(panels_, other.panels_);
    for (const auto& [a, b] : {std::pair(&q32_, &other.q32_), std::pair(&q256_, &other.q256_)}) {
      EXPECT_EQ(a->codes, b->codes);
      EXPECT_EQ(a->scales, b->scales);
      EXPECT_EQ(a->sums16, b->sums16);
      EXPECT_EQ(a->sums32, b->sums32);
    }
  }

 private:
  static constexpr float kUntouched = -12345.0F;
  static std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

  struct Quantized {
    std::vector<std::int8_t> codes;
    std::vector<float> scales;
    std::vector<std::int16_t> sums16;
    std::vector<std::int16_t> sums32;
    void allocate(std::int64_t rows, std::int64_t cols, std::int64_t block) {
      codes.resize(size(rows * cols));
      scales.resize(size(rows * cols / block));
      sums16.resize(size(rows * cols / 16));
      sums32.resize(size(rows * cols / 32));
    }
    ops::Activations::Quantized view(std::int64_t first, std::int64_t cols, std::int64_t block) {
      return {codes.data() + first * cols, scales.data() + first * (cols / block),
              sums16.data() + first * (cols / 16), sums32.data() + first * (cols / 32)};
    }
  };

  [[nodiscard]] std::int64_t pairs() const { return (cols_ + 1) / 2; }
  [[nodiscard]] std::vector<float> seen_bf16() const {
    std::vector<float> result;
    for (std::int64_t row = 0; row < rows_; ++row) {
      for (std::int64_t k = 0; k < cols_; ++k) {
        const std::uint32_t pair = bf16_[size(row * pairs() + k / 2)];
        const auto half = static_cast<std::uint16_t>(k % 2 == 0 ? pair : pair >> 16U);
        EXPECT_EQ(half, quant::f32_to_bf16(values_[size(row * cols_ + k)]));
        result.push_back(quant::bf16_to_f32(half));
      }
    }
    return result;
  }

  std::int64_t rows_;
  std::int64_t cols_;
  unsigned forms_;
  std::vector<float> values_;
  std::vector<std::uint32_t> bf16_;
  std::vector<float> panels_;
  Quantized q32_;
  Quantized q256_;
};

}  // namespace mistral::test
