#include "nn/kv_cache.h"

#include <algorithm>

namespace mistral::nn {
namespace {

// All layers have the same shape.
ops::LayerCache shape_of(const DecoderSpec& spec, ops::CacheDType dtype, std::int32_t block_size) {
  ops::LayerCache cache;
  cache.dtype = dtype;
  cache.block_size = block_size;
  cache.kv_heads = spec.kv_heads;
  cache.head_dim = spec.head_dim;
  cache.value_dim = spec.value_dim;
  cache.values_in_keys = spec.latent.has_value();
  cache.block_stride = cache.block_bytes();
  return cache;
}

bool shares_blocks(const CacheGroup& group, const LayerSpec& layer) {
  return group.window == layer.window && group.chunk == layer.chunk;
}

}  // namespace

std::vector<CacheGroup> KvCache::groups_of(const DecoderSpec& spec, ops::CacheDType dtype,
                                           std::int32_t block_size) {
  const std::int64_t bytes = shape_of(spec, dtype, block_size).block_bytes();
  std::vector<CacheGroup> groups;
  for (const LayerSpec& layer : spec.layers) {
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const CacheGroup& g) { return shares_blocks(g, layer); });
    if (group == groups.end()) {
      group = groups.insert(groups.end(), CacheGroup{layer.window, layer.chunk, 0});
    }
    group->bytes_per_block += bytes;
  }
  return groups;
}

KvCache::KvCache(const DecoderSpec& spec, ops::CacheDType dtype, std::int32_t block_size,
                 std::int64_t bytes)
    : block_size_(block_size), bytes_(bytes), groups_(groups_of(spec, dtype, block_size)) {
  const ops::LayerCache shape = shape_of(spec, dtype, block_size);
  for (const LayerSpec& layer : spec.layers) {
    const auto group = std::find_if(groups_.begin(), groups_.end(),
                                    [&](const CacheGroup& g) { return shares_blocks(g, layer); });
    layers_.push_back({static_cast<std::size_t>(group - groups_.begin()), shape});
  }
  for (const CacheGroup& group : groups_) {
    memory_.emplace_back(
        static_cast<std::size_t>(bytes / group.bytes_per_block * group.bytes_per_block));
  }
  std::vector<std::int64_t> next(groups_.size(), 0);
  for (Layer& layer : layers_) {
    layer.cache.base = memory_[layer.group].data() + next[layer.group];
    next[layer.group] += bytes / groups_[layer.group].bytes_per_block * shape.block_bytes();
  }
}

std::int64_t KvCache::bytes_for_tokens(const DecoderSpec& spec, ops::CacheDType dtype,
                                       std::int32_t block_size, std::int64_t tokens) {
  const std::int64_t blocks = (tokens + block_size - 1) / block_size;
  return blocks * shape_of(spec, dtype, block_size).block_bytes() *
         static_cast<std::int64_t>(spec.layers.size());
}

}  // namespace mistral::nn
