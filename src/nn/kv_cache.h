// Memory of the paged key-value cache. Layers that see the same form a group; a block of a group
// holds block_size tokens of all its layers. Which block belongs to whom is the engine's business.
// In memory the blocks of one layer are neighbours: attention walks through one layer at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/page_buffer.h"
#include "nn/decoder_spec.h"
#include "nn/sequence_model.h"

namespace mistral::nn {

class KvCache {
 public:
  // `bytes` is the budget over all groups. Address space for it is reserved per group; memory is
  // taken when a block is first written.
  KvCache(const DecoderSpec& spec, ops::CacheDType dtype, std::int32_t block_size,
          std::int64_t bytes);

  [[nodiscard]] std::span<const CacheGroup> groups() const { return groups_; }
  [[nodiscard]] std::int32_t block_size() const { return block_size_; }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t group_of(std::size_t layer) const { return layers_[layer].group; }
  [[nodiscard]] const ops::LayerCache& layer(std::size_t layer) const {
    return layers_[layer].cache;
  }

  // The groups that a cache of this model has.
  [[nodiscard]] static std::vector<CacheGroup> groups_of(const DecoderSpec& spec,
                                                         ops::CacheDType dtype,
                                                         std::int32_t block_size);
  // The budget that holds `tokens` of one sequence.
  [[nodiscard]] static std::int64_t bytes_for_tokens(const DecoderSpec& spec, ops::CacheDType dtype,
                                                     std::int32_t block_size, std::int64_t tokens);

 private:
  struct Layer {
    std::size_t group;
    ops::LayerCache cache;
  };
  std::int32_t block_size_;
  std::int64_t bytes_;
  std::vector<CacheGroup> groups_;
  std::vector<PageBuffer> memory_;
  std::vector<Layer> layers_;
};

}  // namespace mistral::nn
