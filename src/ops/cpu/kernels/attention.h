// Flash-style attention of a tile of queries over one partition of the paged cache: one pass over
// the blocks with a running maximum per query. All query heads that share a key-value head are in
// the tile, so keys and values are read once for them.
//
// K lies transposed inside a block (tokens are neighbours), so scores come out as vectors over
// tokens without horizontal sums; V lies by token, so the weighted sum is a vector over dims.
// For a query the order of all sums is by position; blocks it cannot see are skipped for it.
#pragma once

#include <cmath>
#include <limits>

#include "ops/cpu/kernel_table.h"
#include "ops/cpu/kernels/math.h"

namespace mistral::ops::cpu {
namespace {

inline constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// Positions that query `position` sees: [first, position].
inline std::int32_t first_visible(std::int32_t position, std::int32_t window) {
  return window > 0 && position - window + 1 > 0 ? position - window + 1 : 0;
}

// Raw scores of N queries against V vectors of tokens.
template <int N, int V>
inline void score_tile(const float* const* queries, const float* keys, int block_size, int head_dim,
                       float* scores) {
  Simd::F acc[N][V];
  for (int n = 0; n < N; ++n) {
    for (int v = 0; v < V; ++v) acc[n][v] = Simd::zero();
  }
  for (int d = 0; d < head_dim; ++d) {
    Simd::F k[V];
    for (int v = 0; v < V; ++v) k[v] = Simd::load(keys + d * block_size + v * Simd::kLanes);
    for (int n = 0; n < N; ++n) {
      const Simd::F q = Simd::set1(queries[n][d]);
      for (int v = 0; v < V; ++v) acc[n][v] = Simd::fma(q, k[v], acc[n][v]);
    }
  }
  for (int n = 0; n < N; ++n) {
    for (int v = 0; v < V; ++v) Simd::store(scores + n * block_size + v * Simd::kLanes, acc[n][v]);
  }
}

// With 16 lanes a block of 8 tokens is a half vector.
template <int N>
inline void score_short(const float* const* queries, const float* keys, int block_size,
                        int head_dim, float* scores) {
  Simd::F acc[N];
  for (int n = 0; n < N; ++n) acc[n] = Simd::zero();
  for (int d = 0; d < head_dim; ++d) {
    const Simd::F k = Simd::load_partial(keys + d * block_size, block_size);
    for (int n = 0; n < N; ++n) acc[n] = Simd::fma(Simd::set1(queries[n][d]), k, acc[n]);
  }
  for (int n = 0; n < N; ++n) Simd::store_partial(scores + n * block_size, acc[n], block_size);
}

template <int N>
inline void score_block(const float* const* queries, const float* keys, int block_size,
                        int head_dim, float* scores) {
  if (block_size < Simd::kLanes) {
    return score_short<N>(queries, keys, block_size, head_dim, scores);
  }
  const int step = block_size >= 2 * Simd::kLanes ? 2 * Simd::kLanes : Simd::kLanes;
  for (int t = 0; t < block_size; t += step) {
    if (step == Simd::kLanes) {
      score_tile<N, 1>(queries, keys + t, block_size, head_dim, scores + t);
    } else {
      score_tile<N, 2>(queries, keys + t, block_size, head_dim, scores + t);
    }
  }
}

// values[n] = values[n] * rescale[n] + sum over tokens of weight * V.
template <int N>
inline void accumulate_block(const float* const* weights, const float* rescale,
                             const float* block_values, int first, int last, int value_dim,
                             float* const* values) {
  for_vectors(value_dim, [&](std::int64_t d, int lanes) {
    Simd::F acc[N];
    for (int n = 0; n < N; ++n) {
      acc[n] = Simd::mul(load_n(values[n] + d, lanes), Simd::set1(rescale[n]));
    }
    for (int t = first; t < last; ++t) {
      const Simd::F v = load_n(block_values + t * value_dim + d, lanes);
      for (int n = 0; n < N; ++n) acc[n] = Simd::fma(Simd::set1(weights[n][t]), v, acc[n]);
    }
    for (int n = 0; n < N; ++n) store_n(values[n] + d, acc[n], lanes);
  });
}

// Turns a query's scores of a block into weights in place; returns the factor for what was summed
// before. [first, last) are the tokens of the block that the query sees.
inline float soften(const AttentionTask& t, int first, int last, float* scores, float& max,
                    float& sum) {
  const int size = t.cache->block_size;
  const Simd::F scale = Simd::set1(t.scale);
  const Simd::F hidden = Simd::set1(kMinusInfinity);
  Simd::F largest = hidden;
  for (int i = 0; i < size; i += Simd::kLanes) {
    const int lanes = size - i < Simd::kLanes ? size - i : Simd::kLanes;
    Simd::F x = Simd::mul(load_n(scores + i, lanes), scale);
    if (t.softcap > 0.0F) {
      x = Simd::mul(Simd::set1(t.softcap), tanh(Simd::mul(x, Simd::set1(1.0F / t.softcap))));
    }
    x = Simd::select_range(x, hidden, first - i, last - i < lanes ? last - i : lanes);
    largest = Simd::max(largest, x);
    store_n(scores + i, x, lanes);
  }
  const float block_max = Simd::reduce_max(largest);
  const float new_max = max > block_max ? max : block_max;
  const Simd::F shift = Simd::set1(new_max);
  Simd::F total = Simd::zero();
  for (int i = 0; i < size; i += Simd::kLanes) {
    const int lanes = size - i < Simd::kLanes ? size - i : Simd::kLanes;
    Simd::F w = exp(Simd::sub(load_n(scores + i, lanes), shift));
    w = Simd::select_range(w, Simd::zero(), first - i, last - i < lanes ? last - i : lanes);
    total = Simd::add(total, w);
    store_n(scores + i, w, lanes);
  }
  float lane[Simd::kLanes];
  Simd::store(lane, exp(Simd::set1(max - new_max)));
  const float rescale = max == kMinusInfinity ? 0.0F : lane[0];
  sum = sum * rescale + Simd::reduce_add(total);
  max = new_max;
  return rescale;
}

template <int N>
inline void attend_queries(const AttentionTask& t, int first_query, const std::int32_t* positions,
                           std::int32_t block, std::int64_t block_id) {
  const LayerCache& cache = *t.cache;
  const int size = cache.block_size;
  const float* queries[N];
  float* weights[N];
  float* values[N];
  float rescale[N];
  for (int n = 0; n < N; ++n) {
    const int query = first_query + n;
    queries[n] = t.q + (query / t.group) * t.q_stride + (query % t.group) * cache.head_dim;
    weights[n] = t.scratch + n * size;
    values[n] = t.values + static_cast<std::int64_t>(query) * cache.value_dim;
  }
  score_block<N>(queries, cache.keys(block_id, t.kv_head), size, cache.head_dim, t.scratch);
  int first_token = size;
  int last_token = 0;
  for (int n = 0; n < N; ++n) {
    const std::int32_t position = positions[n];
    int first = first_visible(position, t.window) - block * size;
    int last = position + 1 - block * size;
    if (first < t.range_begin - block * size) first = t.range_begin - block * size;
    if (last > t.range_end - block * size) last = t.range_end - block * size;
    if (first < 0) first = 0;
    if (last > size) last = size;
    if (first_token > first) first_token = first;
    if (last_token < last) last_token = last;
    rescale[n] =
        soften(t, first, last, weights[n], t.maxima[first_query + n], t.sums[first_query + n]);
  }
  accumulate_block<N>(weights, rescale, cache.values(block_id, t.kv_head), first_token, last_token,
                      cache.value_dim, values);
}

void attend(const AttentionTask& t) {
  const int size = t.cache->block_size;
  const int queries = t.rows * t.group;
  for (int q = 0; q < queries; ++q) {
    t.maxima[q] = kMinusInfinity;
    t.sums[q] = 0.0F;
  }
  std::memset(t.values, 0,
              sizeof(float) * static_cast<std::size_t>(queries) *
                  static_cast<std::size_t>(t.cache->value_dim));
  const auto sees = [&](int query, std::int32_t begin, std::int32_t end) {
    const std::int32_t position = t.first_position + query / t.group;
    return first_visible(position, t.window) < end && position >= begin;
  };
  const std::int32_t last_position = t.first_position + t.rows - 1;
  std::int32_t begin = first_visible(t.first_position, t.window);
  if (begin < t.range_begin) begin = t.range_begin;
  const std::int32_t end = last_position + 1 < t.range_end ? last_position + 1 : t.range_end;
  for (std::int32_t block = begin / size; block * size < end; ++block) {
    const std::int64_t id = t.blocks[block];
    const std::int32_t block_begin = block * size > t.range_begin ? block * size : t.range_begin;
    const std::int32_t block_end =
        (block + 1) * size < t.range_end ? (block + 1) * size : t.range_end;
    int query = 0;
    while (query < queries) {
      if (!sees(query, block_begin, block_end)) {
        ++query;
        continue;
      }
      // As many neighbours as see the block, up to 4.
      int count = 1;
      while (count < 4 && query + count < queries && sees(query + count, block_begin, block_end)) {
        ++count;
      }
      std::int32_t positions[4];
      for (int n = 0; n < count; ++n) positions[n] = t.first_position + (query + n) / t.group;
      switch (count) {
        case 4:
          attend_queries<4>(t, query, positions, block, id);
          break;
        case 3:
          attend_queries<3>(t, query, positions, block, id);
          break;
        case 2:
          attend_queries<2>(t, query, positions, block, id);
          break;
        default:
          attend_queries<1>(t, query, positions, block, id);
          break;
      }
      query += count;
    }
  }
}

void merge(std::int64_t value_dim, float later_max, float later_sum, const float* later_values,
           float* max, float* sum, float* values) {
  if (later_sum == 0.0F) return;
  const float new_max = *max > later_max ? *max : later_max;
  float lane[Simd::kLanes];
  Simd::store(lane, exp(Simd::set1(*max - new_max)));
  const float keep = *sum == 0.0F ? 0.0F : lane[0];
  Simd::store(lane, exp(Simd::set1(later_max - new_max)));
  const float take = lane[0];
  const Simd::F a = Simd::set1(keep);
  const Simd::F b = Simd::set1(take);
  for_vectors(value_dim, [&](std::int64_t d, int lanes) {
    const Simd::F later = Simd::mul(load_n(later_values + d, lanes), b);
    store_n(values + d, Simd::fma(load_n(values + d, lanes), a, later), lanes);
  });
  *sum = *sum * keep + later_sum * take;
  *max = new_max;
}

}  // namespace
}  // namespace mistral::ops::cpu
