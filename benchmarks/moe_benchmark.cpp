// A mixture of experts beside a dense layer of the same type that does as many multiply-adds: two
// of eight experts, all of which are chosen equally often.
//   experts/TYPE/INTERMEDIATE/ROWS, dense/TYPE/INTERMEDIATE/ROWS (an intermediate size twice as
//   large)
// GB/s are of the weights that are read, Gop/s of the multiply-adds counted twice. One row after
// the other chooses other experts, so that their weights come from memory as in a whole model.
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "benchmarks/benchmark_backend.h"
#include "ops/activation_buffer.h"
#include "quant/quantize.h"

namespace {

using namespace mistral;
using benchmarks::backend;
using benchmarks::random_values;

constexpr std::int64_t kHidden = 2048;
constexpr std::int32_t kExperts = 8;
constexpr std::int32_t kUsed = 2;

std::unique_ptr<ops::Weight> pack(DType type, std::int64_t out, std::int64_t in) {
  // One row of weights, repeated: its values do not matter for the time.
  const std::vector<float> row = random_values(in);
  const auto size = static_cast<std::size_t>(row_bytes(type, in));
  std::vector<std::byte> data(size * static_cast<std::size_t>(out));
  quant::quantize_row(type, row.data(), data.data(), in);
  for (std::int64_t i = 1; i < out; ++i) {
    std::copy_n(data.begin(), size, data.begin() + i * static_cast<std::ptrdiff_t>(size));
  }
  return backend().pack({type, {{out, in}}, data}, DType::kCount, nullptr);
}

// Feed-forward layers of one shape.
struct Layers {
  Layers(std::int32_t count, DType type, std::int64_t intermediate) {
    for (std::int32_t i = 0; i < count; ++i) {
      owners.push_back(pack(type, intermediate, kHidden));
      owners.push_back(pack(type, intermediate, kHidden));
      owners.push_back(pack(type, kHidden, intermediate));
      const auto last = owners.end();
      weights.push_back({last[-3].get(), last[-2].get(), last[-1].get()});
    }
  }
  [[nodiscard]] double bytes() const {  // of one
    double sum = 0;
    for (std::size_t i = 0; i < 3; ++i) sum += static_cast<double>(owners[i]->bytes());
    return sum;
  }
  std::vector<std::unique_ptr<ops::Weight>> owners;
  std::vector<ops::ExpertWeights> weights;
};

ops::Activations input_of(ops::ActivationBuffer& buffer, const ops::Weight& weight,
                          std::int64_t rows) {
  const std::vector<float> values = random_values(rows * kHidden);
  const ops::Activations in = buffer.view(rows, kHidden, weight.input_form());
  backend().quantize({values.data(), rows, kHidden, kHidden}, in);
  return in;
}

void count(benchmark::State& state, std::int64_t rows, std::int64_t intermediate, double bytes) {
  using benchmark::Counter;
  const double operations = 6.0 * static_cast<double>(rows * kUsed * kHidden * intermediate);
  state.counters["GB/s"] = Counter(bytes / 1e9, Counter::kIsIterationInvariantRate);
  state.counters["Gop/s"] = Counter(operations / 1e9, Counter::kIsIterationInvariantRate);
}

void experts(benchmark::State& state, DType type) {
  const std::int64_t intermediate = state.range(0);
  const std::int64_t rows = state.range(1);
  const Layers layers(kExperts, type, intermediate);
  ops::ActivationBuffer buffer;
  const ops::Activations in = input_of(buffer, *layers.weights[0].gate, rows);
  std::vector<float> out(static_cast<std::size_t>(rows * kHidden));
  std::vector<std::int32_t> chosen(static_cast<std::size_t>(rows * kUsed));
  const std::vector<float> weights(chosen.size(), 0.5F);
  std::int32_t next = 0;
  for (auto _ : state) {
    for (std::int32_t& expert : chosen) {
      expert = next;
      next = (next + 3) % kExperts;
    }
    backend().moe({layers.weights, ops::Activation::kSilu, false}, in,
                  {kUsed, chosen.data(), const_cast<float*>(weights.data())},
                  {out.data(), rows, kHidden, kHidden});
    benchmark::DoNotOptimize(out.data());
  }
  const std::int64_t read = std::min<std::int64_t>(rows * kUsed, kExperts);
  count(state, rows, intermediate, layers.bytes() * static_cast<double>(read));
}

void dense(benchmark::State& state, DType type) {
  const std::int64_t intermediate = state.range(0);
  const std::int64_t rows = state.range(1);
  const Layers layers(kExperts / kUsed, type, kUsed * intermediate);
  ops::ActivationBuffer buffer;
  const ops::Activations in = input_of(buffer, *layers.weights[0].gate, rows);
  ops::ActivationBuffer inner_buffer;
  const ops::Activations inner =
      inner_buffer.view(rows, kUsed * intermediate, layers.weights[0].down->input_form());
  std::vector<float> out(static_cast<std::size_t>(rows * kHidden));
  std::size_t next = 0;
  for (auto _ : state) {
    const ops::ExpertWeights& layer = layers.weights[next];
    next = (next + 1) % layers.weights.size();
    backend().gated_linear(in, *layer.gate, nullptr, *layer.up, nullptr, ops::Activation::kSilu,
                           inner);
    const ops::LinearOutput output{
        layer.down, nullptr, {out.data(), rows, kHidden, kHidden}, 1.0F, true};
    backend().linear(inner, {&output, 1});
    benchmark::DoNotOptimize(out.data());
  }
  count(state, rows, intermediate, layers.bytes());
}

const int kRegistered = [] {
  const auto add = [](const std::string& kind, DType type, std::int64_t intermediate, auto run) {
    auto* registered =
        benchmark::RegisterBenchmark((kind + "/" + std::string(name(type))).c_str(),
                                     [type, run](benchmark::State& state) { run(state, type); });
    registered->UseRealTime();
    for (const std::int64_t rows : {1, 4, 32, 512}) registered->Args({intermediate, rows});
  };
  // K types have blocks of 256.
  for (const auto& [type, intermediate] :
       {std::pair(DType::kQ4_K, 1536), std::pair(DType::kQ4_K, 5632), std::pair(DType::kQ8_0, 1408),
        std::pair(DType::kBF16, 1408)}) {
    add("experts", type, intermediate, experts);
    add("dense", type, intermediate, dense);
  }
  return 0;
}();

}  // namespace
