// The kernels of one instruction set: plain functions over raw pointers, called by the backend
// from inside parallel regions. Each set is a translation unit of its own, compiled for its
// instructions, so one binary runs everywhere.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ops/ops.h"

namespace mistral::ops::cpu {

// A unit, two panels of 16 outputs that stand interleaved in memory (cpu_weight.h), times rows
// of one input.
inline constexpr int kUnitPanels = 2;
inline constexpr int kUnitColumns = kUnitPanels * 16;

struct MatmulTask {
  DType dtype = DType::kF32;
  const std::byte* unit = nullptr;
  // So many rows stand in the unit one after another, as in a file; 0: it is packed.
  std::int64_t stored_rows = 0;
  std::int64_t in = 0;
  const Activations* input = nullptr;
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
  float* out = nullptr;          // [rows][kUnitColumns], overwritten
  std::byte* scratch = nullptr;  // kMatmulScratch bytes, aligned to 64
};
inline constexpr std::size_t kMatmulScratch = 96U << 10U;

// The first position that a query sees (AttentionParams: window, chunk).
[[nodiscard]] constexpr std::int32_t oldest_visible(std::int32_t position, std::int32_t window,
                                                    std::int32_t chunk) {
  const std::int32_t in_window = window > 0 ? position - window + 1 : 0;
  const std::int32_t in_chunk = chunk > 0 ? position / chunk * chunk : 0;
  return in_window > in_chunk ? in_window : in_chunk;
}

// A tile of queries of one key-value head against one partition of the sequence's cache.
struct AttentionTask {
  const LayerCache* cache = nullptr;
  const std::int32_t* blocks = nullptr;
  std::int32_t kv_head = 0;
  std::int32_t group = 1;           // query heads of a row
  std::int32_t first_position = 0;  // of row 0 of the tile
  std::int32_t rows = 0;
  std::int32_t range_begin = 0;  // of the partition of the cache to look at
  std::int32_t window = 0;
  std::int32_t chunk = 0;
  float scale = 1.0F;
  float softcap = 0.0F;
  const float* q = nullptr;   // row 0, first head of the tile
  std::int64_t q_stride = 0;  // floats to the next row; heads are head_dim apart
  // Result per query (rows * group of them, group fastest): weighted sum of values not yet divided,
  // largest score and sum of weights. A query that sees nothing of the range has sum 0.
  float* values = nullptr;   // [queries][attention_value_stride()], aligned to 64 bytes
  float* maxima = nullptr;   // [queries]
  float* sums = nullptr;     // [queries]
  float* scratch = nullptr;  // attention_scratch() floats, aligned to 64 bytes
};
inline constexpr int kAttentionQueries = 128;  // rows * group of a task at most
// Positions of a partition. Fixed, so that the order of every sum depends on the position alone.
inline constexpr std::int32_t kAttentionPartition = 256;
// Keys of a panel and dims of a slice of values, at most: two vectors.
inline constexpr std::int64_t kAttentionPanel = 32;
// Tokens of a slice of values: with its dims they fit the first-level cache.
inline constexpr int kAttentionSlice = 128;

// Floats from one query's sum of values to the next.
[[nodiscard]] constexpr std::int64_t attention_value_stride(std::int64_t value_dim) {
  return (value_dim + kAttentionPanel - 1) / kAttentionPanel * kAttentionPanel;
}
// Scores, queries, a panel of keys, a slice of values and the scales of 8-bit caches.
[[nodiscard]] constexpr std::int64_t attention_scratch(std::int64_t queries,
                                                       std::int64_t head_dim) {
  constexpr std::int64_t kLargestTile = 8;
  return queries * kAttentionPartition + (queries + kLargestTile) * head_dim +
         kAttentionPanel * head_dim + kAttentionPanel * kAttentionSlice + 2 * kAttentionPartition +
         64;  // each part starts at a cache line
}

struct KernelTable {
  std::string_view name;
  void (*matmul)(const MatmulTask& task);
  // BF16 weights with bf16 inputs, and a row of those; null without such instructions: then
  // BF16 weights meet f32 inputs in `matmul`.
  void (*bf16_matmul)(const MatmulTask& task);
  void (*to_bf16)(const float* in, std::int64_t n, std::uint32_t* out);
  // One row; any of the destinations may be null.
  void (*norm)(const NormParams& params, const float* in, std::int64_t n, float* out);
  // in + what out holds, when accumulating.
  void (*add)(const float* in, std::int64_t n, float* inout);
  void (*scale)(float factor, std::int64_t n, float* inout);
  void (*quantize)(const float* in, std::int64_t n, std::int64_t block, std::int8_t* codes,
                   float* scales, std::int16_t* sums16, std::int16_t* sums32);
  void (*activate)(Activation activation, const float* in, std::int64_t n, float* out);
  // out = activation(gate) * up, or what the activation says about `up`
  void (*gate)(Activation activation, const float* gate, const float* up, std::int64_t n,
               float* out);
  void (*softcap)(float cap, std::int64_t n, float* inout);
  void (*rope)(const RopeTable& table, std::int64_t row, float* head);
  void (*attend)(const AttentionTask& task);
  // Joins the partial result (max, sum, values) of a later range into that of an earlier one.
  void (*merge)(std::int64_t value_dim, float later_max, float later_sum, const float* later_values,
                float* max, float* sum, float* values);
  // Store the key or value of one token and head in the cache's type.
  void (*write_key)(const LayerCache& cache, std::int64_t block, std::int64_t head,
                    std::int64_t slot, const float* key);
  void (*write_value)(const LayerCache& cache, std::int64_t block, std::int64_t head,
                      std::int64_t slot, const float* value);
};

// Null when this build or this processor does not have the instructions.
[[nodiscard]] const KernelTable* portable_kernels();
[[nodiscard]] const KernelTable* avx2_kernels();
[[nodiscard]] const KernelTable* avxvnni_kernels();
[[nodiscard]] const KernelTable* avxvnni_evex_kernels();
[[nodiscard]] const KernelTable* avx512_kernels();
[[nodiscard]] const KernelTable* avx512bf16_kernels();

}  // namespace mistral::ops::cpu
