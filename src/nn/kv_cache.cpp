#include "nn/kv_cache.h"

#include <algorithm>

namespace mistral::nn {
namespace {

// Floats of one layer in one block.
std::int64_t layer_block(const DecoderSpec& spec, std::int32_t block_size) {
  return static_cast<std::int64_t>(block_size) * spec.kv_heads * (spec.head_dim + spec.value_dim);
}

std::vector<CacheGroup> make_groups(const DecoderSpec& spec, std::int32_t block_size,
                                    std::vector<std::size_t>& group_of) {
  std::vector<CacheGroup> groups;
  for (const LayerSpec& layer : spec.layers) {
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const CacheGroup& g) { return g.window == layer.window; });
    if (group == groups.end()) group = groups.insert(groups.end(), CacheGroup{layer.window, 0});
    group_of.push_back(static_cast<std::size_t>(group - groups.begin()));
    group->bytes_per_block +=
        layer_block(spec, block_size) * static_cast<std::int64_t>(sizeof(float));
  }
  return groups;
}

}  // namespace

KvCache::KvCache(const DecoderSpec& spec, std::int32_t block_size, std::int64_t bytes)
    : block_size_(block_size), bytes_(bytes) {
  std::vector<std::size_t> group_of;
  groups_ = make_groups(spec, block_size, group_of);
  for (const CacheGroup& group : groups_) {
    memory_.emplace_back(
        static_cast<std::size_t>(bytes / group.bytes_per_block * group.bytes_per_block));
  }
  std::vector<std::int64_t> next(groups_.size(), 0);
  for (const std::size_t g : group_of) {
    ops::LayerCache cache;
    cache.base = memory_[g].as<float>() + next[g];
    cache.block_stride = groups_[g].bytes_per_block / static_cast<std::int64_t>(sizeof(float));
    cache.block_size = block_size;
    cache.kv_heads = spec.kv_heads;
    cache.head_dim = spec.head_dim;
    cache.value_dim = spec.value_dim;
    layers_.push_back({g, cache});
    next[g] += layer_block(spec, block_size);
  }
}

std::int64_t KvCache::bytes_for_tokens(const DecoderSpec& spec, std::int32_t block_size,
                                       std::int64_t tokens) {
  const std::int64_t blocks = (tokens + block_size - 1) / block_size;
  return blocks * layer_block(spec, block_size) * static_cast<std::int64_t>(sizeof(float)) *
         static_cast<std::int64_t>(spec.layers.size());
}

}  // namespace mistral::nn
