#include "benchmarks/peak_kernels.h"

#include <vector>

#include <gtest/gtest.h>

namespace mistral::benchmarks {
namespace {

TEST(PeakKernelsTest, WhatTheProcessorOffersRuns) {
  for (const std::optional<PeakKernel>& kernel : {int8_kernel(), bf16_kernel(), f32_kernel()}) {
    if (!kernel) continue;
    EXPECT_FALSE(kernel->name.empty());
    EXPECT_GT(kernel->operations, 0);
    kernel->run(0);
    kernel->run(3);
  }
}

TEST(PeakKernelsTest, EveryByteIsRead) {
  // Sizes around the steps of the loops; a byte that is not read would not change the result.
  for (const std::size_t size : {0U, 1U, 63U, 255U, 256U, 257U, 511U, 768U, 1000U}) {
    std::vector<std::byte> bytes(size);
    const std::uint64_t zero = read_all(bytes);
    EXPECT_EQ(zero, 0U) << size;
    for (std::size_t i = 0; i < size; ++i) {
      bytes[i] = std::byte{0x40};
      EXPECT_NE(read_all(bytes), zero) << "byte " << i << " of " << size;
      bytes[i] = std::byte{0};
    }
  }
}

}  // namespace
}  // namespace mistral::benchmarks
