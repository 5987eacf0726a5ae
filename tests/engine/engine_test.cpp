#include "engine/engine.h"

#include <chrono>
#include <cmath>
#include <condition_variable>
#include <ctime>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "engine/client.h"
#include "engine/fakes.h"

namespace mistral::engine {
namespace {

std::vector<TokenId> random_prompt(std::mt19937& random, int low, int high) {
  std::vector<TokenId> prompt(static_cast<std::size_t>(
      low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1))));
  for (TokenId& id : prompt) id = static_cast<TokenId>(random() % 256);
  return prompt;
}

// Makes a fake model answer with given ids: row logits at prompt end + i favour script[i].
void script(FakeModel& model, std::size_t prompt_length, std::vector<TokenId> ids) {
  model.on_logits = [prompt_length, ids](const nn::BatchSequence&, std::int64_t position,
                                         std::span<float> row) {
    const std::int64_t i = position - static_cast<std::int64_t>(prompt_length) + 1;
    if (i < 0) return;
    std::fill(row.begin(), row.end(), 0.0F);
    row[static_cast<std::size_t>(ids.at(std::min(static_cast<std::size_t>(i), ids.size() - 1)))] =
        9;
  };
}

TEST(Engine, OneRequestGivesWhatTheModelSays) {
  FakeModel model;
  FakeTokenizer tokenizer;
  Engine engine(model, &tokenizer, {299}, {});
  const std::vector<TokenId> prompt = {1, 2, 3};
  const Outcome outcome = answer(engine, request_of(prompt, 50));
  EXPECT_EQ(outcome.tokens, expected_tokens(model, prompt, 50));
  EXPECT_EQ(outcome.end.reason, FinishReason::kLength);
  EXPECT_EQ(outcome.end.usage.prompt_tokens, 3);
  EXPECT_EQ(outcome.end.usage.completion_tokens, 50);
  EXPECT_EQ(outcome.end.usage.cached_tokens, 0);
  EXPECT_GE(outcome.end.usage.prompt_seconds, 0);
  EXPECT_GE(outcome.end.usage.completion_seconds, 0);
  EXPECT_TRUE(outcome.end.error.empty());
}

TEST(Engine, LongPromptsRunInChunks) {
  for (const std::int32_t chunk : {1, 7, 64, 1000}) {
    FakeModel model;
    std::mt19937 random(5);
    const std::vector<TokenId> prompt = random_prompt(random, 333, 333);
    Engine engine(model, nullptr, {}, {.prefill_chunk = chunk});
    EXPECT_EQ(answer(engine, request_of(prompt, 9)).tokens, expected_tokens(model, prompt, 9));
    EXPECT_EQ(model.steps, 8 + (333 + std::min(chunk, 64) - 1) / std::min(chunk, 64));
  }
}

// Many clients at once over a cache that is too small for all: answers are those of each alone.
TEST(Engine, BatchMatesAndPreemptionChangeNothing) {
  FakeModel model;
  model.bytes = 40 * 96;  // about 320 tokens
  Engine engine(model, nullptr, {}, {.max_sequences = 8, .prefill_chunk = 16});
  std::vector<std::thread> clients;
  std::atomic<int> wrong{0};
  for (int client = 0; client < 6; ++client) {
    clients.emplace_back([&, client] {
      std::mt19937 random(static_cast<unsigned>(client));
      for (int i = 0; i < 12; ++i) {
        const std::vector<TokenId> prompt = random_prompt(random, 1, 90);
        const std::int64_t count = 1 + static_cast<std::int64_t>(random() % 60);
        const Outcome outcome = answer(engine, request_of(prompt, count));
        if (outcome.tokens != expected_tokens(model, prompt, count) ||
            outcome.end.reason != FinishReason::kLength) {
          ++wrong;
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(model.widest, 1);
}

TEST(Engine, PreemptedAnswersGoOnWhereTheyWere) {
  FakeModel model;
  model.bytes = 12 * 96;
  // Holds the engine until all requests are queued, so that they run together.
  std::mutex gate;
  gate.lock();
  model.on_step = [&gate](const nn::Batch&) { const std::lock_guard lock(gate); };
  Engine engine(model, nullptr, {}, {});
  std::vector<RequestHandle> handles;
  for (TokenId i = 0; i < 4; ++i) {
    Request request = request_of({i, i, i}, 60);
    request.sampling.temperature = 1.0;  // drawing, too, must not notice
    request.sampling.seed = 77;
    handles.push_back(engine.submit(request));
  }
  gate.unlock();
  std::vector<Outcome> together;
  for (RequestHandle& handle : handles) together.push_back(drain(handle));
  EXPECT_GT(engine.stats().preemptions, 0);
  for (TokenId i = 0; i < 4; ++i) {
    Request request = request_of({i, i, i}, 60);
    request.sampling.temperature = 1.0;
    request.sampling.seed = 77;
    EXPECT_EQ(answer(engine, request).tokens, together[static_cast<std::size_t>(i)].tokens);
  }
}

TEST(Engine, SeedsReproduceAndFreshOnesDiffer) {
  FakeModel model;
  Engine engine(model, nullptr, {}, {});
  Request request = request_of({5}, 30);
  request.sampling.temperature = 5.0;
  const Outcome one = answer(engine, request);
  const Outcome two = answer(engine, request);
  EXPECT_NE(one.tokens, two.tokens);
  request.sampling.seed = 4;
  EXPECT_EQ(answer(engine, request).tokens, answer(engine, request).tokens);
}

TEST(Engine, EndTokensEndAndAreCounted) {
  FakeModel model;
  FakeTokenizer tokenizer;
  tokenizer.words = {"<end>", "<stop>"};
  tokenizer.special = {256, 257};
  for (const TokenId end : {256, 257}) {
    script(model, 2, {'H', 'i', end, 'x'});
    Engine engine(model, &tokenizer, {257, 256}, {});
    const Outcome outcome = answer(engine, request_of({1, 2}, 100));
    EXPECT_EQ(outcome.tokens, (std::vector<TokenId>{'H', 'i', end}));
    EXPECT_EQ(outcome.text, "Hi");
    EXPECT_EQ(outcome.end.reason, FinishReason::kStop);
    EXPECT_EQ(outcome.end.usage.completion_tokens, 3);

    Request on = request_of({1, 2}, 5);
    on.sampling.ignore_eos = true;
    const Outcome longer = answer(engine, on);
    EXPECT_EQ(longer.tokens, (std::vector<TokenId>{'H', 'i', end, 'x', 'x'}));
    EXPECT_EQ(longer.text, "Hixx");
    EXPECT_EQ(longer.end.reason, FinishReason::kLength);
  }
}

TEST(Engine, MaxTokensIsExact) {
  FakeModel model;
  Engine engine(model, nullptr, {}, {});
  for (const std::int64_t count : {1, 2, 3}) {
    const Outcome outcome = answer(engine, request_of({1}, count));
    EXPECT_EQ(static_cast<std::int64_t>(outcome.tokens.size()), count);
    EXPECT_EQ(outcome.end.usage.completion_tokens, count);
    EXPECT_EQ(outcome.end.reason, FinishReason::kLength);
  }
}

TEST(Engine, AFullContextEndsTheAnswer) {
  FakeModel model;
  model.context = 20;
  Engine engine(model, nullptr, {}, {});
  Request request;
  request.prompt = std::vector<TokenId>(15, 3);
  const Outcome outcome = answer(engine, request);
  EXPECT_EQ(outcome.tokens.size(), 5U);
  EXPECT_EQ(outcome.end.reason, FinishReason::kLength);
  request.prompt.assign(20, 3);  // nothing left, but a token can still be said
  EXPECT_EQ(answer(engine, request).tokens.size(), 1U);
}

TEST(Engine, AFullCacheEndsTheAnswer) {
  FakeModel model;
  model.groups = {{.window = 0, .bytes_per_block = 10}};
  model.bytes = 40;  // 32 tokens
  Engine engine(model, nullptr, {}, {});
  Request request;
  request.prompt = std::vector<TokenId>(10, 3);
  const Outcome outcome = answer(engine, request);
  EXPECT_EQ(outcome.end.reason, FinishReason::kLength);
  EXPECT_EQ(outcome.tokens, expected_tokens(model, request.prompt, 23));  // the last is not cached
  EXPECT_EQ(engine.stats().blocks_in_use, 0);
}

TEST(Engine, StopStringsAreCutAcrossTokens) {
  FakeModel model;
  FakeTokenizer tokenizer;
  tokenizer.words = {"a STO", "P b"};
  script(model, 1, {'x', 256, 257, 'y'});
  Engine engine(model, &tokenizer, {}, {});
  Request request = request_of({1}, 50);
  request.sampling.stop = {"never", "STOP"};
  const Outcome outcome = answer(engine, request);
  EXPECT_EQ(outcome.text, "xa ");
  EXPECT_EQ(outcome.pieces, (std::vector<std::string>{"x", "a ", ""}));
  EXPECT_EQ(outcome.tokens, (std::vector<TokenId>{'x', 256, 257}));
  EXPECT_EQ(outcome.end.reason, FinishReason::kStop);
  EXPECT_EQ(outcome.end.usage.completion_tokens, 3);
}

TEST(Engine, TextHeldBackComesOutAtTheEnd) {
  FakeModel model;
  FakeTokenizer tokenizer;
  script(model, 1, {'a', 'S', 'T'});
  Engine engine(model, &tokenizer, {}, {});
  Request request = request_of({1}, 3);
  request.sampling.stop = {"STOP"};
  const Outcome outcome = answer(engine, request);
  EXPECT_EQ(outcome.pieces, (std::vector<std::string>{"a", "", ""}));
  EXPECT_EQ(outcome.end.text, "ST");
  EXPECT_EQ(outcome.end.reason, FinishReason::kLength);
}

TEST(Engine, CharactersAreNeverSplit) {
  FakeModel model;
  FakeTokenizer tokenizer;
  const std::string text = "é€😀";
  std::vector<TokenId> ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  script(model, 1, ids);
  Engine engine(model, &tokenizer, {}, {});
  const auto size = static_cast<std::int64_t>(ids.size());
  const Outcome outcome = answer(engine, request_of({1}, size));
  EXPECT_EQ(outcome.text, text);
  EXPECT_EQ(outcome.pieces, (std::vector<std::string>{"", "é", "", "", "€", "", "", "", "😀"}));
  // A character cut off by the limit shows as the replacement character, at the end only.
  const Outcome cut = answer(engine, request_of({1}, size - 1));
  EXPECT_EQ(cut.text, "é€\uFFFD");
  EXPECT_EQ(cut.end.text, "\uFFFD");
}

TEST(Engine, CancelledRequestsEndSoon) {
  FakeModel model;
  Engine engine(model, nullptr, {}, {.max_sequences = 1});
  RequestHandle running = engine.submit(request_of({1}, 4000));
  RequestHandle waiting = engine.submit(request_of({2}, 4000));
  ASSERT_TRUE(std::holds_alternative<TokenEvent>(running.next()));
  waiting.cancel();
  EXPECT_EQ(drain(waiting).end.reason, FinishReason::kCancelled);
  running.cancel();
  running.cancel();
  const Outcome outcome = drain(running);
  EXPECT_EQ(outcome.end.reason, FinishReason::kCancelled);
  EXPECT_LT(outcome.tokens.size(), 3999U);
  EXPECT_EQ(outcome.end.usage.completion_tokens,
            static_cast<std::int64_t>(outcome.tokens.size()) + 1);
  EXPECT_THROW((void)running.next(), Error);
  EXPECT_THROW((void)running.next_for(1), Error);
}

TEST(Engine, DroppingTheHandleCancels) {
  FakeModel model;
  Engine engine(model, nullptr, {}, {.max_sequences = 1});
  { RequestHandle dropped = engine.submit(request_of({1}, 4000)); }
  RequestHandle replaced = engine.submit(request_of({1}, 4000));
  replaced = engine.submit(request_of({3}, 3));
  EXPECT_EQ(drain(replaced).tokens, expected_tokens(model, {3}, 3));
  EXPECT_LT(model.steps, 4000);
}

TEST(Engine, DestructionCancelsEverything) {
  FakeModel model;
  auto engine = std::make_unique<Engine>(model, nullptr, std::vector<TokenId>{},
                                         EngineOptions{.max_sequences = 2});
  std::vector<RequestHandle> handles;
  for (int i = 0; i < 5; ++i) handles.push_back(engine->submit(request_of({1}, 4000)));
  engine.reset();
  for (RequestHandle& handle : handles) {
    EXPECT_EQ(drain(handle).end.reason, FinishReason::kCancelled);
  }
}

TEST(Engine, NextForGivesUp) {
  FakeModel model;
  std::mutex gate;
  gate.lock();
  model.on_step = [&gate](const nn::Batch&) { const std::lock_guard lock(gate); };
  Engine engine(model, nullptr, {}, {});
  RequestHandle handle = engine.submit(request_of({1}, 1));
  EXPECT_FALSE(handle.next_for(1).has_value());
  gate.unlock();
  EXPECT_TRUE(handle.next_for(60'000).has_value());
}

TEST(Engine, PromptLogitsOfEveryRowInOrderAndBounded) {
  FakeModel model;
  model.vocab = 1 << 20;  // 4 MiB a row: at most 16 rows fit into 64 MiB
  std::mt19937 random(9);
  const std::vector<TokenId> prompt = random_prompt(random, 70, 70);
  Engine engine(model, nullptr, {}, {});
  Request request = request_of(prompt, 2);
  std::vector<TokenId> best;
  request.on_prompt_logits = [&best](std::int64_t position, std::span<const float> row) {
    EXPECT_EQ(position, static_cast<std::int64_t>(best.size()));
    EXPECT_EQ(row.size(), std::size_t{1} << 20U);
    best.push_back(static_cast<TokenId>(std::max_element(row.begin(), row.end()) - row.begin()));
  };
  RequestHandle handle = engine.submit(request);
  const Outcome outcome = drain(handle);
  ASSERT_EQ(best.size(), 70U);
  for (std::size_t i = 0; i < 70; ++i) {
    EXPECT_EQ(best[i], model.next_token(std::span(prompt).first(i + 1)));
  }
  EXPECT_EQ(outcome.tokens, expected_tokens(model, prompt, 2));
  EXPECT_LE(model.most_logits, 17);
}

TEST(Engine, PromptLogitsSurvivePreemption) {
  FakeModel model;
  model.bytes = 12 * 96;
  std::mutex gate;
  gate.lock();
  model.on_step = [&gate](const nn::Batch&) { const std::lock_guard lock(gate); };
  Engine engine(model, nullptr, {}, {.prefill_chunk = 5});
  std::vector<RequestHandle> handles;
  std::vector<std::vector<std::int64_t>> positions(4);
  for (std::size_t i = 0; i < 4; ++i) {
    Request request = request_of(std::vector<TokenId>(12, static_cast<TokenId>(i)), 40);
    request.on_prompt_logits = [&positions, i](std::int64_t position, std::span<const float>) {
      positions[i].push_back(position);
    };
    handles.push_back(engine.submit(request));
  }
  gate.unlock();
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(drain(handles[i]).tokens,
              expected_tokens(model, std::vector<TokenId>(12, static_cast<TokenId>(i)), 40));
    ASSERT_EQ(positions[i].size(), 12U);
    for (std::size_t p = 0; p < 12; ++p) EXPECT_EQ(positions[i][p], static_cast<std::int64_t>(p));
  }
  EXPECT_GT(engine.stats().preemptions, 0);
}

TEST(Engine, AnIdleEngineUsesNoCpu) {
  FakeModel model;
  Engine engine(model, nullptr, {}, {});
  (void)answer(engine, request_of({1}, 2));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.05);
}

// Everything at once from several threads, for the sanitizers.
TEST(Engine, RandomClientsLeaveNothingBehind) {
  FakeModel model;
  model.bytes = 60 * 96;
  FakeTokenizer tokenizer;
  auto engine = std::make_unique<Engine>(model, &tokenizer, std::vector<TokenId>{7},
                                         EngineOptions{.max_sequences = 5, .prefill_chunk = 9});
  std::atomic<int> ended{0};
  std::vector<std::thread> clients;
  for (unsigned client = 0; client < 4; ++client) {
    clients.emplace_back([&, client] {
      std::mt19937 random(client);
      for (int i = 0; i < 40; ++i) {
        Request request =
            request_of(random_prompt(random, 1, 60), 1 + static_cast<std::int64_t>(random() % 50));
        request.sampling.stop = {"ab", std::string(1, static_cast<char>('a' + random() % 26))};
        request.sampling.temperature = random() % 2 == 0 ? 0.0 : 2.0;
        RequestHandle handle = engine->submit(request);
        const unsigned manner = random() % 4;
        if (manner == 0) continue;  // leaves at once
        if (manner == 1) {
          for (unsigned k = 0; k < random() % 5; ++k) {
            if (std::holds_alternative<FinishEvent>(handle.next())) break;
          }
          continue;
        }
        if (manner == 2) {
          std::thread([&handle] { handle.cancel(); }).join();
        }
        (void)drain(handle);
        ++ended;
        (void)engine->stats();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_GT(ended, 20);
  // A last one, alone: everything else has left the engine by the time it is answered.
  EXPECT_EQ(answer(*engine, request_of({1}, 1)).tokens.size(), 1U);
  engine.reset();
}

}  // namespace
}  // namespace mistral::engine
