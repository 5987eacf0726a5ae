// Row-wise CPU kernels against the reference, over odd lengths.
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ops/backends.h"

namespace mistral::ops {
namespace {

using test::ActivationBuffers;

class CpuRows : public test::PerKernelSet {};

// Around the widths of all vectors, and primes.
constexpr std::int64_t kLengths[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 127, 257, 1024};

unsigned forms_for(std::int64_t cols) {
  unsigned forms = kFormF32;
  if (cols % 32 == 0) forms |= kFormQ8x32;
  if (cols % 256 == 0) forms |= kFormQ8x256;
  return forms;
}

TEST_P(CpuRows, Norms) {
  constexpr std::int64_t kRows = 5;
  for (const std::int64_t cols : kLengths) {
    SCOPED_TRACE(cols);
    const std::int64_t stride = cols + 3;
    const auto x = test::random_values(kRows * stride, static_cast<std::uint32_t>(cols), 3.0F);
    const auto weight = test::random_values(cols, 1);
    const auto bias = test::random_values(cols, 2);
    for (const auto kind : {NormParams::Kind::kRms, NormParams::Kind::kLayer}) {
      for (const bool scaled : {false, true}) {
        const NormParams params{kind, 1e-5F, scaled ? weight.data() : nullptr,
                                scaled ? bias.data() : nullptr};
        const auto run = [&](Backend& backend, std::int64_t first, std::int64_t rows) {
          ActivationBuffers out(rows, cols, forms_for(cols));
          backend.norm(params, {x.data() + first * stride, rows, cols, stride}, out.view());
          return out;
        };
        ActivationBuffers got = run(*backends_.cpu, 0, kRows);
        ActivationBuffers want = run(*backends_.reference, 0, kRows);
        ASSERT_NO_FATAL_FAILURE(test::expect_close(got.values(), want.values(), 1e-5));
        run(*backends_.threaded, 0, kRows).expect_same(got);
        ActivationBuffers last = run(*backends_.cpu, kRows - 1, 1);
        test::expect_same_bits(last.values(), {got.values().end() - cols, got.values().end()});

        const auto rows_of = [&](Backend& backend, bool accumulate, bool in_place) {
          std::vector<float> y = in_place ? x : test::random_values(kRows * stride, 3);
          const float* source = in_place ? y.data() : x.data();
          backend.norm_rows(params, {source, kRows, cols, stride}, {y.data(), kRows, cols, stride},
                            accumulate);
          return y;
        };
        for (const bool accumulate : {false, true}) {
          for (const bool in_place : {false, true}) {
            const auto y = rows_of(*backends_.cpu, accumulate, in_place);
            ASSERT_NO_FATAL_FAILURE(
                test::expect_close(y, rows_of(*backends_.reference, accumulate, in_place), 1e-5));
            test::expect_same_bits(rows_of(*backends_.threaded, accumulate, in_place), y);
          }
        }
      }
    }
  }
}

TEST_P(CpuRows, Activations) {
  // Far tails, where careless formulas overflow, and what is around zero.
  std::vector<float> x = {0.0F,   -0.0F,  1e-30F,  -1e-30F, 88.0F,
                          -88.0F, 104.0F, -104.0F, 1e4F,    -1e4F};
  for (int i = -400; i <= 400; ++i) x.push_back(static_cast<float>(i) * 0.05F);
  for (const Activation activation : test::kActivations) {
    SCOPED_TRACE(static_cast<int>(activation));
    for (const std::int64_t cols : kLengths) {
      if (cols > static_cast<std::int64_t>(x.size())) continue;
      const std::int64_t rows = static_cast<std::int64_t>(x.size()) / cols;
      const auto run = [&](Backend& backend) {
        ActivationBuffers out(rows, cols, forms_for(cols));
        backend.activate(activation, {x.data(), rows, cols, cols}, out.view());
        return out;
      };
      ActivationBuffers got = run(*backends_.cpu);
      ActivationBuffers want = run(*backends_.reference);
      ASSERT_NO_FATAL_FAILURE(test::expect_close(got.values(), want.values(), 2e-6));
      run(*backends_.threaded).expect_same(got);
    }
  }
}

// Around the places where a formula changes, and where a difference to 1 would cancel.
TEST_P(CpuRows, KnownActivations) {
  struct Known {
    Activation activation;
    float x;
    float y;
  };
  const Known cases[] = {
      {Activation::kRelu2, -3.0F, 0.0F},         {Activation::kRelu2, 3.0F, 9.0F},
      {Activation::kRelu6, -1.0F, 0.0F},         {Activation::kRelu6, 5.5F, 5.5F},
      {Activation::kRelu6, 7.0F, 6.0F},          {Activation::kSigmoid, 0.0F, 0.5F},
      {Activation::kSigmoid, 2.0F, 0.88079708F}, {Activation::kHardSigmoid, -3.5F, 0.0F},
      {Activation::kHardSigmoid, 1.5F, 0.75F},   {Activation::kHardSigmoid, 4.0F, 1.0F},
      {Activation::kHardSwish, -4.0F, 0.0F},     {Activation::kHardSwish, 1.5F, 1.125F},
      {Activation::kHardSwish, 5.0F, 5.0F},      {Activation::kElu, 2.5F, 2.5F},
      {Activation::kElu, -1.0F, -0.63212056F},   {Activation::kElu, -1e-5F, -9.99995e-6F},
      {Activation::kLeakyRelu, 2.0F, 2.0F},      {Activation::kLeakyRelu, -2.0F, -0.02F}};
  for (const Known& known : cases) {
    SCOPED_TRACE(fmt::format("{} of {}", static_cast<int>(known.activation), known.x));
    for (Backend* backend : {backends_.cpu.get(), backends_.reference.get()}) {
      ActivationBuffers out(1, 1, kFormF32);
      backend->activate(known.activation, {&known.x, 1, 1, 1}, out.view());
      EXPECT_NEAR(out.values()[0], known.y, 3e-7F * std::fabs(known.y));
    }
  }
}

TEST_P(CpuRows, QuantisedFormsAreThoseOfTheReference) {
  constexpr std::int64_t kRows = 4;
  for (const std::int64_t cols : {32, 96, 256, 768}) {
    std::vector<float> x = test::random_values(kRows * cols, 4);
    std::fill(x.begin(), x.begin() + 32, 0.0F);       // a block of zeros
    x[static_cast<std::size_t>(cols) + 5] = 1000.0F;  // an outlier
    for (std::int64_t i = 0; i < 32; ++i) {           // ties between codes
      x[static_cast<std::size_t>(2 * cols + i)] = static_cast<float>(i - 16) * 0.5F;
    }
    x[static_cast<std::size_t>(2 * cols)] = 127.0F;
    const auto run = [&](Backend& backend) {
      ActivationBuffers out(kRows, cols, forms_for(cols));
      backend.quantize({x.data(), kRows, cols, cols}, out.view());
      return out;
    };
    const ActivationBuffers want = run(*backends_.reference);
    run(*backends_.cpu).expect_same(want);
    run(*backends_.threaded).expect_same(want);
    // In place.
    ActivationBuffers buffers(kRows, cols, forms_for(cols));
    buffers.values() = x;
    backends_.cpu->quantize(buffers.view().as_rows(), buffers.view());
    buffers.expect_same(want);
  }
}

TEST_P(CpuRows, Softcap) {
  for (const std::int64_t cols : kLengths) {
    const auto run = [&](Backend& backend) {
      auto x = test::random_values(3 * cols, 5, 40.0F);
      x[0] = 1e6F;
      backend.softcap(30.0F, {x.data(), 3, cols, cols});
      return x;
    };
    const auto got = run(*backends_.cpu);
    ASSERT_NO_FATAL_FAILURE(test::expect_close(got, run(*backends_.reference), 2e-6)) << cols;
    test::expect_same_bits(run(*backends_.threaded), got);
  }
}

TEST_P(CpuRows, NoRows) {
  ActivationBuffers none(0, 64, kFormF32 | kFormQ8x32);
  backends_.threaded->norm({}, {nullptr, 0, 64, 64}, none.view());
  backends_.threaded->quantize({nullptr, 0, 64, 64}, none.view());
  backends_.threaded->activate(Activation::kSilu, {nullptr, 0, 64, 64}, none.view());
  backends_.threaded->softcap(1.0F, {nullptr, 0, 64, 64});
  backends_.threaded->norm_rows({}, {nullptr, 0, 64, 64}, {nullptr, 0, 64, 64}, true);
}

INSTANTIATE_TEST_SUITE_P(Sets, CpuRows, testing::ValuesIn(test::kernel_sets()),
                         [](const auto& set) { return set.param; });

}  // namespace
}  // namespace mistral::ops
