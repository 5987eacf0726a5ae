// A layer's cache with block tables for tests: blocks lie in a scrambled order, and what nobody
// wrote is NaN.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "ops/ops.h"

namespace mistral::test {

class PagedCache {
 public:
  // One block table for each of `lengths` tokens.
  PagedCache(std::int32_t block_size, std::int32_t kv_heads, std::int32_t head_dim,
             std::int32_t value_dim, const std::vector<std::int32_t>& lengths) {
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
    const std::int64_t used =
        static_cast<std::int64_t>(block_size) * kv_heads * (head_dim + value_dim);
    const std::int64_t stride = used + 16;  // blocks need not be neighbours
    memory_.assign(ids.size() * static_cast<std::size_t>(stride),
                   std::numeric_limits<float>::quiet_NaN());
    layer_ = {memory_.data(), stride, block_size, kv_heads, head_dim, value_dim};
  }

  [[nodiscard]] const ops::LayerCache& layer() const { return layer_; }
  [[nodiscard]] const std::int32_t* table(std::size_t sequence) const {
    return tables_[sequence].data();
  }
  [[nodiscard]] std::vector<float>& memory() { return memory_; }

 private:
  std::vector<std::vector<std::int32_t>> tables_;
  std::vector<float> memory_;
  ops::LayerCache layer_;
};

}  // namespace mistral::test
