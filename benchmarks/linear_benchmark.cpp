// Products of packed weights with activations: bandwidth for few rows, multiply-adds for many.
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include <benchmark/benchmark.h>

#include "ops/ops.h"
#include "quant/quantize.h"

namespace {

using namespace mistral;

constexpr std::int64_t kIn = 2048;
constexpr std::int64_t kOut = 8192;

ThreadPool& pool() {
  static ThreadPool instance([] {
    const char* threads = std::getenv("MISTRAL_BENCHMARK_THREADS");
    return threads != nullptr ? std::atoi(threads) : ThreadPool::default_size();
  }());
  return instance;
}

ops::Backend& backend() {
  static const std::unique_ptr<ops::Backend> instance = [] {
    const char* name = std::getenv("MISTRALCPP_CPU");
    return ops::make_cpu_backend(
        pool(), name != nullptr ? std::optional<std::string_view>(name) : std::nullopt);
  }();
  return *instance;
}

std::vector<float> random_values(std::int64_t count) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

void linear(benchmark::State& state, DType type) {
  const std::int64_t rows = state.range(0);
  // One row of weights, repeated: its values do not matter for the time.
  const std::vector<float> row = random_values(kIn);
  const auto size = static_cast<std::size_t>(row_bytes(type, kIn));
  std::vector<std::byte> data(size * static_cast<std::size_t>(kOut));
  quant::quantize_row(type, row.data(), data.data(), kIn);
  for (std::int64_t i = 1; i < kOut; ++i) {
    std::copy_n(data.begin(), size, data.begin() + i * static_cast<std::ptrdiff_t>(size));
  }
  const auto weight = backend().pack({type, {{kOut, kIn}}, data}, DType::kCount, nullptr);

  std::vector<float> input = random_values(rows * kIn);
  const auto count = static_cast<std::size_t>(rows * kIn);
  std::vector<std::int8_t> codes(count);
  std::vector<float> scales(count / 32);
  std::vector<std::int32_t> sums16(count / 16);
  std::vector<std::int32_t> sums32(count / 32);
  ops::Activations in;
  in.forms = weight->input_form();
  in.rows = rows;
  in.cols = kIn;
  in.values = input.data();
  in.q32 = in.q256 = {codes.data(), scales.data(), sums16.data(), sums32.data()};
  backend().quantize({input.data(), rows, kIn, kIn}, in);
  std::vector<float> output(static_cast<std::size_t>(rows * kOut));
  const ops::LinearOutput product{
      weight.get(), nullptr, {output.data(), rows, kOut, kOut}, 1.0F, false};

  for (auto _ : state) {
    backend().linear(in, {&product, 1});
    benchmark::DoNotOptimize(output.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(data.size()));
  state.counters["ops"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * 2.0 * static_cast<double>(rows * kIn * kOut),
      benchmark::Counter::kIsRate);
}

const int kRegistered = [] {
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ4_0, DType::kQ4_1,
                           DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kQ2_K, DType::kQ3_K,
                           DType::kQ4_K, DType::kQ5_K, DType::kQ6_K}) {
    benchmark::RegisterBenchmark(std::string(name(type)).c_str(),
                                 [type](benchmark::State& state) { linear(state, type); })
        ->Arg(1)
        ->Arg(16)
        ->Arg(512)
        ->UseRealTime();
  }
  return 0;
}();

}  // namespace
