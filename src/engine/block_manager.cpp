#include "engine/block_manager.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "core/error.h"

namespace mistral::engine {
namespace {

std::int64_t blocks_for(std::int64_t tokens, std::int64_t block_size) {
  return (tokens + block_size - 1) / block_size;
}

}  // namespace

std::int64_t BlockManager::first_seen_block(std::int64_t position, const Group& group) const {
  std::int64_t oldest = 0;
  if (group.window > 0) oldest = std::max<std::int64_t>(0, position - group.window + 1);
  if (group.chunk > 0) oldest = std::max(oldest, position / group.chunk * group.chunk);
  return oldest / block_size_;
}

BlockManager::BlockManager(std::span<const nn::CacheGroup> groups, std::int32_t block_size,
                           std::int64_t cache_bytes, PrefixCacheOptions prefix)
    : block_size_(block_size),
      total_bytes_(std::max<std::int64_t>(cache_bytes, 0)),
      prefix_(std::move(prefix)),
      tree_(groups.size()) {
  if (block_size < 1) {
    throw make_error(ErrorKind::kInternal, "cache block size is {} tokens", block_size);
  }
  for (const nn::CacheGroup& declared : groups) {
    if (declared.bytes_per_block < 1) {
      throw make_error(ErrorKind::kInternal, "a cache block is said to have {} bytes",
                       declared.bytes_per_block);
    }
    Group& group = groups_.emplace_back();
    group.index = groups_.size() - 1;
    group.window = declared.window;
    group.chunk = declared.chunk;
    group.bytes_per_block = declared.bytes_per_block;
    group.capacity = std::min<std::int64_t>(total_bytes_ / declared.bytes_per_block,
                                            std::numeric_limits<nn::BlockId>::max());
    step_bytes_ += declared.bytes_per_block;
  }
}

std::int64_t BlockManager::missing_blocks(const BlockTables& tables, std::size_t group,
                                          std::int64_t tokens) const {
  const std::int64_t held =
      group < tables.groups.size() ? static_cast<std::int64_t>(tables.groups[group].size()) : 0;
  return std::max<std::int64_t>(0, blocks_for(tokens, block_size_) - held);
}

bool BlockManager::fits(const BlockTables& tables, std::int64_t tokens) const {
  std::int64_t bytes_left = free_bytes();
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const Group& group = groups_[g];
    const std::int64_t missing = missing_blocks(tables, g, tokens);
    if (missing > group.capacity - group.in_use || missing > bytes_left / group.bytes_per_block) {
      return false;
    }
    bytes_left -= missing * group.bytes_per_block;
  }
  return true;
}

bool BlockManager::grow(BlockTables& tables, std::int64_t tokens) {
  if (!fits(tables, tokens)) return false;
  if (tables.groups.empty()) {
    tables.first_live.resize(groups_.size(), 0);
    tables.groups.resize(groups_.size());  // last: it says that there is something to release
  }
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    std::vector<nn::BlockId>& blocks = tables.groups[g];
    const std::int64_t missing = missing_blocks(tables, g, tokens);
    blocks.reserve(blocks.size() + static_cast<std::size_t>(missing));
    for (std::int64_t i = 0; i < missing; ++i) blocks.push_back(take(groups_[g]));
  }
  return true;
}

std::int32_t BlockManager::growth(const BlockTables& tables, std::int64_t computed,
                                  std::int32_t limit) const {
  std::int32_t low = 0;
  std::int32_t high = limit;
  while (low < high) {
    const std::int32_t middle = high - (high - low) / 2;
    if (fits(tables, computed + middle)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

void BlockManager::release_unseen(BlockTables& tables, std::int64_t next_position) noexcept {
  for (std::size_t g = 0; g < tables.groups.size(); ++g) {
    std::vector<nn::BlockId>& blocks = tables.groups[g];
    const auto seen = static_cast<std::int32_t>(std::min(
        first_seen_block(next_position, groups_[g]), static_cast<std::int64_t>(blocks.size())));
    for (std::int32_t& i = tables.first_live[g]; i < seen; ++i) {
      nn::BlockId& id = blocks[static_cast<std::size_t>(i)];
      if (id != nn::kNoBlock) give_back(groups_[g], id);
      id = nn::kNoBlock;
    }
  }
}

void BlockManager::release(BlockTables& tables) noexcept {
  const bool offered = tables.node != nullptr && tables.node->depth > 0;
  if (offered) ++releases_;
  for (std::size_t g = 0; g < tables.groups.size(); ++g) {
    std::vector<nn::BlockId>& blocks = tables.groups[g];
    // The end first: it is of use to fewer others, and goes first when memory is needed.
    for (std::size_t i = blocks.size(); i-- > 0;) {
      if (blocks[i] != nn::kNoBlock) give_back(groups_[g], blocks[i]);
    }
    blocks.clear();
    tables.first_live[g] = 0;
  }
  if (tables.node != nullptr) tree_.leave(*tables.node);
  tables.node = nullptr;
  if (offered) evict_released_until(releases_ - prefix_.keep_sequences);
}

std::int64_t BlockManager::peak_bytes(std::int64_t tokens) const {
  // Groups that see everything only grow and those with a window repeat with the period of a block,
  // so the peak lies among the last block_size positions; or, with chunks, among those before the
  // end of the last whole chunk.
  std::int64_t peak = 0;
  const auto look_before = [&](std::int64_t end) {
    for (std::int64_t p = std::max<std::int64_t>(0, end - block_size_); p < end; ++p) {
      std::int64_t bytes = 0;
      for (const Group& group : groups_) {
        bytes += (p / block_size_ - first_seen_block(p, group) + 1) * group.bytes_per_block;
      }
      peak = std::max(peak, bytes);
    }
  };
  look_before(tokens);
  for (const Group& group : groups_) {
    if (group.chunk > 0) look_before(tokens / group.chunk * group.chunk);
  }
  return peak;
}

std::int64_t BlockManager::max_tokens(std::int64_t limit) const {
  std::int64_t low = 0;
  std::int64_t high = limit;
  while (low < high) {
    const std::int64_t middle = high - (high - low) / 2;
    if (peak_bytes(middle) <= total_bytes_) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

std::int64_t BlockManager::held_bytes(const BlockTables& tables) const {
  std::int64_t bytes = 0;
  for (std::size_t g = 0; g < tables.groups.size(); ++g) {
    bytes += (static_cast<std::int64_t>(tables.groups[g].size()) - tables.first_live[g]) *
             groups_[g].bytes_per_block;
  }
  return bytes;
}

nn::BlockId BlockManager::take(Group& group) {
  make_room(group);
  nn::BlockId id = static_cast<nn::BlockId>(group.blocks.size());
  if (group.freed.empty()) {
    // Room for the way back is made now, so that giving back cannot fail.
    if (group.freed.capacity() <= static_cast<std::size_t>(id)) {
      group.freed.reserve(2 * static_cast<std::size_t>(id) + 16);
    }
    group.blocks.emplace_back();
  } else {
    std::pop_heap(group.freed.begin(), group.freed.end(), std::greater<>());
    id = group.freed.back();
    group.freed.pop_back();
  }
  hold(group, id);
  return id;
}

void BlockManager::hold(Group& group, nn::BlockId id) noexcept {
  Block& block = group.at(id);
  if (block.holders++ > 0) return;
  if (block.node != nullptr) unlink(group, id);  // it was kept
  ++group.in_use;
  ++blocks_in_use_;
  used_bytes_ += group.bytes_per_block;
}

void BlockManager::give_back(Group& group, nn::BlockId id) noexcept {
  Block& block = group.at(id);
  if (--block.holders > 0) return;
  --group.in_use;
  --blocks_in_use_;
  used_bytes_ -= group.bytes_per_block;
  if (block.node != nullptr && prefix_.keep_sequences > 0) {
    keep(group, id);
  } else {
    set_free(group, id);
  }
}

void BlockManager::set_free(Group& group, nn::BlockId id) noexcept {
  Block& block = group.at(id);
  if (block.node != nullptr) tree_.drop(*block.node, group.index);
  block.node = nullptr;
  group.freed.push_back(id);
  std::push_heap(group.freed.begin(), group.freed.end(), std::greater<>());
}

}  // namespace mistral::engine
