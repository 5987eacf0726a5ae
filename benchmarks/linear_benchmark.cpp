// Products of packed weights with activations: bandwidth for few rows, multiply-adds for many.
// The shares are of what machine_peak measures just before and just after each run. One product
// after the other uses another copy of the weights, so that they come from memory as they do when
// a whole model runs.
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <benchmark/benchmark.h>

#include "benchmarks/benchmark_backend.h"
#include "benchmarks/machine_peak.h"
#include "ops/activation_buffer.h"
#include "quant/quantize.h"

namespace {

using namespace mistral;
using benchmarks::backend;
using benchmarks::pool;
using benchmarks::random_values;

constexpr std::int64_t kIn = 2048;
constexpr std::int64_t kOut = 8192;
constexpr std::int64_t kRows[] = {1, 2, 4, 8, 16, 32, 128, 512};
// All copies together: several times the caches, also those that a host shares out generously.
constexpr std::uint64_t kWeightBytes = std::uint64_t{192} << 20U;
constexpr double kProbeSeconds = 0.05;

const benchmarks::MachinePeak& machine() {
  static const benchmarks::MachinePeak instance(pool().size());
  return instance;
}

using Copies = std::vector<std::unique_ptr<ops::Weight>>;

Copies pack_copies(DType type) {
  // One row of weights, repeated: its values do not matter for the time.
  const std::vector<float> row = random_values(kIn);
  const auto size = static_cast<std::size_t>(row_bytes(type, kIn));
  std::vector<std::byte> data(size * static_cast<std::size_t>(kOut));
  quant::quantize_row(type, row.data(), data.data(), kIn);
  for (std::int64_t i = 1; i < kOut; ++i) {
    std::copy_n(data.begin(), size, data.begin() + i * static_cast<std::ptrdiff_t>(size));
  }
  Copies copies;
  for (std::uint64_t bytes = 0; bytes < kWeightBytes; bytes += data.size()) {
    copies.push_back(backend().pack({type, {{kOut, kIn}}, data}, DType::kCount, nullptr));
  }
  return copies;
}

// The weights of the type that is being measured; those of the type before are released.
const Copies& copies_of(DType type) {
  static std::map<DType, Copies> current;
  if (!current.contains(type)) {
    current.clear();
    current.emplace(type, pack_copies(type));
  }
  return current.at(type);
}

// What a product is compared with: bytes and operations per second.
struct Peak {
  double bandwidth = 0;
  double int8 = 0;
  double bf16 = 0;
  double f32 = 0;
};

Peak probe(DType type) {
  Peak peak;
  peak.bandwidth = machine().bandwidth(kProbeSeconds).best;
  if (info(type).quantized) {
    peak.int8 = machine().int8_operations(kProbeSeconds).best;
  } else {
    peak.f32 = machine().f32_operations(kProbeSeconds).best;
  }
  if (type == DType::kBF16) peak.bf16 = machine().bf16_operations(kProbeSeconds).best;
  return peak;
}

// Adds the share of the mean of two probes; nothing when they measured nothing.
void add_share(benchmark::State& state, const char* name, double per_second, double before,
               double after) {
  const double limit = (before + after) / 2;
  if (limit > 0) state.counters[name] = per_second / limit;
}

void linear(benchmark::State& state, DType type) {
  const std::int64_t rows = state.range(0);
  const Copies& weights = copies_of(type);

  const std::vector<float> input = random_values(rows * kIn);
  ops::ActivationBuffer buffer;  // rows as the decoder lays them out
  const ops::Activations in = buffer.view(rows, kIn, weights.front()->input_form());
  backend().quantize({input.data(), rows, kIn, kIn}, in);
  std::vector<float> output(static_cast<std::size_t>(rows * kOut));

  std::size_t next = 0;
  const Peak before = probe(type);
  const auto begin = std::chrono::steady_clock::now();
  for (auto _ : state) {
    const ops::LinearOutput product{
        weights[next].get(), nullptr, {output.data(), rows, kOut, kOut}, 1.0F, false};
    backend().linear(in, {&product, 1});
    benchmark::DoNotOptimize(output.data());
    next = (next + 1) % weights.size();
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  const Peak after = probe(type);

  const double products = static_cast<double>(state.iterations()) / elapsed.count();
  const double bytes = products * static_cast<double>(weights.front()->bytes());
  const double operations = products * 2.0 * static_cast<double>(rows * kIn * kOut);
  state.counters["GB/s"] = bytes / 1e9;
  state.counters["Gop/s"] = operations / 1e9;
  add_share(state, "of_bandwidth", bytes, before.bandwidth, after.bandwidth);
  add_share(state, "of_int8_peak", operations, before.int8, after.int8);
  add_share(state, "of_bf16_peak", operations, before.bf16, after.bf16);
  add_share(state, "of_f32_peak", operations, before.f32, after.f32);
}

const int kRegistered = [] {
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16, DType::kQ4_0, DType::kQ4_1,
                           DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kQ2_K, DType::kQ3_K,
                           DType::kQ4_K, DType::kQ5_K, DType::kQ6_K}) {
    auto* registered = benchmark::RegisterBenchmark(
        std::string(name(type)).c_str(), [type](benchmark::State& state) { linear(state, type); });
    registered->UseRealTime();
    for (const std::int64_t rows : kRows) registered->Arg(rows);
  }
  return 0;
}();

}  // namespace
