// Attention of a tile of queries over one partition of the paged cache. All query heads that share
// a key-value head are in the tile, so its keys and values are read from memory once.
//
// Three steps: scores of all queries against the partition's keys, panel by panel; softmax of each
// query's scores; weighted sums of values, a slice of dims and tokens at a time. A step works on up
// to kQueryTile queries times two vectors, all accumulators in registers: bound by multiply-adds
// for many queries, by bandwidth for one or two.
//
// Keys lie transposed (tokens are neighbours), so scores come out as vectors over tokens without
// horizontal sums. When a few passes over the queries do, elements are converted to f32 as they are
// loaded; else each panel and slice is converted once into scratch memory that stays in the caches.
// Conversions are exact, and the order of a query's sums is by dim and by position, so neither that
// choice nor the other queries of the tile change a bit of its result.
#pragma once

#include <cmath>
#include <limits>

#include "ops/cpu/kernel_table.h"
#include "ops/cpu/kernels/cache.h"
#include "ops/cpu/kernels/math.h"

namespace mistral::ops::cpu {
namespace {

inline constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
inline constexpr int kLanes = Simd::kLanes;
inline constexpr int kPanel = 2 * kLanes;
inline constexpr int kTile = Simd::kQueryTile;
// Up to so many tiles of queries read the cache as it is. Converting it once for all of them pays
// late: what is converted is written and read again, and memory waits meanwhile.
inline constexpr int kDirectTiles = 4;
static_assert(kPanel <= kAttentionPanel && kAttentionPartition % kAttentionPanel == 0);

// Calls f with `count`, 1 to kTile, as a constant.
template <int N = kTile, typename Function>
inline void with_count(int count, Function f) {
  if constexpr (N > 1) {
    if (count < N) return with_count<N - 1>(count, f);
  }
  f.template operator()<N>();
}

// What to fetch into the cache meanwhile: `step` bytes at a time, in the order in which they lie in
// memory, whatever the order in which they will be used.
struct Ahead {
  const std::byte* next = nullptr;
  std::int64_t step = 0;
  void operator()(int i) const {
    Simd::prefetch(next + i * step);
    if (step > 64) Simd::prefetch(next + i * step + 64);
  }
};

// A panel of keys: for each vector of tokens its elements of dim 0, `stride` bytes before those of
// dim 1.
struct KeyPanel {
  const std::byte* keys[2];
  std::int64_t stride;
  Ahead ahead;
};

// Scores of N queries, interleaved by dim: queries[d * N + n].
template <CacheDType T, int N, bool Prefetch>
inline void score(const float* queries, const KeyPanel& panel, int head_dim, float* scores) {
  Simd::F acc[N][2];
  for (int n = 0; n < N; ++n) acc[n][0] = acc[n][1] = Simd::zero();
  const std::byte* left = panel.keys[0];
  const std::byte* right = panel.keys[1];
  std::int64_t offset = 0;
  for (int d = 0; d < head_dim; ++d, offset += panel.stride) {
    if constexpr (Prefetch) panel.ahead(d);
    const Simd::F k0 = load_elements<T>(left + offset);
    const Simd::F k1 = load_elements<T>(right + offset);
    for (int n = 0; n < N; ++n) {
      const Simd::F q = Simd::set1(queries[d * N + n]);
      acc[n][0] = Simd::fma(q, k0, acc[n][0]);
      acc[n][1] = Simd::fma(q, k1, acc[n][1]);
    }
  }
  for (int n = 0; n < N; ++n) {
    Simd::store(scores + n * kAttentionPartition, acc[n][0]);
    Simd::store(scores + n * kAttentionPartition + kLanes, acc[n][1]);
  }
}

// sums[n] += weights[n][t] * values[t] over tokens, for V vectors of dims.
template <CacheDType T, int N, int V, bool Prefetch>
inline void accumulate(const float* weights, const std::byte* values, std::int64_t stride,
                       int tokens, Ahead ahead, float* sums, std::int64_t sum_stride) {
  Simd::F acc[N][V];
  for (int n = 0; n < N; ++n) {
    for (int v = 0; v < V; ++v) acc[n][v] = Simd::load(sums + n * sum_stride + v * kLanes);
  }
  for (int t = 0; t < tokens; ++t, values += stride) {
    if constexpr (Prefetch) ahead(t);
    Simd::F x[V];
    for (int v = 0; v < V; ++v) x[v] = load_elements<T>(values + v * kLanes * element_bytes(T));
    for (int n = 0; n < N; ++n) {
      const Simd::F w = Simd::set1(weights[n * kAttentionPartition + t]);
      for (int v = 0; v < V; ++v) acc[n][v] = Simd::fma(w, x[v], acc[n][v]);
    }
  }
  for (int n = 0; n < N; ++n) {
    for (int v = 0; v < V; ++v) Simd::store(sums + n * sum_stride + v * kLanes, acc[n][v]);
  }
}

// Tokens of a partition, counted from its start.
struct Span {
  int begin;
  int end;
  [[nodiscard]] bool overlaps(int first, int last) const { return begin < last && end > first; }
};

// The work of one task.
template <CacheDType T>
class TileAttention {
 public:
  explicit TileAttention(const AttentionTask& task)
      : t_(task),
        cache_(*task.cache),
        queries_(task.rows * task.group),
        direct_(queries_ <= kDirectTiles * kTile && cache_.block_size >= kLanes),
        direct_values_(direct_ && !cache_.values_in_keys && cache_.value_dim % kLanes == 0),
        visible_(visible(0, queries_)),
        stride_(attention_value_stride(cache_.value_dim)) {
    float* next = task.scratch;
    const auto take = [&](std::int64_t floats) {
      float* part = next;
      next += (floats + 15) / 16 * 16;
      return part;
    };
    scores_ = take(static_cast<std::int64_t>(queries_) * kAttentionPartition);
    packed_ = take(static_cast<std::int64_t>(queries_) * cache_.head_dim);
    panel_ = take(static_cast<std::int64_t>(kPanel) * cache_.head_dim);
    slice_ = take(static_cast<std::int64_t>(kPanel) * kAttentionSlice);
    key_scales_ = take(kAttentionPartition);
    value_scales_ = take(kAttentionPartition);
  }

  void run() {
    std::memset(t_.values, 0, sizeof(float) * static_cast<std::size_t>(queries_ * stride_));
    if (visible_.begin < visible_.end) {
      pack_queries();
      if constexpr (T == CacheDType::kQ8) gather_scales();
      for (int token = visible_.begin / kPanel * kPanel; token < visible_.end; token += kPanel) {
        score_panel(token);
      }
    }
    for (int first = 0; first < queries_; first += kTile) {
      const Span seen = visible(first, tile_size(first));
      for (int q = first; q < first + tile_size(first); ++q) soften(q, seen);
    }
    if (direct_values_) {
      sum_in_place();
    } else {
      sum_slices();
    }
  }

 private:
  [[nodiscard]] int tile_size(int first) const {
    return queries_ - first < kTile ? queries_ - first : kTile;
  }
  // What at least one of the queries sees.
  [[nodiscard]] Span visible(int first, int count) const {
    const std::int32_t oldest =
        oldest_visible(t_.first_position + first / t_.group, t_.window, t_.chunk);
    const std::int32_t begin = oldest - t_.range_begin;
    const std::int32_t to = t_.first_position + (first + count - 1) / t_.group - t_.range_begin;
    return {begin > 0 ? begin : 0, to < kAttentionPartition ? to + 1 : kAttentionPartition};
  }
  // `token` counted from the partition's start.
  [[nodiscard]] std::int64_t block_of(int token) const {
    return t_.blocks[(t_.range_begin + token) / cache_.block_size];
  }
  [[nodiscard]] int slot_of(int token) const {
    return (t_.range_begin + token) % cache_.block_size;
  }
  [[nodiscard]] const std::byte* keys_of(int token) const {
    return cache_.keys(block_of(token), t_.kv_head) + slot_of(token) * element_bytes(T);
  }
  [[nodiscard]] const std::byte* values_of(int token) const {
    return cache_.values(block_of(token), t_.kv_head) +
           static_cast<std::int64_t>(slot_of(token)) * cache_.value_dim * element_bytes(T);
  }

  void pack_queries() {
    const int dims = cache_.head_dim;
    for (int first = 0; first < queries_; first += kTile) {
      const int count = tile_size(first);
      float* packed = packed_ + first * dims;
      for (int n = 0; n < count; ++n) {
        const int query = first + n;
        const float* q = t_.q + (query / t_.group) * t_.q_stride + (query % t_.group) * dims;
        for (int d = 0; d < dims; ++d) packed[d * count + n] = q[d];
      }
    }
  }

  void gather_scales() {
    const int size = cache_.block_size;
    for (int token = visible_.begin / size * size; token < visible_.end; token += size) {
      const std::int64_t block = block_of(token);
      const std::size_t bytes = sizeof(float) * static_cast<std::size_t>(size);
      std::memcpy(key_scales_ + token, cache_.key_scales(block, t_.kv_head), bytes);
      std::memcpy(value_scales_ + token, cache_.value_scales(block, t_.kv_head), bytes);
    }
  }

  // Scores of all queries that see something of the panel that starts at `token`.
  void score_panel(int token) {
    // A vector of tokens that nobody sees may have no block: the other one stands in.
    const bool has_left = visible_.overlaps(token, token + kLanes);
    const bool has_right = visible_.overlaps(token + kLanes, token + kPanel);
    if (direct_) {
      KeyPanel panel;
      panel.stride = cache_.block_size * element_bytes(T);
      panel.keys[0] = keys_of(has_left ? token : token + kLanes);
      panel.keys[1] = keys_of(has_right ? token + kLanes : token);
      // The next block in equal parts, one for each panel of this block.
      const int panels = cache_.block_size > kPanel ? cache_.block_size / kPanel : 1;
      const int slot = slot_of(token);
      const int later = token - slot + (panels > 1 ? cache_.block_size : slot + kPanel);
      panel.ahead.step = panel.stride / panels;
      panel.ahead.next = (later < visible_.end    ? keys_of(later)
                          : cache_.values_in_keys ? keys_of(visible_.begin)
                                                  : values_of(visible_.begin)) +
                         slot / kPanel * cache_.head_dim * panel.ahead.step;
      for (int first = 0; first < queries_; first += kTile) {
        with_count(tile_size(first), [&]<int N>() {
          const float* queries = packed_ + first * cache_.head_dim;
          float* scores = scores_ + first * kAttentionPartition + token;
          if (first == 0) {
            score<T, N, true>(queries, panel, cache_.head_dim, scores);
          } else {
            score<T, N, false>(queries, panel, cache_.head_dim, scores);
          }
        });
      }
      return;
    }
    if (has_left) unpack_keys(token, panel_);
    if (has_right) unpack_keys(token + kLanes, panel_ + kLanes);
    const auto* unpacked = reinterpret_cast<const std::byte*>(panel_);
    const KeyPanel panel{{unpacked, unpacked + kLanes * 4}, kPanel * 4, Ahead{}};
    for (int first = 0; first < queries_; first += kTile) {
      if (!visible(first, tile_size(first)).overlaps(token, token + kPanel)) continue;
      with_count(tile_size(first), [&]<int N>() {
        score<CacheDType::kF32, N, false>(packed_ + first * cache_.head_dim, panel, cache_.head_dim,
                                          scores_ + first * kAttentionPartition + token);
      });
    }
  }

  // Keys of kLanes tokens as f32, in rows of kPanel.
  void unpack_keys(int token, float* out) const {
    const std::int64_t stride = cache_.block_size * element_bytes(T);
    if (cache_.block_size >= kLanes) {
      const std::byte* keys = keys_of(token);
      for (int d = 0; d < cache_.head_dim; ++d, keys += stride, out += kPanel) {
        Simd::store(out, load_elements<T>(keys));
      }
      return;
    }
    for (int i = 0; i < kLanes; i += cache_.block_size) {
      if (!visible_.overlaps(token + i, token + i + cache_.block_size)) continue;
      const std::byte* keys = keys_of(token + i);
      for (int d = 0; d < cache_.head_dim; ++d, keys += stride) {
        Simd::store_partial(out + d * kPanel + i, load_elements_n<T>(keys, cache_.block_size),
                            cache_.block_size);
      }
    }
  }

  // Turns a query's scores into weights in place, over all that its tile sees: what the query does
  // not see gets weight 0.
  void soften(int query, Span tile) {
    const Span seen = visible(query, 1);
    float* scores = scores_ + query * kAttentionPartition;
    float& max = t_.maxima[query] = kMinusInfinity;
    float& sum = t_.sums[query] = 0.0F;
    const int begin = tile.begin / kLanes * kLanes;
    if (seen.begin >= seen.end) {
      for (int i = begin; i < tile.end; i += kLanes) Simd::store(scores + i, Simd::zero());
      return;
    }
    const Simd::F scale = Simd::set1(t_.scale);
    const Simd::F hidden = Simd::set1(kMinusInfinity);
    Simd::F largest = hidden;
    for (int i = begin; i < tile.end; i += kLanes) {
      Simd::F x = Simd::mul(Simd::load(scores + i), scale);
      if constexpr (T == CacheDType::kQ8) x = Simd::mul(x, Simd::load(key_scales_ + i));
      if (t_.softcap > 0.0F) {
        x = Simd::mul(Simd::set1(t_.softcap), tanh(Simd::mul(x, Simd::set1(1.0F / t_.softcap))));
      }
      x = Simd::select_range(x, hidden, seen.begin - i, seen.end - i);
      largest = Simd::max(largest, x);
      Simd::store(scores + i, x);
    }
    max = Simd::reduce_max(largest);
    const Simd::F shift = Simd::set1(max);
    Simd::F total = Simd::zero();
    for (int i = begin; i < tile.end; i += kLanes) {
      Simd::F w = exp(Simd::sub(Simd::load(scores + i), shift));
      total = Simd::add(total, w);
      if constexpr (T == CacheDType::kQ8) w = Simd::mul(w, Simd::load(value_scales_ + i));
      Simd::store(scores + i, w);
    }
    sum = Simd::reduce_add(total);
  }

  // Adds the values of [token, end), all of one block, to the sums of the tile that starts at query
  // `first`.
  void sum_block(int first, int token, int end) {
    const Span seen = visible(first, tile_size(first));
    const int from = seen.begin > token ? seen.begin : token;
    const int to = seen.end < end ? seen.end : end;
    if (from >= to) return;
    const std::int64_t stride = cache_.value_dim * element_bytes(T);
    const std::byte* values = values_of(from);
    const std::byte* next = end < visible_.end ? values_of(end) : values;
    with_count(tile_size(first), [&]<int N>() {
      const auto add = [&]<int V, bool Prefetch>(int d) {
        const Ahead ahead{
            next + static_cast<std::int64_t>(d) * cache_.block_size * element_bytes(T),
            V * kLanes * element_bytes(T)};
        accumulate<T, N, V, Prefetch>(scores_ + first * kAttentionPartition + from,
                                      values + d * element_bytes(T), stride, to - from, ahead,
                                      t_.values + first * stride_ + d, stride_);
      };
      int d = 0;
      for (; d + kPanel <= cache_.value_dim; d += kPanel) {
        if (first == 0) {
          add.template operator()<2, true>(d);
        } else {
          add.template operator()<2, false>(d);
        }
      }
      if (d < cache_.value_dim) add.template operator()<1, true>(d);
    });
  }

  // Weighted sums straight from the cache, a block at a time.
  void sum_in_place() {
    const int size = cache_.block_size;
    for (int token = visible_.begin; token < visible_.end;) {
      const int block_end = (token / size + 1) * size;
      const int end = block_end < visible_.end ? block_end : visible_.end;
      for (int first = 0; first < queries_; first += kTile) sum_block(first, token, end);
      token = end;
    }
  }

  void sum_slices() {
    for (int token = visible_.begin; token < visible_.end; token += kAttentionSlice) {
      const int end =
          token + kAttentionSlice < visible_.end ? token + kAttentionSlice : visible_.end;
      for (int d = 0; d < cache_.value_dim; d += kPanel) {
        unpack_values(token, end, d);
        for (int first = 0; first < queries_; first += kTile) {
          const Span seen = visible(first, tile_size(first));
          const int from = seen.begin > token ? seen.begin : token;
          const int to = seen.end < end ? seen.end : end;
          if (from >= to) continue;
          const auto* slice = reinterpret_cast<const std::byte*>(slice_ + (from - token) * kPanel);
          with_count(tile_size(first), [&]<int N>() {
            accumulate<CacheDType::kF32, N, 2, false>(scores_ + first * kAttentionPartition + from,
                                                      slice, kPanel * 4, to - from, Ahead{},
                                                      t_.values + first * stride_ + d, stride_);
          });
        }
      }
    }
  }

  // The same where values are the first dims of keys: those of a token stand apart.
  void unpack_transposed(int token, int end, int d, int width) {
    const std::int64_t stride = cache_.block_size * element_bytes(T);
    float* out = slice_;
    while (token < end) {
      const int in_block = cache_.block_size - slot_of(token);
      int count = end - token < in_block ? end - token : in_block;
      if (count > kLanes) count = kLanes;
      const std::byte* keys = keys_of(token) + d * stride;
      for (int i = 0; i < width; ++i, keys += stride) {
        float lanes[kLanes];
        Simd::store(lanes, load_elements_n<T>(keys, count));
        for (int t = 0; t < count; ++t) out[t * kPanel + i] = lanes[t];
      }
      for (int i = width; i < kPanel; ++i) {
        for (int t = 0; t < count; ++t) out[t * kPanel + i] = 0.0F;
      }
      token += count;
      out += count * kPanel;
    }
  }

  // Dims d to d + kPanel of the values of [token, end) as f32, in rows of kPanel.
  void unpack_values(int token, int end, int d) {
    const int width = cache_.value_dim - d < kPanel ? cache_.value_dim - d : kPanel;
    if (cache_.values_in_keys) return unpack_transposed(token, end, d, width);
    const int left = width < kLanes ? width : kLanes;
    const std::int64_t stride = cache_.value_dim * element_bytes(T);
    float* out = slice_;
    while (token < end) {
      const int block_end = token - slot_of(token) + cache_.block_size;
      const std::byte* values = values_of(token) + d * element_bytes(T);
      for (; token < block_end && token < end; ++token, values += stride, out += kPanel) {
        Simd::store(out, load_elements_n<T>(values, left));
        Simd::store(out + kLanes,
                    load_elements_n<T>(values + kLanes * element_bytes(T), width - left));
      }
    }
  }

  const AttentionTask& t_;
  const LayerCache& cache_;
  const int queries_;
  const bool direct_;  // whether keys are read as they are
  const bool direct_values_;
  const Span visible_;
  const std::int64_t stride_;
  float* scores_ = nullptr;        // [queries][kAttentionPartition]
  float* packed_ = nullptr;        // by tile [head_dim][its queries]
  float* panel_ = nullptr;         // [head_dim][kPanel]
  float* slice_ = nullptr;         // [kAttentionSlice][kPanel]
  float* key_scales_ = nullptr;    // [kAttentionPartition]
  float* value_scales_ = nullptr;  // [kAttentionPartition]
};

void attend(const AttentionTask& task) {
  with_cache_dtype(task.cache->dtype, [&]<CacheDType T>() { TileAttention<T>(task).run(); });
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
