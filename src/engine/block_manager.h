// Which cache blocks belong to whom. All cache groups share one budget of bytes; each has its own
// ids. Sequences that begin alike share full blocks, which nobody writes to again; a block that
// nobody holds any more keeps its content for later sequences until its memory is needed. A pure
// object: it knows sizes and ids, not memory and not models.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "engine/prefix_tree.h"
#include "mistral/types.h"
#include "nn/sequence_model.h"

namespace mistral::engine {

// What one sequence holds: per cache group its blocks in order of position, with kNoBlock for
// blocks that fell out of the window. Filled and emptied by BlockManager only.
struct BlockTables {
  std::vector<std::vector<nn::BlockId>> groups;
  std::vector<std::int32_t> first_live;  // per group: blocks before this index were released
  PrefixNode* node = nullptr;            // its last full block that others can find
};

// What makes the content of a sequence's blocks.
struct BlockContent {
  std::span<const TokenId> tokens;
  std::int64_t prompt_length = 0;  // decides how its positions rotate
  std::uint64_t salt = 0;          // only sequences of the same salt share
};

struct PrefixCacheOptions {
  // Blocks are kept of at most so many sequences that ended last; 0: none.
  std::int64_t keep_sequences = std::numeric_limits<std::int64_t>::max();
  // SequenceModel::rope_key; null: it makes no difference.
  std::function<std::int64_t(std::int32_t rope_length)> rope_key = nullptr;
};

class BlockManager {
 public:
  // Throws Error (kInternal) for a block size or bytes per block below 1.
  BlockManager(std::span<const nn::CacheGroup> groups, std::int32_t block_size,
               std::int64_t cache_bytes, PrefixCacheOptions prefix = {});

  // Makes the tables cover positions [0, tokens). All or nothing: false when blocks are missing.
  [[nodiscard]] bool grow(BlockTables& tables, std::int64_t tokens);
  // The largest n <= limit for which grow(tables, computed + n) would succeed.
  [[nodiscard]] std::int32_t growth(const BlockTables& tables, std::int64_t computed,
                                    std::int32_t limit) const;
  // Gives back blocks that no query at or after `next_position` can see.
  void release_unseen(BlockTables& tables, std::int64_t next_position) noexcept;
  void release(BlockTables& tables) noexcept;

  // Hands the sequence, which has computed `computed` tokens, the blocks of what follows as far as
  // others computed the same, at most up to `limit` tokens. Returns the tokens that its blocks hold
  // now. All of it or nothing when memory for the tables runs out (std::bad_alloc).
  [[nodiscard]] std::int64_t attach(BlockTables& tables, const BlockContent& content,
                                    std::int64_t computed, std::int64_t limit);
  // Lets others find the full blocks among the first `computed` tokens. Where somebody else offers
  // the same content already, the sequence takes over those blocks and gives its own back.
  void offer(BlockTables& tables, const BlockContent& content, std::int64_t computed) noexcept;

  // Bytes that a sequence of `tokens` holds at its largest, computed token by token.
  [[nodiscard]] std::int64_t peak_bytes(std::int64_t tokens) const;
  // The longest sequence that fits when it is alone; at most `limit`.
  [[nodiscard]] std::int64_t max_tokens(std::int64_t limit) const;
  [[nodiscard]] std::int64_t held_bytes(const BlockTables& tables) const;
  // One block of every group: what a running sequence may ask for at its next step.
  [[nodiscard]] std::int64_t step_bytes() const { return step_bytes_; }

  [[nodiscard]] std::int64_t total_bytes() const { return total_bytes_; }
  // Not held by a sequence; kept blocks count as free.
  [[nodiscard]] std::int64_t free_bytes() const { return total_bytes_ - used_bytes_; }
  [[nodiscard]] std::int64_t blocks_in_use() const { return blocks_in_use_; }
  [[nodiscard]] std::int64_t blocks_kept() const { return blocks_kept_; }
  [[nodiscard]] std::int32_t block_size() const { return block_size_; }

 private:
  struct Block {
    std::int32_t holders = 0;
    PrefixNode* node = nullptr;  // whose content it offers
    // While kept: its neighbours in the order in which they were let go, and when that was.
    nn::BlockId older = nn::kNoBlock;
    nn::BlockId newer = nn::kNoBlock;
    std::int64_t released = 0;
  };
  struct Group {
    std::size_t index = 0;
    std::int32_t window = 0;
    std::int32_t chunk = 0;
    std::int64_t bytes_per_block = 0;
    std::int64_t capacity = 0;  // ids run from 0 to capacity - 1
    std::int64_t in_use = 0;
    std::vector<Block> blocks;       // those that were handed out once
    std::vector<nn::BlockId> freed;  // a heap, lowest id on top; has room for every id handed out
    nn::BlockId oldest = nn::kNoBlock;  // of those kept
    nn::BlockId newest = nn::kNoBlock;

    Block& at(nn::BlockId id) { return blocks[static_cast<std::size_t>(id)]; }
  };

  // First block that a query at `position` sees.
  [[nodiscard]] std::int64_t first_seen_block(std::int64_t position, const Group& group) const;
  [[nodiscard]] std::int64_t missing_blocks(const BlockTables& tables, std::size_t group,
                                            std::int64_t tokens) const;
  [[nodiscard]] bool fits(const BlockTables& tables, std::int64_t tokens) const;
  nn::BlockId take(Group& group);
  void hold(Group& group, nn::BlockId id) noexcept;
  void give_back(Group& group, nn::BlockId id) noexcept;
  void set_free(Group& group, nn::BlockId id) noexcept;

  // block_sharing.cpp
  void keep(Group& group, nn::BlockId id) noexcept;
  void unlink(Group& group, nn::BlockId id) noexcept;
  void evict(Group& group) noexcept;  // its oldest kept block
  void evict_released_until(std::int64_t release) noexcept;
  void make_room(Group& group) noexcept;
  void read_block(const BlockContent& content, std::int64_t block);
  [[nodiscard]] std::int64_t usable_blocks(std::int64_t base) const;
  void adopt(BlockTables& tables, std::int64_t base, std::int64_t count);
  void offer_block(BlockTables& tables, PrefixNode& node) noexcept;

  std::int32_t block_size_;
  std::int64_t total_bytes_;
  std::int64_t used_bytes_ = 0;
  std::int64_t kept_bytes_ = 0;
  std::int64_t blocks_in_use_ = 0;
  std::int64_t blocks_kept_ = 0;
  std::int64_t step_bytes_ = 0;
  std::int64_t releases_ = 0;  // of sequences that offered something
  std::vector<Group> groups_;
  PrefixCacheOptions prefix_;
  PrefixTree tree_;
  // Reused from call to call.
  std::vector<std::int64_t> read_;  // content of a block
  std::vector<PrefixNode*> path_;   // that follows a sequence
};

}  // namespace mistral::engine
