// What benchmarks of kernels share: threads and kernels as the environment says, and random inputs.
//   MISTRAL_BENCHMARK_THREADS  threads; default: one per physical core
//   MISTRALCPP_CPU             the kernel set; default: the best that the processor has
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <string_view>
#include <vector>

#include "ops/ops.h"

namespace mistral::benchmarks {

inline ThreadPool& pool() {
  static ThreadPool instance([] {
    const char* threads = std::getenv("MISTRAL_BENCHMARK_THREADS");
    return threads != nullptr ? std::atoi(threads) : ThreadPool::default_size();
  }());
  return instance;
}

inline ops::Backend& backend() {
  static const std::unique_ptr<ops::Backend> instance = [] {
    const char* name = std::getenv("MISTRALCPP_CPU");
    return ops::make_cpu_backend(
        pool(), name != nullptr ? std::optional<std::string_view>(name) : std::nullopt);
  }();
  return *instance;
}

inline std::vector<float> random_values(std::int64_t count) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

}  // namespace mistral::benchmarks
