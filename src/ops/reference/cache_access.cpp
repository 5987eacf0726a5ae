#include "ops/reference/cache_access.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "quant/half.h"

namespace mistral::ops::reference {
namespace {

float load(CacheDType dtype, const std::byte* data, std::int64_t index, const float* scale) {
  const std::byte* at = data + index * element_bytes(dtype);
  if (dtype == CacheDType::kF32) {
    float value = 0;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  if (dtype == CacheDType::kQ8) return static_cast<float>(static_cast<std::int8_t>(*at)) * *scale;
  std::uint16_t half = 0;
  std::memcpy(&half, at, sizeof half);
  return dtype == CacheDType::kF16 ? quant::f16_to_f32(half) : quant::bf16_to_f32(half);
}

// Elements first, first + step, … become values[0 … n).
void store(CacheDType dtype, std::byte* data, std::int64_t first, std::int64_t step, std::int64_t n,
           const float* values, float* scale) {
  float inverse = 0;
  if (dtype == CacheDType::kQ8) {
    float largest = 0;
    for (std::int64_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(values[i]));
    largest = largest < kSmallestQ8 ? 0 : std::min(largest, kLargestQ8);
    *scale = largest / 127.0F;
    inverse = largest > 0 ? 127.0F / largest : 0;
  }
  for (std::int64_t i = 0; i < n; ++i) {
    std::byte* at = data + (first + i * step) * element_bytes(dtype);
    if (dtype == CacheDType::kF32) {
      std::memcpy(at, values + i, sizeof(float));
    } else if (dtype == CacheDType::kQ8) {
      const float code = std::nearbyint(std::clamp(values[i] * inverse, -127.0F, 127.0F));
      *at = static_cast<std::byte>(static_cast<std::int8_t>(code));
    } else {
      const bool f16 = dtype == CacheDType::kF16;
      const float limit = f16 ? kLargestF16 : kLargestBF16;
      const float value = std::clamp(values[i], -limit, limit);
      const std::uint16_t half = f16 ? quant::f32_to_f16(value) : quant::f32_to_bf16(value);
      std::memcpy(at, &half, sizeof half);
    }
  }
}

bool scaled(const LayerCache& cache) {
  return cache.dtype == CacheDType::kQ8;
}

}  // namespace

void store_key(const LayerCache& cache, std::int64_t block, std::int64_t head, std::int64_t slot,
               const float* key) {
  store(cache.dtype, cache.keys(block, head), slot, cache.block_size, cache.head_dim, key,
        scaled(cache) ? cache.key_scales(block, head) + slot : nullptr);
}

void store_value(const LayerCache& cache, std::int64_t block, std::int64_t head, std::int64_t slot,
                 const float* value) {
  if (cache.values_in_keys) return;
  store(cache.dtype, cache.values(block, head), slot * cache.value_dim, 1, cache.value_dim, value,
        scaled(cache) ? cache.value_scales(block, head) + slot : nullptr);
}

float load_key(const LayerCache& cache, std::int64_t block, std::int64_t head, std::int64_t slot,
               std::int64_t d) {
  return load(cache.dtype, cache.keys(block, head), d * cache.block_size + slot,
              scaled(cache) ? cache.key_scales(block, head) + slot : nullptr);
}

float load_value(const LayerCache& cache, std::int64_t block, std::int64_t head, std::int64_t slot,
                 std::int64_t d) {
  if (cache.values_in_keys) return load_key(cache, block, head, slot, d);
  return load(cache.dtype, cache.values(block, head), slot * cache.value_dim + d,
              scaled(cache) ? cache.value_scales(block, head) + slot : nullptr);
}

}  // namespace mistral::ops::reference
