// The engine over real decoders: the greedy ids of golden/text come out whatever else runs, however
// prompts are cut, and while blocks out of every window are given back.
#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "engine/client.h"
#include "models/golden_case.h"
#include "models/loader.h"

namespace mistral::engine {
namespace {

using test::Expected;

struct Case {
  std::vector<std::vector<TokenId>> prompts;
  std::vector<std::vector<TokenId>> greedy;
};

Case read_case(const std::filesystem::path& folder) {
  const Expected expected(folder / "expected.safetensors");
  Case result;
  result.prompts.push_back(expected.ids("input_ids"));
  result.greedy.push_back(
      expected.ids(expected.has("greedy_ids_keepcache") ? "greedy_ids_keepcache" : "greedy_ids"));
  if (!std::filesystem::exists(folder / "expected_batch.safetensors")) return result;
  const Expected batch(folder / "expected_batch.safetensors");
  for (int i = 0; batch.has("ids_" + std::to_string(i)); ++i) {
    result.prompts.push_back(batch.ids("ids_" + std::to_string(i)));
    result.greedy.push_back(batch.ids("greedy_ids_" + std::to_string(i)));
  }
  return result;
}

// All prompts in a shuffled order, each submitted while earlier ones run.
void ask_all(Engine& engine, const Case& wanted, unsigned seed) {
  std::vector<std::size_t> order(wanted.prompts.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::mt19937 random(seed);
  std::shuffle(order.begin(), order.end(), random);
  std::vector<RequestHandle> handles;
  for (const std::size_t i : order) {
    handles.push_back(engine.submit(
        request_of(wanted.prompts[i], static_cast<std::int64_t>(wanted.greedy[i].size()))));
    if (random() % 2 == 0) (void)handles.back().next_for(2);
  }
  for (std::size_t k = 0; k < order.size(); ++k) {
    const Outcome outcome = drain(handles[k]);
    const auto& greedy = wanted.greedy[order[k]];
    // The first tokens may have been read above.
    ASSERT_LE(outcome.tokens.size(), greedy.size());
    EXPECT_TRUE(std::equal(outcome.tokens.rbegin(), outcome.tokens.rend(), greedy.rbegin()))
        << "prompt " << order[k] << ", seed " << seed;
    EXPECT_GE(outcome.tokens.size() + 1, greedy.size());
  }
  EXPECT_EQ(engine.stats().blocks_in_use, 0);
}

void run_all(nn::SequenceModel& model, const Case& wanted, EngineOptions options, unsigned seed) {
  Engine engine(model, nullptr, {}, options);
  ask_all(engine, wanted, seed);
  if (options.prefix_cache_sequences == 0) return;
  ask_all(engine, wanted, seed);  // what is left in the cache changes nothing
  EXPECT_GT(engine.stats().cached_tokens, 0);
}

TEST(GoldenEngine, GreedyIdsOfEveryCase) {
  ThreadPool pool(2);
  int ran = 0;
  for (const auto& folder : test::case_folders("text")) {
    SCOPED_TRACE(folder.filename().string());
    const Case wanted = read_case(folder);
    models::LoadOptions options;
    options.context_length = 512;  // beyond what dynamic scaling was made for
    options.kv_cache_tokens = 512;
    options.kv_block_size = 8;
    const models::LoadedModel loaded = models::load(models::locate(folder), options, pool);
    run_all(*loaded.model, wanted, {}, 1);
    run_all(*loaded.model, wanted, {.prefill_chunk = 5}, 2);
    run_all(*loaded.model, wanted, {.max_sequences = 2, .prefill_chunk = 1}, 3);
    run_all(*loaded.model, wanted, {.prefix_cache_sequences = 0, .keep_cache = false}, 4);
    run_all(*loaded.model, wanted,
            {.drafter = std::make_shared<NgramDrafter>(), .max_drafts = 3, .adapt_drafts = false},
            5);
    ++ran;
  }
  EXPECT_GE(ran, 10);
}

// A cache that holds little more than one sequence: others are preempted and computed again.
TEST(GoldenEngine, GreedyIdsUnderPreemption) {
  ThreadPool pool(2);
  int ran = 0;
  std::int64_t preemptions = 0;
  for (const auto& folder : test::case_folders("text")) {
    if (!std::filesystem::exists(folder / "expected_batch.safetensors")) continue;
    SCOPED_TRACE(folder.filename().string());
    const Case wanted = read_case(folder);
    models::LoadOptions options;
    options.kv_cache_tokens = 104;
    options.kv_block_size = 8;
    models::LoadedModel loaded = models::load(models::locate(folder), options, pool);
    Engine engine(*loaded.model, nullptr, {}, {.prefill_chunk = 16});
    std::vector<RequestHandle> handles;
    for (std::size_t i = 0; i < wanted.prompts.size(); ++i) {
      handles.push_back(engine.submit(
          request_of(wanted.prompts[i], static_cast<std::int64_t>(wanted.greedy[i].size()))));
    }
    for (std::size_t i = 0; i < handles.size(); ++i) {
      EXPECT_EQ(drain(handles[i]).tokens, wanted.greedy[i]) << "prompt " << i;
    }
    preemptions += engine.stats().preemptions;
    ++ran;
  }
  EXPECT_GE(ran, 1);
  EXPECT_GT(preemptions, 0);
}

}  // namespace
}  // namespace mistral::engine
