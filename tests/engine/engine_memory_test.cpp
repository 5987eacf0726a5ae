// Memory that runs out at any point of a step ends one request and leaves the engine sound.
#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "engine/client.h"
#include "engine/engine.h"
#include "engine/fakes.h"
#include "engine/model_drafter.h"

namespace {

// Of the engine's thread only: how many more allocations succeed; below 0: all.
thread_local bool watched = false;
std::atomic<int> allocations_left{-1};
std::atomic<int> failures{0};

void* allocate(std::size_t size) {
  if (watched && allocations_left.load() >= 0 && allocations_left.fetch_sub(1) == 0) {
    ++failures;
    throw std::bad_alloc();
  }
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) {
  return allocate(size);
}
void* operator new[](std::size_t size) {
  return allocate(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace mistral::engine {
namespace {

TEST(EngineMemory, ItRunsOutForOneRequestAtATime) {
  FakeModel model;
  model.bytes = 60 * 96;
  FakeModel guesser;
  model.on_step = [](const nn::Batch&) { watched = true; };
  EngineOptions options;
  options.max_sequences = 5;
  options.prefill_chunk = 9;
  options.drafter = std::make_shared<ModelDrafter>(guesser, model.vocab);
  options.max_drafts = 3;
  options.adapt_drafts = false;
  Engine engine(model, nullptr, {}, options);
  std::mt19937 random(11);
  int failed = 0;
  int answered = 0;
  for (int round = 0; round < 300; ++round) {
    std::vector<Request> requests;
    std::vector<RequestHandle> handles;
    for (int i = 0; i < 6; ++i) {
      std::vector<TokenId> prompt;
      for (auto k = 1 + random() % 50; k > 0; --k) prompt.push_back(static_cast<TokenId>(k % 7));
      requests.push_back(request_of(prompt, 1 + static_cast<std::int64_t>(random() % 20)));
      handles.push_back(engine.submit(requests.back()));
    }
    const int before = failures;
    allocations_left = static_cast<int>(random() % 400);
    int failed_now = 0;
    for (std::size_t i = 0; i < handles.size(); ++i) {
      const Outcome outcome = drain(handles[i]);
      if (outcome.end.reason == FinishReason::kError) {
        EXPECT_EQ(outcome.end.error, "out of memory");
        ++failed_now;
        continue;
      }
      EXPECT_EQ(outcome.tokens,
                expected_tokens(model, requests[i].prompt, *requests[i].sampling.max_tokens));
      ++answered;
    }
    allocations_left = -1;
    // Guesses, sharing and the like do without.
    EXPECT_LE(failed_now, failures - before);
    failed += failed_now;
    EXPECT_EQ(engine.stats().blocks_in_use, 0);
  }
  EXPECT_GT(failed, 20);
  EXPECT_GT(answered, 1000);
}

}  // namespace
}  // namespace mistral::engine
