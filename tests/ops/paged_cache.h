// A layer's cache with block tables for tests: blocks lie in a scrambled order, and what nobody
// wrote is NaN (of 8-bit caches the scales).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "ops/ops.h"

namespace mistral::test {

class PagedCache {
 public:
  // One block table for each of `lengths` tokens.
  PagedCache(ops::CacheDType dtype, std::int32_t block_size, std::int32_t kv_heads,
             std::int32_t head_dim, std::int32_t value_dim,
             const std::vector<std::int32_t>& lengths, bool values_in_keys = false) {
    std::vector<std::int32_t> ids;
    for (const std::int32_t length : lengths) {
      tables_.emplace_back(static_cast<std::size_t>((length + block_size - 1) / block_size));
      ids.resize(ids.size() + tables_.back().size());
    }
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i);
    std::shuffle(ids.begin(), ids.end(), std::minstd_rand(3));
    std::size_t next = 0;
    for (std::vector<std::int32_t>& table : tables_) {
      for (std::int32_t& id : table) id = ids[next++];
    }
    layer_.dtype = dtype;
    layer_.block_size = block_size;
    layer_.kv_heads = kv_heads;
    layer_.head_dim = head_dim;
    layer_.value_dim = value_dim;
    layer_.values_in_keys = values_in_keys;
    layer_.block_stride = layer_.block_bytes() + 64;  // blocks need not be neighbours
    memory_.assign(ids.size() * static_cast<std::size_t>(layer_.block_stride), std::byte{0xFF});
    layer_.base = memory_.data();
  }

  [[nodiscard]] const ops::LayerCache& layer() const { return layer_; }
  [[nodiscard]] const std::int32_t* table(std::size_t sequence) const {
    return tables_[sequence].data();
  }
  [[nodiscard]] const std::vector<std::byte>& memory() const { return memory_; }

 private:
  std::vector<std::vector<std::int32_t>> tables_;
  std::vector<std::byte> memory_;
  ops::LayerCache layer_;
};

}  // namespace mistral::test
