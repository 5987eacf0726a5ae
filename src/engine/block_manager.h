// Which cache blocks belong to whom. All cache groups share one budget of bytes; each has its own
// ids. A pure object: it knows sizes and ids, not memory and not models.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nn/sequence_model.h"

namespace mistral::engine {

// What one sequence holds: per cache group its blocks in order of position, with kNoBlock for
// blocks that fell out of the window. Filled and emptied by BlockManager only.
struct BlockTables {
  std::vector<std::vector<nn::BlockId>> groups;
  std::vector<std::int32_t> first_live;  // per group: blocks before this index were released
};

class BlockManager {
 public:
  // Throws Error (kInternal) for a block size or bytes per block below 1.
  BlockManager(std::span<const nn::CacheGroup> groups, std::int32_t block_size,
               std::int64_t cache_bytes);

  // Makes the tables cover positions [0, tokens). All or nothing: false when blocks are missing.
  [[nodiscard]] bool grow(BlockTables& tables, std::int64_t tokens);
  // The largest n <= limit for which grow(tables, computed + n) would succeed.
  [[nodiscard]] std::int32_t growth(const BlockTables& tables, std::int64_t computed,
                                    std::int32_t limit) const;
  // Gives back blocks that no query at or after `next_position` can see.
  void release_unseen(BlockTables& tables, std::int64_t next_position) noexcept;
  void release(BlockTables& tables) noexcept;

  // Bytes that a sequence of `tokens` holds at its largest, computed token by token.
  [[nodiscard]] std::int64_t peak_bytes(std::int64_t tokens) const;
  // The longest sequence that fits when it is alone; at most `limit`.
  [[nodiscard]] std::int64_t max_tokens(std::int64_t limit) const;
  [[nodiscard]] std::int64_t held_bytes(const BlockTables& tables) const;
  // One block of every group: what a running sequence may ask for at its next step.
  [[nodiscard]] std::int64_t step_bytes() const { return step_bytes_; }

  [[nodiscard]] std::int64_t total_bytes() const { return total_bytes_; }
  [[nodiscard]] std::int64_t free_bytes() const { return total_bytes_ - used_bytes_; }
  [[nodiscard]] std::int64_t blocks_in_use() const { return blocks_in_use_; }

 private:
  struct Group {
    std::int32_t window = 0;
    std::int32_t chunk = 0;
    std::int64_t bytes_per_block = 0;
    std::int64_t capacity = 0;   // ids run from 0 to capacity - 1
    nn::BlockId next_fresh = 0;  // ids from here on were never handed out
    std::int64_t in_use = 0;
    std::vector<nn::BlockId> freed;  // a heap, lowest id on top; has room for every id handed out
  };

  // First block that a query at `position` sees.
  [[nodiscard]] std::int64_t first_seen_block(std::int64_t position, const Group& group) const;
  [[nodiscard]] std::int64_t missing_blocks(const BlockTables& tables, std::size_t group,
                                            std::int64_t tokens) const;
  [[nodiscard]] bool fits(const BlockTables& tables, std::int64_t tokens) const;
  nn::BlockId take(Group& group);
  void give_back(Group& group, nn::BlockId id) noexcept;

  std::int32_t block_size_;
  std::int64_t total_bytes_;
  std::int64_t used_bytes_ = 0;
  std::int64_t blocks_in_use_ = 0;
  std::int64_t step_bytes_ = 0;
  std::vector<Group> groups_;
};

}  // namespace mistral::engine
