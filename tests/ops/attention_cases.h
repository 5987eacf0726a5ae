// Caches and steps that the tests of attention and of cache writing share.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "ops/ops.h"
#include "ops/paged_cache.h"
#include "ops/reference/cache_access.h"

namespace mistral::test {

struct Heads {
  std::int32_t heads = 4;
  std::int32_t kv_heads = 2;
  std::int32_t head_dim = 16;
  std::int32_t value_dim = 16;
  std::int32_t block_size = 16;
  ops::CacheDType dtype = ops::CacheDType::kF32;
  bool values_in_keys = false;
};

inline PagedCache make_cache(const Heads& heads, const std::vector<std::int32_t>& lengths) {
  return {heads.dtype,     heads.block_size, heads.kv_heads,      heads.head_dim,
          heads.value_dim, lengths,          heads.values_in_keys};
}

// A step over sequences of different kinds: a whole prompt, a later chunk, single tokens at the end
// of short and long contexts (the last beyond a partition of the cache).
struct Span {
  std::int32_t first_position;
  std::int32_t rows;
};
inline const std::vector<Span> kSpans = {{0, 67}, {29, 5}, {0, 1}, {130, 1}, {1090, 1}, {505, 11}};

inline std::int64_t row_count(const std::vector<Span>& spans) {
  std::int64_t rows = 0;
  for (const Span& span : spans) rows += span.rows;
  return rows;
}

inline std::vector<std::int32_t> lengths(const std::vector<Span>& spans) {
  std::vector<std::int32_t> result;
  for (const Span& span : spans) result.push_back(span.first_position + span.rows);
  return result;
}

inline std::vector<ops::AttentionSequence> sequences_of(const std::vector<Span>& spans,
                                                        const PagedCache& cache) {
  std::vector<ops::AttentionSequence> result;
  std::int32_t row = 0;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    result.push_back({row, spans[i].rows, spans[i].first_position, cache.table(i)});
    row += spans[i].rows;
  }
  return result;
}

// Random keys and values for all positions of all sequences; the same for every type and size of
// blocks.
inline void fill(PagedCache& cache, const std::vector<Span>& spans) {
  const ops::LayerCache& layer = cache.layer();
  std::minstd_rand random(21);
  std::normal_distribution<float> normal;
  std::vector<float> key(static_cast<std::size_t>(layer.head_dim));
  std::vector<float> value(static_cast<std::size_t>(layer.value_dim));
  for (std::size_t s = 0; s < spans.size(); ++s) {
    for (std::int32_t p = 0; p < spans[s].first_position + spans[s].rows; ++p) {
      const std::int64_t block = cache.table(s)[p / layer.block_size];
      const std::int64_t slot = p % layer.block_size;
      for (std::int32_t h = 0; h < layer.kv_heads; ++h) {
        for (float& x : key) x = normal(random);
        for (float& x : value) x = normal(random);
        ops::reference::store_key(layer, block, h, slot, key.data());
        ops::reference::store_value(layer, block, h, slot, value.data());
      }
    }
  }
}

}  // namespace mistral::test
