#include "engine/block_manager.h"

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"

namespace mistral::engine {
namespace {

using nn::CacheGroup;
using nn::kNoBlock;

const std::vector<CacheGroup> kFull = {{.window = 0, .bytes_per_block = 100}};

TEST(BlockManager, GrowsLazilyFromTheLowestIds) {
  BlockManager manager(kFull, 8, 1000);
  BlockTables a;
  BlockTables b;
  ASSERT_TRUE(manager.grow(a, 1));
  EXPECT_EQ(a.groups[0], (std::vector<nn::BlockId>{0}));
  ASSERT_TRUE(manager.grow(a, 8));
  EXPECT_EQ(a.groups[0].size(), 1U);
  ASSERT_TRUE(manager.grow(b, 9));
  EXPECT_EQ(b.groups[0], (std::vector<nn::BlockId>{1, 2}));
  ASSERT_TRUE(manager.grow(a, 9));
  EXPECT_EQ(a.groups[0], (std::vector<nn::BlockId>{0, 3}));
  EXPECT_EQ(manager.blocks_in_use(), 4);
  EXPECT_EQ(manager.held_bytes(a), 200);
  manager.release(a);
  EXPECT_EQ(manager.blocks_in_use(), 2);
  BlockTables c;
  ASSERT_TRUE(manager.grow(c, 24));
  EXPECT_EQ(c.groups[0], (std::vector<nn::BlockId>{0, 3, 4}));  // freed ones first, lowest first
  manager.release(b);
  manager.release(c);
  EXPECT_EQ(manager.free_bytes(), 1000);
}

TEST(BlockManager, GrowingIsAllOrNothing) {
  const std::vector<CacheGroup> groups = {{.window = 0, .bytes_per_block = 100},
                                          {.window = 8, .bytes_per_block = 50}};
  BlockManager manager(groups, 8, 400);
  BlockTables a;
  ASSERT_TRUE(manager.grow(a, 16));  // 2 * 150
  EXPECT_FALSE(manager.grow(a, 17));
  EXPECT_EQ(manager.held_bytes(a), 300);
  EXPECT_EQ(manager.growth(a, 10, 20), 6);
  manager.release_unseen(a, 16);  // a query at 16 sees 9 and later of the window group
  EXPECT_EQ(a.groups[1], (std::vector<nn::BlockId>{kNoBlock, 1}));
  EXPECT_EQ(a.groups[0], (std::vector<nn::BlockId>{0, 1}));
  EXPECT_TRUE(manager.grow(a, 17));
  EXPECT_EQ(a.groups[1], (std::vector<nn::BlockId>{kNoBlock, 1, 0}));
  EXPECT_EQ(manager.free_bytes(), 0);
  manager.release(a);
  EXPECT_EQ(manager.free_bytes(), 400);
}

TEST(BlockManager, ReleasesExactlyWhatNoQueryCanSee) {
  for (const std::int32_t window : {1, 2, 3, 4, 5, 7, 8, 9, 20}) {
    const std::vector<CacheGroup> groups = {{.window = window, .bytes_per_block = 1}};
    constexpr std::int32_t kBlock = 4;
    BlockManager manager(groups, kBlock, 1000);
    BlockTables tables;
    for (std::int64_t p = 0; p < 60; ++p) {
      manager.release_unseen(tables, p);
      ASSERT_TRUE(manager.grow(tables, p + 1));
      for (std::int64_t block = 0; block <= p / kBlock; ++block) {
        bool seen = false;  // by a query at p or later
        for (std::int64_t key = block * kBlock; key < (block + 1) * kBlock; ++key) {
          if (key >= p - window + 1) seen = true;
        }
        EXPECT_EQ(tables.groups[0][static_cast<std::size_t>(block)] != kNoBlock, seen)
            << "window " << window << ", position " << p << ", block " << block;
      }
    }
  }
}

TEST(BlockManager, PeakBytesIsWhatAWalkNeeds) {
  for (const std::int32_t window : {0, 1, 5, 8, 9, 30}) {
    const std::vector<CacheGroup> groups = {{.window = 0, .bytes_per_block = 3},
                                            {.window = window, .bytes_per_block = 7}};
    for (std::int64_t tokens = 1; tokens < 70; ++tokens) {
      BlockManager manager(groups, 8, 100000);
      BlockTables tables;
      std::int64_t peak = 0;
      for (std::int64_t p = 0; p < tokens; ++p) {
        manager.release_unseen(tables, p);
        ASSERT_TRUE(manager.grow(tables, p + 1));
        peak = std::max(peak, manager.held_bytes(tables));
      }
      EXPECT_EQ(manager.peak_bytes(tokens), peak) << "window " << window << ", tokens " << tokens;
      BlockManager tight(groups, 8, peak);
      EXPECT_GE(tight.max_tokens(1000), tokens);
      BlockManager tighter(groups, 8, peak - 1);
      EXPECT_LT(tighter.max_tokens(1000), tokens);
    }
  }
}

TEST(BlockManager, ChunksAreReleasedAsAWhole) {
  for (const std::int32_t chunk : {1, 4, 6, 10, 16, 100}) {
    const std::vector<CacheGroup> groups = {{.window = 0, .bytes_per_block = 3},
                                            {.chunk = chunk, .bytes_per_block = 7}};
    BlockManager manager(groups, 4, 100'000);
    BlockTables tables;
    std::int64_t peak = 0;
    for (std::int32_t p = 0; p < 70; ++p) {
      ASSERT_TRUE(manager.grow(tables, p + 1));
      peak = std::max(peak, manager.held_bytes(tables));
      EXPECT_EQ(manager.peak_bytes(p + 1), peak) << "chunk " << chunk << ", position " << p;
      manager.release_unseen(tables, p + 1);
      for (std::size_t block = 0; block < tables.groups[1].size(); ++block) {
        const auto last = static_cast<std::int32_t>(block) * 4 + 3;
        const bool unseen = last < (p + 1) / chunk * chunk;
        EXPECT_EQ(tables.groups[1][block] == kNoBlock, unseen)
            << "chunk " << chunk << ", position " << p << ", block " << block;
      }
    }
  }
}

TEST(BlockManager, KeepsTrackUnderRandomUse) {
  const std::vector<CacheGroup> groups = {{.window = 0, .bytes_per_block = 5},
                                          {.window = 11, .bytes_per_block = 3},
                                          {.window = 40, .bytes_per_block = 2}};
  constexpr std::int64_t kBytes = 500;
  BlockManager manager(groups, 8, kBytes);
  std::mt19937 random(17);
  struct User {
    BlockTables tables;
    std::int64_t length = 0;
  };
  std::vector<User> users(9);
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    User& user = users[random() % users.size()];
    const unsigned action = random() % 16;
    if (action == 0) {
      manager.release(user.tables);
      user.length = 0;
    } else if (action < 5) {
      manager.release_unseen(user.tables, user.length);
    } else {
      const std::int64_t more = 1 + static_cast<std::int64_t>(random() % 12);
      const std::int32_t possible = manager.growth(user.tables, user.length, 12);
      const bool grown = manager.grow(user.tables, user.length + more);
      EXPECT_EQ(grown, more <= possible);
      if (grown) user.length += more;
      refused += grown ? 0 : 1;
    }
    std::int64_t bytes = 0;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      std::set<nn::BlockId> ids;
      for (const User& other : users) {
        if (other.tables.groups.empty()) continue;
        for (const nn::BlockId id : other.tables.groups[g]) {
          if (id == kNoBlock) continue;
          EXPECT_TRUE(ids.insert(id).second) << "block " << id << " belongs to two";
          EXPECT_LT(id, kBytes / groups[g].bytes_per_block);
          bytes += groups[g].bytes_per_block;
        }
      }
    }
    ASSERT_EQ(bytes, kBytes - manager.free_bytes());
    ASSERT_GE(manager.free_bytes(), 0);
  }
  EXPECT_GT(refused, 100);  // the budget was really exhausted
}

TEST(BlockManager, RefusesNonsense) {
  EXPECT_THROW(BlockManager(kFull, 0, 100), Error);
  const std::vector<CacheGroup> empty_block = {{.window = 0, .bytes_per_block = 0}};
  EXPECT_THROW(BlockManager(empty_block, 8, 100), Error);
  BlockManager nothing(kFull, 8, -5);
  BlockTables tables;
  EXPECT_FALSE(nothing.grow(tables, 1));
  EXPECT_EQ(nothing.max_tokens(100), 0);
}

}  // namespace
}  // namespace mistral::engine
