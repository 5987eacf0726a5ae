// The paged key-value cache of one layer, as the attention ops see it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace mistral::ops {

// How the elements of a cache are stored. kQ8: int8 codes with one f32 scale for a token's key and
// one for its value, per head; element = code * scale.
enum class CacheDType : std::uint8_t { kF32, kF16, kBF16, kQ8 };

inline constexpr std::array kCacheDTypes = {CacheDType::kF32, CacheDType::kF16, CacheDType::kBF16,
                                            CacheDType::kQ8};
[[nodiscard]] constexpr std::string_view name(CacheDType dtype) {
  constexpr std::string_view kNames[] = {"f32", "f16", "bf16", "q8"};
  return kNames[static_cast<std::size_t>(dtype)];
}
[[nodiscard]] constexpr std::optional<CacheDType> cache_dtype(std::string_view text) {
  for (const CacheDType dtype : kCacheDTypes) {
    if (name(dtype) == text) return dtype;
  }
  return std::nullopt;
}
[[nodiscard]] constexpr std::int64_t element_bytes(CacheDType dtype) {
  constexpr std::int64_t kBytes[] = {4, 2, 2, 1};
  return kBytes[static_cast<std::size_t>(dtype)];
}

// Limits of what a cache holds. Beyond them values saturate; vectors of kQ8 saturate where
// code * scale could overflow, and those whose inverse scale would are stored as zeros.
inline constexpr float kLargestF16 = 65504.0F;
inline constexpr float kLargestBF16 = 0x1.FEp127F;
inline constexpr float kLargestQ8 = 3e38F;
inline constexpr float kSmallestQ8 = 1e-30F;

// Inside a block K lies transposed, so that scores of neighbouring tokens stand in one vector:
//   K [kv_heads][head_dim][block_size], V [kv_heads][block_size][value_dim],
//   and for kQ8 the f32 scales of K [kv_heads][block_size] and of V [kv_heads][block_size].
// Without V where values stand in keys: then a key's scale is its value's, too.
// What lies in slots that nobody wrote may be anything, also NaN.
struct LayerCache {
  std::byte* base = nullptr;      // block 0 of this layer
  std::int64_t block_stride = 0;  // bytes from a block to the next
  CacheDType dtype = CacheDType::kF32;
  std::int32_t block_size = 32;  // 8, 16 or 32
  std::int32_t kv_heads = 0;
  std::int32_t head_dim = 0;
  std::int32_t value_dim = 0;
  // Latent attention: a token's value is the first value_dim dims of its key and not stored again.
  bool values_in_keys = false;

  // Bytes of one block; a multiple of 8.
  [[nodiscard]] std::int64_t block_bytes() const {
    const std::int64_t vectors = values_in_keys ? 1 : 2;
    const std::int64_t scales = dtype == CacheDType::kQ8 ? vectors * 4 : 0;
    return slots() * (stored_dims() * element_bytes(dtype) + scales);
  }
  [[nodiscard]] std::byte* keys(std::int64_t block, std::int64_t head) const {
    return base + block * block_stride + head * head_dim * block_size * element_bytes(dtype);
  }
  // Not where values stand in keys.
  [[nodiscard]] std::byte* values(std::int64_t block, std::int64_t head) const {
    return base + block * block_stride +
           (slots() * head_dim + head * block_size * value_dim) * element_bytes(dtype);
  }
  [[nodiscard]] float* key_scales(std::int64_t block, std::int64_t head) const {
    const std::int64_t codes = slots() * stored_dims();
    return reinterpret_cast<float*>(base + block * block_stride + codes) + head * block_size;
  }
  [[nodiscard]] float* value_scales(std::int64_t block, std::int64_t head) const {
    return key_scales(block, head) + (values_in_keys ? 0 : slots());
  }

 private:
  [[nodiscard]] std::int64_t slots() const {
    return static_cast<std::int64_t>(kv_heads) * block_size;
  }
  // Elements of one token and head.
  [[nodiscard]] std::int64_t stored_dims() const {
    return static_cast<std::int64_t>(head_dim) + (values_in_keys ? 0 : value_dim);
  }
};

}  // namespace mistral::ops
