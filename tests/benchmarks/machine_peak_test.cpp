#include "benchmarks/machine_peak.h"

#include <gtest/gtest.h>

#include "benchmarks/peak_kernels.h"
#include "core/error.h"

namespace mistral::benchmarks {
namespace {

constexpr std::size_t kSmall = std::size_t{1} << 20U;

void expect_measured(const Rate& rate) {
  EXPECT_GT(rate.median, 0);
  EXPECT_GE(rate.best, rate.median);
}

TEST(MachinePeakTest, MeasuresWithOneThreadAndMore) {
  for (const int threads : {1, 3}) {
    const MachinePeak peak(threads, kSmall);
    EXPECT_EQ(peak.threads(), threads);
    expect_measured(peak.bandwidth(0));
  }
}

TEST(MachinePeakTest, MeasuresOperationsThatTheProcessorHas) {
  const MachinePeak peak(1, kSmall);
  const auto expect = [](const std::optional<PeakKernel>& kernel, const Rate& rate) {
    if (kernel) {
      expect_measured(rate);
    } else {
      EXPECT_EQ(rate.best, 0);
    }
  };
  expect(int8_kernel(), peak.int8_operations(0));
  expect(bf16_kernel(), peak.bf16_operations(0));
  expect(f32_kernel(), peak.f32_operations(0));
}

TEST(MachinePeakTest, RefusesWhatCannotBe) {
  EXPECT_THROW(MachinePeak(0, kSmall), Error);
  EXPECT_THROW(MachinePeak(1'000'000, kSmall), Error);
  EXPECT_THROW(MachinePeak(1, 0), Error);
}

}  // namespace
}  // namespace mistral::benchmarks
