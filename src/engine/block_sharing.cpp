// What BlockManager does so that sequences share blocks: finding, offering, keeping, evicting.
#include <algorithm>

#include "engine/block_manager.h"

namespace mistral::engine {

// What a block holds follows from its tokens, from those before it, and from how each position
// rotates where that depends on a length.
void BlockManager::read_block(const BlockContent& content, std::int64_t block) {
  const std::int64_t first = block * block_size_;
  read_.clear();
  for (std::int64_t p = first; p < first + block_size_; ++p) {
    read_.push_back(content.tokens[static_cast<std::size_t>(p)]);
  }
  if (!prefix_.rope_key) return;
  for (std::int64_t p = first; p < first + block_size_; ++p) {
    read_.push_back(
        prefix_.rope_key(static_cast<std::int32_t>(std::max(content.prompt_length, p + 1))));
  }
}

std::int64_t BlockManager::attach(BlockTables& tables, const BlockContent& content,
                                  std::int64_t computed, std::int64_t limit) {
  if (tables.node == nullptr) tables.node = tree_.root(content.salt);
  const std::int64_t base = computed / block_size_;
  if (computed % block_size_ != 0 || tables.node->depth != base) return computed;
  path_.clear();
  PrefixNode* node = tables.node;
  for (std::int64_t b = base; (b + 1) * block_size_ <= limit; ++b) {
    read_block(content, b);
    node = tree_.find(node, read_);
    if (node == nullptr) break;
    path_.push_back(node);
  }
  const std::int64_t count = usable_blocks(base);
  if (count == 0) return computed;
  adopt(tables, base, count);
  return (base + count) * block_size_;
}

// How many blocks of path_, which begins after `base` blocks, can be taken over: all that a query
// after them sees must be there. (What it sees before `base` is the sequence's own.)
std::int64_t BlockManager::usable_blocks(std::int64_t base) const {
  std::int64_t best = 0;
  std::vector<std::int64_t> unbroken(groups_.size(), 0);  // blocks that end at the one looked at
  for (std::size_t i = 0; i < path_.size(); ++i) {
    const std::int64_t end = base + static_cast<std::int64_t>(i) + 1;
    bool whole = true;
    for (const Group& group : groups_) {
      std::int64_t& run = unbroken[group.index];
      run = path_[i]->blocks[group.index] == nn::kNoBlock ? 0 : run + 1;
      const std::int64_t first = std::max(base, first_seen_block(end * block_size_, group));
      if (run < end - first) whole = false;
    }
    if (whole) best = end - base;
  }
  return best;
}

void BlockManager::adopt(BlockTables& tables, std::int64_t base, std::int64_t count) {
  const std::int64_t end = base + count;
  tables.first_live.resize(groups_.size(), 0);
  tables.groups.resize(groups_.size());
  for (const Group& group : groups_) {
    tables.groups[group.index].reserve(static_cast<std::size_t>(end));
  }
  // Nothing below can fail.
  for (Group& group : groups_) {
    std::vector<nn::BlockId>& blocks = tables.groups[group.index];
    while (static_cast<std::int64_t>(blocks.size()) > base) {
      if (blocks.back() != nn::kNoBlock) give_back(group, blocks.back());
      blocks.pop_back();
    }
    const std::int64_t first = first_seen_block(end * block_size_, group);
    for (std::int64_t b = base; b < end; ++b) {
      nn::BlockId id = nn::kNoBlock;
      if (b >= first) {
        id = path_[static_cast<std::size_t>(b - base)]->blocks[group.index];
        hold(group, id);
      }
      blocks.push_back(id);
    }
  }
  PrefixTree::use(*path_[static_cast<std::size_t>(count - 1)]);
  tree_.leave(*tables.node);
  tables.node = path_[static_cast<std::size_t>(count - 1)];
  release_unseen(tables, end * block_size_);
}

void BlockManager::offer(BlockTables& tables, const BlockContent& content,
                         std::int64_t computed) noexcept {
  try {
    if (tables.node == nullptr) tables.node = tree_.root(content.salt);
    while ((tables.node->depth + 1) * std::int64_t{block_size_} <= computed) {
      read_block(content, tables.node->depth);
      offer_block(tables, *tree_.child(tables.node, read_));
    }
  } catch (const std::bad_alloc&) {
    // Sharing is worth less than the answer. The next call tries again.
  }
}

void BlockManager::offer_block(BlockTables& tables, PrefixNode& node) noexcept {
  const auto index = static_cast<std::size_t>(node.depth - 1);
  PrefixTree::use(node);
  for (Group& group : groups_) {
    nn::BlockId& id = tables.groups[group.index][index];
    const nn::BlockId offered = node.blocks[group.index];
    if (id == nn::kNoBlock || id == offered) continue;
    if (offered == nn::kNoBlock) {
      tree_.hold(node, group.index, id);
      group.at(id).node = &node;
    } else {
      hold(group, offered);
      give_back(group, id);
      id = offered;
    }
  }
  tree_.leave(*tables.node);
  tables.node = &node;
}

void BlockManager::keep(Group& group, nn::BlockId id) noexcept {
  Block& block = group.at(id);
  block.older = group.newest;
  block.newer = nn::kNoBlock;
  block.released = releases_;
  (group.newest == nn::kNoBlock ? group.oldest : group.at(group.newest).newer) = id;
  group.newest = id;
  ++blocks_kept_;
  kept_bytes_ += group.bytes_per_block;
}

void BlockManager::unlink(Group& group, nn::BlockId id) noexcept {
  Block& block = group.at(id);
  (block.older == nn::kNoBlock ? group.oldest : group.at(block.older).newer) = block.newer;
  (block.newer == nn::kNoBlock ? group.newest : group.at(block.newer).older) = block.older;
  block.older = nn::kNoBlock;
  block.newer = nn::kNoBlock;
  --blocks_kept_;
  kept_bytes_ -= group.bytes_per_block;
}

void BlockManager::evict(Group& group) noexcept {
  const nn::BlockId id = group.oldest;
  unlink(group, id);
  set_free(group, id);
}

void BlockManager::evict_released_until(std::int64_t release) noexcept {
  for (Group& group : groups_) {
    while (group.oldest != nn::kNoBlock && group.at(group.oldest).released <= release) {
      evict(group);
    }
  }
}

// Lets kept blocks go, the oldest first, until one more of `group` fits beside what is used and
// kept. The caller knows that it fits beside what is used.
void BlockManager::make_room(Group& group) noexcept {
  while (used_bytes_ + kept_bytes_ + group.bytes_per_block > total_bytes_) {
    Group* oldest = nullptr;
    for (Group& candidate : groups_) {
      if (candidate.oldest == nn::kNoBlock) continue;
      if (oldest == nullptr ||
          candidate.at(candidate.oldest).released < oldest->at(oldest->oldest).released) {
        oldest = &candidate;
      }
    }
    if (oldest == nullptr) return;
    evict(*oldest);
  }
  if (!group.freed.empty() || group.oldest == nn::kNoBlock) return;
  // Memory that was written once stays taken: rather reuse the group's own than grow beyond.
  std::int64_t touched = 0;
  for (const Group& other : groups_) {
    touched += static_cast<std::int64_t>(other.blocks.size()) * other.bytes_per_block;
  }
  if (touched + group.bytes_per_block > total_bytes_) evict(group);
}

}  // namespace mistral::engine
