// Sequences that begin alike share what was computed, and nobody can tell from the answers.
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "engine/block_manager.h"
#include "engine/client.h"
#include "engine/engine.h"
#include "engine/fakes.h"
#include "engine/prefix_tree.h"

namespace mistral::engine {
namespace {

using nn::CacheGroup;
using nn::kNoBlock;

constexpr std::int32_t kBlock = 4;

// A sequence that computes its tokens at once.
struct Holder {
  std::vector<TokenId> tokens;
  std::int64_t prompt_length = 0;
  BlockTables tables = {};

  [[nodiscard]] BlockContent content() const {
    return {.tokens = tokens, .prompt_length = prompt_length};
  }
  // Returns what it found in the cache.
  std::int64_t run(BlockManager& blocks) {
    const auto length = static_cast<std::int64_t>(tokens.size());
    const std::int64_t found = blocks.attach(tables, content(), 0, length - 1);
    EXPECT_TRUE(blocks.grow(tables, length));
    blocks.offer(tables, content(), length);
    return found;
  }
};

std::vector<TokenId> tokens(std::int64_t count, TokenId first = 0) {
  std::vector<TokenId> result;
  for (TokenId i = 0; i < count; ++i) result.push_back(first + i);
  return result;
}

TEST(PrefixTree, ForgetsWhatNobodyKeeps) {
  PrefixTree tree(1);
  PrefixNode* root = tree.root(5);
  EXPECT_EQ(tree.root(5), root);
  EXPECT_NE(tree.root(6), root);
  const std::vector<std::int64_t> a = {1, 2};
  const std::vector<std::int64_t> b = {2, 1};
  PrefixNode* first = tree.child(root, a);
  PrefixNode* second = tree.child(first, a);
  EXPECT_EQ(second->depth, 2);
  EXPECT_EQ(tree.find(root, a), first);
  EXPECT_EQ(tree.find(first, a), second);
  EXPECT_EQ(tree.find(first, b), nullptr);
  tree.hold(*second, 0, 7);
  EXPECT_EQ(tree.size(), 4U);
  tree.drop(*second, 0);
  EXPECT_EQ(tree.size(), 2U);  // the roots, which are in use
  tree.leave(*root);
  tree.leave(*root);
  EXPECT_EQ(tree.size(), 1U);
}

TEST(PrefixCache, WindowsNeedOnlyWhatTheySee) {
  const std::vector<CacheGroup> groups = {{.window = 5, .bytes_per_block = 1}};
  BlockManager blocks(groups, kBlock, 100);
  Holder first{.tokens = tokens(30)};
  first.run(blocks);
  blocks.release(first.tables);
  EXPECT_EQ(blocks.blocks_kept(), 7);
  Holder second{.tokens = tokens(30)};
  EXPECT_EQ(second.run(blocks), 28);
  // A query at 28 sees 24 and later.
  EXPECT_EQ(second.tables.groups[0][5], kNoBlock);
  EXPECT_NE(second.tables.groups[0][6], kNoBlock);
  EXPECT_EQ(blocks.held_bytes(second.tables), 2);
  EXPECT_EQ(blocks.blocks_in_use(), 2);
}

TEST(PrefixCache, TheLongestBeginningOfWhichAllGroupsHaveEverything) {
  // The small group's blocks are let go first when memory is short.
  const std::vector<CacheGroup> groups = {{.window = 0, .bytes_per_block = 1},
                                          {.window = 8, .bytes_per_block = 1}};
  BlockManager blocks(groups, kBlock, 12);
  Holder first{.tokens = tokens(16)};
  first.run(blocks);  // 4 + 4
  blocks.release(first.tables);
  Holder other{.tokens = tokens(12, 100)};
  other.run(blocks);  // 3 + 3: two kept ones must go
  EXPECT_LT(blocks.blocks_kept(), 8);
  EXPECT_GT(blocks.blocks_kept(), 4);
  blocks.release(other.tables);
  Holder again{.tokens = tokens(17)};
  const std::int64_t found = again.run(blocks);
  EXPECT_LT(found, 16);
  EXPECT_GT(found, 0);
}

TEST(PrefixCache, RotationsThatDifferAreNotShared) {
  const std::vector<CacheGroup> groups = {{.window = 0, .bytes_per_block = 1}};
  // As dynamic scaling: beyond 20 positions each length has its own.
  BlockManager blocks(groups, kBlock, 1000,
                      {.rope_key = [](std::int32_t length) { return length <= 20 ? 0 : length; }});
  Holder short_one{.tokens = tokens(18), .prompt_length = 18};
  short_one.run(blocks);
  Holder grown{.tokens = tokens(30), .prompt_length = 18};  // 12 of them generated
  EXPECT_EQ(grown.run(blocks), 16);
  Holder long_one{.tokens = tokens(30), .prompt_length = 30};
  EXPECT_EQ(long_one.run(blocks), 0);
  Holder same{.tokens = tokens(30), .prompt_length = 30};
  EXPECT_EQ(same.run(blocks), 28);
  Holder grown_alike{.tokens = tokens(30), .prompt_length = 17};
  EXPECT_EQ(grown_alike.run(blocks), 28);
}

TEST(PrefixCache, EqualWorkAtTheSameTimeIsMerged) {
  const std::vector<CacheGroup> groups = {{.window = 0, .bytes_per_block = 1}};
  BlockManager blocks(groups, kBlock, 100);
  Holder a{.tokens = tokens(10)};
  Holder b{.tokens = tokens(10)};
  ASSERT_TRUE(blocks.grow(a.tables, 10));
  ASSERT_TRUE(blocks.grow(b.tables, 10));
  EXPECT_EQ(blocks.blocks_in_use(), 6);
  blocks.offer(a.tables, a.content(), 10);
  blocks.offer(b.tables, b.content(), 10);
  EXPECT_EQ(blocks.blocks_in_use(), 4);
  EXPECT_EQ(a.tables.groups[0][1], b.tables.groups[0][1]);
  EXPECT_NE(a.tables.groups[0][2], b.tables.groups[0][2]);
  blocks.release(a.tables);
  blocks.release(b.tables);
  EXPECT_EQ(blocks.blocks_in_use(), 0);
  EXPECT_EQ(blocks.blocks_kept(), 2);
}

TEST(PrefixCache, SecondAskingIsCheapAndSaysSo) {
  FakeModel model;
  Engine engine(model, nullptr, {}, {});
  const std::vector<TokenId> prompt = tokens(200);
  EXPECT_EQ(answer(engine, request_of(prompt, 3)).end.usage.cached_tokens, 0);
  const Outcome second = answer(engine, request_of(prompt, 3));
  EXPECT_EQ(second.tokens, expected_tokens(model, prompt, 3));
  EXPECT_EQ(second.end.usage.cached_tokens, 192);
  Request salted = request_of(prompt, 3);
  salted.cache_salt = 8;
  EXPECT_EQ(answer(engine, salted).end.usage.cached_tokens, 0);
  EXPECT_EQ(answer(engine, salted).end.usage.cached_tokens, 192);
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.prompt_tokens, 800);
  EXPECT_EQ(stats.cached_tokens, 384);
  EXPECT_EQ(stats.blocks_in_use, 0);
  EXPECT_GT(stats.blocks_kept, 0);
}

TEST(PrefixCache, TurnsOfAChatAreComputedOnce) {
  FakeModel model;
  Engine engine(model, nullptr, {}, {});
  std::vector<TokenId> history = tokens(40);
  for (int turn = 0; turn < 10; ++turn) {
    const Outcome outcome = answer(engine, request_of(history, 20));
    EXPECT_EQ(outcome.tokens, expected_tokens(model, history, 20));
    // All but the last block of what was there before.
    if (turn > 0) {
      EXPECT_GE(outcome.end.usage.cached_tokens, outcome.end.usage.prompt_tokens - 7 - model.block);
    }
    history.insert(history.end(), outcome.tokens.begin(), outcome.tokens.end());
    for (TokenId i = 0; i < 7; ++i) history.push_back(i);
  }
}

TEST(PrefixCache, AnswersToOnePromptShareIt) {
  for (const std::int64_t keep : {std::int64_t{0}, std::int64_t{100}}) {
    FakeModel model;
    std::atomic<int> rows{0};
    model.on_step = [&rows](const nn::Batch& batch) { rows += batch.rows(); };
    Engine engine(model, nullptr, {}, {.prefix_cache_sequences = keep});
    Request request = request_of(tokens(120), 5);
    std::vector<RequestHandle> handles = engine.submit(request, 4);
    ASSERT_EQ(handles.size(), 4U);
    for (RequestHandle& handle : handles) {
      EXPECT_EQ(drain(handle).tokens, expected_tokens(model, request.prompt, 5));
    }
    EXPECT_LE(rows, 120 + 3 * model.block + 4 * 4);
    EXPECT_EQ(engine.stats().blocks_in_use, 0);
    if (keep == 0) {
      EXPECT_EQ(engine.stats().blocks_kept, 0);
      EXPECT_EQ(answer(engine, request).end.usage.cached_tokens, 0);
    }
  }
}

TEST(PrefixCache, AnswersToOnePromptHaveSeedsOfTheirOwn) {
  FakeModel model;
  model.on_logits = [](const nn::BatchSequence&, std::int64_t, std::span<float> row) {
    std::fill(row.begin(), row.end(), 0.0F);
  };
  Engine engine(model, nullptr, {}, {});
  Request request = request_of({1, 2, 3}, 8);
  request.sampling.temperature = 1.0;
  request.sampling.seed = 5;
  std::vector<RequestHandle> handles = engine.submit(request, 3);
  for (RequestHandle& handle : handles) {
    EXPECT_EQ(drain(handle).tokens, answer(engine, request).tokens);
    ++*request.sampling.seed;
  }
  EXPECT_THROW((void)engine.submit(request, 0), Error);
}

// Prompts of few beginnings over a small cache, for whatever may go wrong with sharing.
TEST(PrefixCache, RandomSharingChangesNoAnswer) {
  for (const bool keep : {true, false}) {
    FakeModel model;
    model.bytes = 50 * 96;
    Engine engine(model, nullptr, {}, {.max_sequences = 6, .prefill_chunk = 9, .keep_cache = keep});
    std::mt19937 random(3);
    for (int round = 0; round < 20; ++round) {
      std::vector<Request> requests;
      std::vector<RequestHandle> handles;
      for (int i = 0; i < 8; ++i) {
        std::vector<TokenId> prompt = tokens(1 + static_cast<std::int64_t>(random() % 90));
        for (auto k = random() % 10; k > 0; --k) {
          prompt.push_back(static_cast<TokenId>(random() % 3));
        }
        requests.push_back(request_of(prompt, 1 + static_cast<std::int64_t>(random() % 40)));
        handles.push_back(engine.submit(requests.back()));
      }
      for (std::size_t i = 0; i < handles.size(); ++i) {
        EXPECT_EQ(drain(handles[i]).tokens,
                  expected_tokens(model, requests[i].prompt, *requests[i].sampling.max_tokens));
      }
    }
    EXPECT_EQ(engine.stats().blocks_in_use, 0);
    EXPECT_EQ(engine.stats().cached_tokens > 0, keep);
  }
}

}  // namespace
}  // namespace mistral::engine
