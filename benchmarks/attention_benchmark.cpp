// Attention over caches of every type: bandwidth for one row deep in a context (decode),
// multiply-adds for many rows (prefill). Heads as in Qwen 2.5 1.5B: 12, of which 6 share one of 2
// key-value heads of 128 dims; and latent attention as in DeepSeek V2 Lite (16 heads) and V3 (128).
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "benchmarks/benchmark_backend.h"
#include "core/page_buffer.h"

namespace {

using namespace mistral;
using benchmarks::backend;
using benchmarks::pool;
using benchmarks::random_values;

struct Heads {
  const char* name;
  std::int32_t heads;
  std::int32_t kv_heads;
  std::int32_t head_dim;
  std::int32_t value_dim;
  bool values_in_keys;
};
constexpr Heads kHeads[] = {{"", 12, 2, 128, 128, false},
                            {"latent16/", 16, 1, 576, 512, true},
                            {"latent128/", 128, 1, 576, 512, true}};
constexpr std::int32_t kBlock = 32;
// Layers that a step goes through, so that a deep cache comes from memory as in a model.
constexpr std::int64_t kLayers = 28;

// `rows` queries after `depth` tokens, in one layer after the other.
void attention(benchmark::State& state, const Heads& heads, ops::CacheDType dtype,
               std::int32_t rows, std::int32_t depth) {
  const std::int32_t tokens = depth + rows;
  const std::int32_t blocks = (tokens + kBlock - 1) / kBlock;
  ops::LayerCache layer;
  layer.dtype = dtype;
  layer.block_size = kBlock;
  layer.kv_heads = heads.kv_heads;
  layer.head_dim = heads.head_dim;
  layer.value_dim = heads.value_dim;
  layer.values_in_keys = heads.values_in_keys;
  layer.block_stride = layer.block_bytes();
  const std::int64_t layer_bytes = blocks * layer.block_bytes();
  const PageBuffer memory(static_cast<std::size_t>(kLayers * layer_bytes));
  std::vector<std::int32_t> table(static_cast<std::size_t>(blocks));
  for (std::int32_t i = 0; i < blocks; ++i) table[static_cast<std::size_t>(i)] = i;
  // The same keys and values for every position: they do not matter for the time.
  const std::int64_t k_cols = std::int64_t{heads.kv_heads} * heads.head_dim;
  const std::int64_t q_cols = std::int64_t{heads.heads} * heads.head_dim;
  std::vector<float> k = random_values(k_cols);
  std::vector<float> q = random_values(rows * q_cols);
  ops::CacheWriteParams write;
  write.heads = 0;
  for (std::int64_t l = 0; l < kLayers; ++l) {
    layer.base = memory.data() + l * layer_bytes;
    for (std::int32_t p = 0; p < tokens; ++p) {
      const ops::AttentionSequence one{0, 1, p, table.data()};
      backend().write_cache(write, layer, {&one, 1}, {}, {k.data(), 1, k_cols, 0},
                            {k.data(), 1, k_cols, 0});
    }
  }
  ops::AttentionParams params;
  params.heads = heads.heads;
  params.scale = 0.088F;
  const ops::AttentionSequence sequence{0, rows, depth, table.data()};
  ops::Activations out;
  out.rows = rows;
  out.cols = std::int64_t{heads.heads} * heads.value_dim;
  std::vector<float> values(static_cast<std::size_t>(rows * out.cols));
  out.values = values.data();
  std::int64_t next = 0;
  for (auto _ : state) {
    layer.base = memory.data() + next * layer_bytes;
    next = (next + 1) % kLayers;
    backend().attention(params, layer, {&sequence, 1}, {q.data(), rows, q_cols, q_cols}, out);
    benchmark::DoNotOptimize(values.data());
  }
  state.SetBytesProcessed(state.iterations() * layer_bytes);
  const double pairs = rows * (depth + (rows + 1) / 2.0);
  const double operations = 2.0 * heads.heads * (heads.head_dim + heads.value_dim);
  state.counters["ops"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * pairs * operations, benchmark::Counter::kIsRate);
}

const int kRegistered = [] {
  struct Case {
    const char* name;
    std::int32_t rows;
    std::int32_t depth;
  };
  const Case cases[] = {{"decode/512", 1, 512},
                        {"decode/4096", 1, 4096},
                        {"decode/16384", 1, 16384},
                        {"prefill/0", 512, 0},
                        {"prefill/4096", 512, 4096}};
  for (const Heads& heads : kHeads) {
    for (const Case& c : cases) {
      for (const ops::CacheDType dtype : ops::kCacheDTypes) {
        benchmark::RegisterBenchmark(
            (heads.name + std::string(c.name) + "/" + std::string(name(dtype))).c_str(),
            [dtype, c, &heads](benchmark::State& state) {
              attention(state, heads, dtype, c.rows, c.depth);
            })
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
  return 0;
}();

}  // namespace
