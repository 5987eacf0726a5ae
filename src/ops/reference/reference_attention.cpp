// The attention ops of the reference: one query head at a time, all scores of a query at once.
#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/reference/cache_access.h"
#include "ops/reference/functions.h"
#include "ops/reference/reference_backend.h"

namespace mistral::ops::reference {

void ReferenceBackend::write_cache(const CacheWriteParams& params, const LayerCache& cache,
                                   std::span<const AttentionSequence> sequences, Rows q, Rows k,
                                   ConstRows v) {
  std::vector<float> key(static_cast<std::size_t>(cache.head_dim));
  for (const AttentionSequence& sequence : sequences) {
    for (std::int32_t i = 0; i < sequence.row_count; ++i) {
      const std::int64_t row = sequence.first_row + i;
      const std::int64_t position = sequence.first_position + i;
      const auto prepare = [&](std::optional<NormParams> norm, std::int64_t h, float* head) {
        if (norm && norm->weight != nullptr) norm->weight += h * params.norm_weight_step;
        if (norm && norm->bias != nullptr) norm->bias += h * params.norm_weight_step;
        if (norm && !params.norm_after_rope) reference::norm(*norm, head, cache.head_dim, head);
        if (params.rope != nullptr) rotate(*params.rope, row, head);
        if (norm && params.norm_after_rope) reference::norm(*norm, head, cache.head_dim, head);
      };
      for (std::int64_t h = 0; h < params.heads; ++h) {
        float* head = q.row(row) + h * cache.head_dim;
        prepare(params.query_norm, h, head);
        if (params.query_scales == nullptr) continue;
        for (std::int64_t d = 0; d < cache.head_dim; ++d) head[d] *= params.query_scales[row];
      }
      const std::int64_t block = sequence.blocks[position / cache.block_size];
      const std::int64_t slot = position % cache.block_size;
      for (std::int64_t h = 0; h < cache.kv_heads; ++h) {
        std::copy_n(k.row(row) + h * cache.head_dim, cache.head_dim, key.data());
        prepare(params.key_norm, h, key.data());
        store_key(cache, block, h, slot, key.data());
        if (cache.values_in_keys) continue;
        store_value(cache, block, h, slot, v.row(row) + h * cache.value_dim);
      }
    }
  }
}

void ReferenceBackend::attention(const AttentionParams& params, const LayerCache& cache,
                                 std::span<const AttentionSequence> sequences, ConstRows q,
                                 Activations out) {
  const std::int64_t group = params.heads / cache.kv_heads;
  std::vector<double> scores;
  std::vector<double> sum(static_cast<std::size_t>(cache.value_dim));
  std::vector<float> values(static_cast<std::size_t>(out.cols));
  for (const AttentionSequence& sequence : sequences) {
    for (std::int32_t i = 0; i < sequence.row_count; ++i) {
      const std::int64_t row = sequence.first_row + i;
      const std::int64_t position = sequence.first_position + i;
      std::int64_t oldest = 0;
      if (params.window > 0) oldest = std::max<std::int64_t>(0, position - params.window + 1);
      if (params.chunk > 0) oldest = std::max(oldest, position / params.chunk * params.chunk);
      for (std::int64_t h = 0; h < params.heads; ++h) {
        const float* query = q.row(row) + h * cache.head_dim;
        scores.clear();
        for (std::int64_t p = oldest; p <= position; ++p) {
          const std::int64_t block = sequence.blocks[p / cache.block_size];
          const std::int64_t slot = p % cache.block_size;
          double score = 0.0;
          for (std::int64_t d = 0; d < cache.head_dim; ++d) {
            score += static_cast<double>(query[d]) * load_key(cache, block, h / group, slot, d);
          }
          score *= params.scale;
          if (params.softcap > 0.0F) score = params.softcap * std::tanh(score / params.softcap);
          scores.push_back(score);
        }
        if (params.sinks != nullptr) scores.push_back(params.sinks[h]);
        softmax(scores);
        std::fill(sum.begin(), sum.end(), 0.0);
        for (std::int64_t p = oldest; p <= position; ++p) {
          const std::int64_t block = sequence.blocks[p / cache.block_size];
          const std::int64_t slot = p % cache.block_size;
          for (std::int64_t d = 0; d < cache.value_dim; ++d) {
            sum[static_cast<std::size_t>(d)] += scores[static_cast<std::size_t>(p - oldest)] *
                                                load_value(cache, block, h / group, slot, d);
          }
        }
        std::transform(sum.begin(), sum.end(), values.begin() + h * cache.value_dim,
                       [](double x) { return static_cast<float>(x); });
      }
      store(out, row, values.data());
    }
  }
}

}  // namespace mistral::ops::reference
