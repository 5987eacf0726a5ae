// Elements of the paged cache as vectors of f32, and the way back.
#pragma once

#include <cstring>

#include "ops/cpu/kernel_table.h"
#include "ops/cpu/kernels/math.h"

namespace mistral::ops::cpu {
namespace {

// kLanes neighbouring elements. Those of kQ8 are codes: their scale belongs to a token, and scores
// and weights are multiplied by it instead.
template <CacheDType T>
inline Simd::F load_elements(const std::byte* p) {
  if constexpr (T == CacheDType::kF32) {
    return Simd::load(reinterpret_cast<const float*>(p));
  } else if constexpr (T == CacheDType::kF16) {
    return Simd::load_f16(p);
  } else if constexpr (T == CacheDType::kBF16) {
    return Simd::load_bf16(p);
  } else {
    return Simd::load_i8(reinterpret_cast<const std::uint8_t*>(p));
  }
}

// n elements, n <= kLanes, without a look at what follows them.
template <CacheDType T>
inline Simd::F load_elements_n(const std::byte* p, int n) {
  if (n == Simd::kLanes) return load_elements<T>(p);
  std::byte copy[Simd::kLanes * sizeof(float)] = {};
  std::memcpy(copy, p, static_cast<std::size_t>(n * element_bytes(T)));
  return load_elements<T>(copy);
}

// The operand order keeps a NaN.
inline Simd::F saturate(Simd::F x, float limit) {
  return Simd::max(Simd::set1(-limit), Simd::min(Simd::set1(limit), x));
}

template <CacheDType T>
inline void store_elements(std::byte* p, Simd::F x) {
  if constexpr (T == CacheDType::kF32) {
    Simd::store(reinterpret_cast<float*>(p), x);
  } else if constexpr (T == CacheDType::kF16) {
    Simd::store_f16(p, saturate(x, kLargestF16));
  } else if constexpr (T == CacheDType::kBF16) {
    Simd::store_bf16(p, saturate(x, kLargestBF16));
  } else {
    Simd::store_i8(reinterpret_cast<std::int8_t*>(p), Simd::to_int(saturate(x, 127.0F)));
  }
}

// Elements p[0], p[step], … become values[0 … n). `scale` is null but for kQ8.
template <CacheDType T>
inline void store_vector(const float* values, std::int64_t n, std::byte* p, std::int64_t step,
                         float* scale) {
  constexpr std::size_t kBytes = element_bytes(T);
  Simd::F factor = Simd::set1(1.0F);
  if constexpr (T == CacheDType::kQ8) {
    Simd::F largest = Simd::zero();
    for_vectors(n, [&](std::int64_t i, int lanes) {
      largest = Simd::max(largest, Simd::abs(load_n(values + i, lanes)));
    });
    float most = Simd::reduce_max(largest);
    if (most > kLargestQ8) most = kLargestQ8;
    if (most < kSmallestQ8) most = 0.0F;
    *scale = most / 127.0F;
    factor = Simd::set1(most > 0.0F ? 127.0F / most : 0.0F);
  }
  for_vectors(n, [&](std::int64_t i, int lanes) {
    Simd::F x = load_n(values + i, lanes);
    if constexpr (T == CacheDType::kQ8) x = Simd::mul(x, factor);
    if (step == 1 && lanes == Simd::kLanes) {
      store_elements<T>(p + static_cast<std::size_t>(i) * kBytes, x);
      return;
    }
    std::byte copy[Simd::kLanes * sizeof(float)];
    store_elements<T>(copy, x);
    for (int j = 0; j < lanes; ++j) {
      std::memcpy(p + static_cast<std::size_t>((i + j) * step) * kBytes,
                  copy + static_cast<std::size_t>(j) * kBytes, kBytes);
    }
  });
}

// Calls f with the cache's type as a constant.
template <typename Function>
inline void with_cache_dtype(CacheDType dtype, Function f) {
  switch (dtype) {
    case CacheDType::kF32:
      return f.template operator()<CacheDType::kF32>();
    case CacheDType::kF16:
      return f.template operator()<CacheDType::kF16>();
    case CacheDType::kBF16:
      return f.template operator()<CacheDType::kBF16>();
    case CacheDType::kQ8:
      return f.template operator()<CacheDType::kQ8>();
  }
}

void write_key(const LayerCache& cache, std::int64_t block, std::int64_t head, std::int64_t slot,
               const float* key) {
  with_cache_dtype(cache.dtype, [&]<CacheDType T>() {
    store_vector<T>(key, cache.head_dim, cache.keys(block, head) + slot * element_bytes(T),
                    cache.block_size,
                    T == CacheDType::kQ8 ? cache.key_scales(block, head) + slot : nullptr);
  });
}

void write_value(const LayerCache& cache, std::int64_t block, std::int64_t head, std::int64_t slot,
                 const float* value) {
  with_cache_dtype(cache.dtype, [&]<CacheDType T>() {
    store_vector<T>(value, cache.value_dim,
                    cache.values(block, head) + slot * cache.value_dim * element_bytes(T), 1,
                    T == CacheDType::kQ8 ? cache.value_scales(block, head) + slot : nullptr);
  });
}

}  // namespace
}  // namespace mistral::ops::cpu
