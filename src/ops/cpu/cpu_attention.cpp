// The attention ops of the CPU backend: filling the cache, and splitting attention into tiles and
// partitions.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/cpu/cpu_backend.h"

namespace mistral::ops::cpu {
namespace {

// The sequence that a row of the step belongs to.
const AttentionSequence& sequence_of(std::span<const AttentionSequence> sequences,
                                     std::int64_t row) {
  const auto after =
      std::upper_bound(sequences.begin(), sequences.end(), row,
                       [](std::int64_t r, const AttentionSequence& s) { return r < s.first_row; });
  return *(after - 1);
}

std::int64_t rows_of(std::span<const AttentionSequence> sequences) {
  return sequences.empty() ? 0 : sequences.back().first_row + sequences.back().row_count;
}

constexpr std::int64_t kLine = 16;  // floats of a cache line

std::int64_t aligned(std::int64_t floats) {
  return (floats + kLine - 1) / kLine * kLine;
}
float* align(float* p) {
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  return p + (64 - address % 64) % 64 / sizeof(float);
}

// Work below this (multiply-adds) takes no longer than it takes to share it out.
constexpr std::int64_t kShareable = std::int64_t{1} << 17;

// Pieces of one item where the work is worth sharing, else all of it in one.
std::int64_t grain_of(std::int64_t count, std::int64_t work) {
  return work < kShareable ? count : 1;
}

// Multiply-adds of a step, at most.
std::int64_t work_of(const AttentionParams& params, const LayerCache& cache,
                     std::span<const AttentionSequence> sequences) {
  std::int64_t pairs = 0;
  for (const AttentionSequence& s : sequences) {
    std::int64_t keys = std::int64_t{s.first_position} + s.row_count;
    if (params.window > 0) keys = std::min<std::int64_t>(keys, params.window);
    if (params.chunk > 0) keys = std::min<std::int64_t>(keys, params.chunk);
    pairs += keys * s.row_count;
  }
  return pairs * params.heads * (std::int64_t{cache.head_dim} + cache.value_dim);
}

}  // namespace

void CpuBackend::write_cache(const CacheWriteParams& params, const LayerCache& cache,
                             std::span<const AttentionSequence> sequences, Rows q, Rows k,
                             ConstRows v) {
  const std::int64_t head_dim = cache.head_dim;
  over_rows(rows_of(sequences), [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t row = begin; row < end; ++row) {
      const AttentionSequence& sequence = sequence_of(sequences, row);
      const std::int64_t position = sequence.first_position + (row - sequence.first_row);
      const auto prepare = [&](std::optional<NormParams> norm, std::int64_t h, float* head) {
        if (norm && norm->weight != nullptr) norm->weight += h * params.norm_weight_step;
        if (norm && norm->bias != nullptr) norm->bias += h * params.norm_weight_step;
        if (norm && !params.norm_after_rope) kernels_.norm(*norm, head, head_dim, head);
        if (params.rope != nullptr) kernels_.rope(*params.rope, row, head);
        if (norm && params.norm_after_rope) kernels_.norm(*norm, head, head_dim, head);
      };
      for (std::int64_t h = 0; h < params.heads; ++h) {
        prepare(params.query_norm, h, q.row(row) + h * head_dim);
      }
      if (params.query_scales != nullptr) {
        kernels_.scale(params.query_scales[row], params.heads * head_dim, q.row(row));
      }
      const std::int64_t block = sequence.blocks[position / cache.block_size];
      const std::int64_t slot = position % cache.block_size;
      for (std::int64_t h = 0; h < cache.kv_heads; ++h) {
        float* key = k.row(row) + h * head_dim;
        prepare(params.key_norm, h, key);
        kernels_.write_key(cache, block, h, slot, key);
        if (cache.values_in_keys) continue;
        kernels_.write_value(cache, block, h, slot, v.row(row) + h * cache.value_dim);
      }
    }
  });
}

void CpuBackend::plan_tiles(const AttentionParams& params, const LayerCache& cache,
                            std::span<const AttentionSequence> sequences) {
  const std::int32_t group = params.heads / cache.kv_heads;
  // Large tiles convert keys and values less often; small ones occupy more workers. Results do not
  // depend on it.
  const std::int64_t queries = rows_of(sequences) * group;
  std::int64_t tile = kAttentionQueries;
  while (tile > kAttentionQueries / 4 &&
         queries / tile * cache.kv_heads < std::int64_t{8} * pool_.size()) {
    tile /= 2;
  }
  const auto rows_per_tile = static_cast<std::int32_t>(std::max<std::int64_t>(1, tile / group));
  // A group larger than a tile is cut into equal parts.
  const auto parts = static_cast<std::int32_t>((group + tile - 1) / tile);
  const std::int32_t heads_per_tile = (group + parts - 1) / parts;
  tiles_.clear();
  std::int64_t results = 0;
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    const AttentionSequence& sequence = sequences[s];
    for (std::int32_t row = 0; row < sequence.row_count; row += rows_per_tile) {
      const std::int32_t rows = std::min(rows_per_tile, sequence.row_count - row);
      const std::int32_t first = sequence.first_position + row;
      const std::int32_t oldest = oldest_visible(first, params.window, params.chunk);
      const std::int32_t first_partition = oldest / kAttentionPartition;
      const std::int32_t partitions =
          (first + rows - 1) / kAttentionPartition - first_partition + 1;
      for (std::int32_t head = 0; head < params.heads;) {
        const std::int32_t kv_head = head / group;
        const std::int32_t heads = std::min(heads_per_tile, (kv_head + 1) * group - head);
        tiles_.push_back({static_cast<std::int32_t>(s), kv_head, head, heads, row, rows,
                          first_partition, partitions, results});
        results += partitions;
        head += heads;
      }
    }
  }
}

AttentionTask CpuBackend::make_task(const AttentionParams& params, const LayerCache& cache,
                                    const AttentionSequence& sequence, const AttentionTile& tile,
                                    std::int32_t partition, const ConstRows& q) const {
  AttentionTask task;
  task.cache = &cache;
  task.blocks = sequence.blocks;
  task.kv_head = tile.kv_head;
  task.group = tile.heads;
  task.first_position = sequence.first_position + tile.first_row;
  task.rows = tile.rows;
  task.range_begin = partition * kAttentionPartition;
  task.window = params.window;
  task.chunk = params.chunk;
  task.scale = params.scale;
  task.softcap = params.softcap;
  task.q = q.row(sequence.first_row + tile.first_row) +
           static_cast<std::int64_t>(tile.first_head) * cache.head_dim;
  task.q_stride = q.stride;
  return task;
}

void CpuBackend::attention(const AttentionParams& params, const LayerCache& cache,
                           std::span<const AttentionSequence> sequences, ConstRows q,
                           Activations out) {
  plan_tiles(params, cache, sequences);
  if (tiles_.empty()) return;
  std::int64_t queries = 0;
  for (const AttentionTile& tile : tiles_) queries = std::max(queries, tile.queries());
  const std::int64_t stride = attention_value_stride(cache.value_dim);
  // One partial result: values, maxima and sums of a tile.
  const std::int64_t result_size = aligned(queries * (stride + 2));
  const std::int64_t result_count = tiles_.back().first_result + tiles_.back().partitions;
  const auto place = [&](AttentionTask& task, float* result) {
    task.values = result;
    task.maxima = result + queries * stride;
    task.sums = task.maxima + queries;
  };
  // Joins results in order of position and stores the quotient.
  const auto join = [&](const AttentionTask& into, const float* later) {
    for (std::int64_t i = 0; i < std::int64_t{into.rows} * into.group; ++i) {
      kernels_.merge(cache.value_dim, later[queries * stride + i],
                     later[queries * (stride + 1) + i], later + i * stride, into.maxima + i,
                     into.sums + i, into.values + i * stride);
    }
  };
  const auto store = [&](const AttentionTile& tile, const AttentionTask& task) {
    const std::int64_t row =
        sequences[static_cast<std::size_t>(tile.sequence)].first_row + tile.first_row;
    for (std::int64_t i = 0; i < tile.queries(); ++i) {
      float* values = task.values + i * stride;
      const std::int64_t head = tile.first_head + i % tile.heads;
      float sum = task.sums[i];
      if (params.sinks != nullptr) sum += std::exp(params.sinks[head] - task.maxima[i]);
      kernels_.scale(1.0F / sum, cache.value_dim, values);
      std::memcpy(out.as_rows().row(row + i / tile.heads) + head * cache.value_dim, values,
                  sizeof(float) * static_cast<std::size_t>(cache.value_dim));
    }
  };
  const std::int64_t worker_floats =
      2 * result_size + attention_scratch(queries, cache.head_dim) + kLine;
  for (Worker& worker : workers_) {
    if (worker.attention.size() < static_cast<std::size_t>(worker_floats)) {
      worker.attention.resize(static_cast<std::size_t>(worker_floats));
    }
  }
  const auto buffer_of = [&](int index) {
    return align(workers_[static_cast<std::size_t>(index)].attention.data());
  };

  const auto tile_count = static_cast<std::int64_t>(tiles_.size());
  if (tile_count >= 4 * pool_.size() || result_count == tile_count) {
    // Enough tiles for all workers: a worker takes a tile's partitions one after the other.
    const std::int64_t grain = grain_of(tile_count, work_of(params, cache, sequences));
    pool_.run(tile_count, grain, [&](std::int64_t begin, std::int64_t end, int index) {
      float* buffer = buffer_of(index);
      for (std::int64_t i = begin; i < end; ++i) {
        const AttentionTile& tile = tiles_[static_cast<std::size_t>(i)];
        AttentionTask first;
        for (std::int32_t p = 0; p < tile.partitions; ++p) {
          AttentionTask task =
              make_task(params, cache, sequences[static_cast<std::size_t>(tile.sequence)], tile,
                        tile.first_partition + p, q);
          place(task, buffer + (p == 0 ? 0 : result_size));
          task.scratch = buffer + 2 * result_size;
          kernels_.attend(task);
          if (p == 0) {
            first = task;
          } else {
            join(first, task.values);
          }
        }
        store(tile, first);
      }
    });
  } else {
    // Long contexts and few sequences: the partitions themselves are shared out.
    const auto partial_floats = static_cast<std::size_t>(result_count * result_size + kLine);
    if (partials_.size() < partial_floats) partials_.resize(partial_floats);
    float* partials = align(partials_.data());
    const auto task_of = [&](const AttentionTile& tile, std::int32_t p) {
      AttentionTask task =
          make_task(params, cache, sequences[static_cast<std::size_t>(tile.sequence)], tile,
                    tile.first_partition + p, q);
      place(task, partials + (tile.first_result + p) * result_size);
      return task;
    };
    pool_.run(result_count, 1, [&](std::int64_t begin, std::int64_t end, int index) {
      for (std::int64_t i = begin; i < end; ++i) {
        const AttentionTile& tile =
            *(std::upper_bound(tiles_.begin(), tiles_.end(), i,
                               [](std::int64_t value, const AttentionTile& t) {
                                 return value < t.first_result;
                               }) -
              1);
        AttentionTask task = task_of(tile, static_cast<std::int32_t>(i - tile.first_result));
        task.scratch = buffer_of(index) + 2 * result_size;
        kernels_.attend(task);
      }
    });
    const std::int64_t grain = grain_of(tile_count, result_count * queries * cache.value_dim);
    pool_.run(tile_count, grain, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t i = begin; i < end; ++i) {
        const AttentionTile& tile = tiles_[static_cast<std::size_t>(i)];
        const AttentionTask first = task_of(tile, 0);
        for (std::int32_t p = 1; p < tile.partitions; ++p) join(first, task_of(tile, p).values);
        store(tile, first);
      }
    });
  }
  quantize_rows(out);
}

}  // namespace mistral::ops::cpu
