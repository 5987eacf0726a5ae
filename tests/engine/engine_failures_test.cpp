// What the engine refuses, and what remains when something fails.
#include <algorithm>
#include <functional>
#include <initializer_list>
#include <limits>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "engine/client.h"
#include "engine/engine.h"
#include "engine/fakes.h"

namespace mistral::engine {
namespace {

TEST(EngineFailures, AFailingStepEndsOnlyWhoTookPart) {
  FakeModel model;
  std::mutex gate;
  model.on_step = [&gate](const nn::Batch& batch) {
    const std::lock_guard lock(gate);
    for (const TokenId id : batch.tokens) {
      if (id == 66) throw std::bad_alloc();
      if (id == 67) throw std::runtime_error("kernel on fire");
    }
  };
  model.last_id = 60;
  Engine engine(model, nullptr, {}, {.max_sequences = 1});
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(answer(engine, request_of({66}, 5)).end.error, "out of memory");
    const Outcome failed = answer(engine, request_of({67}, 5));
    EXPECT_EQ(failed.end.reason, FinishReason::kError);
    EXPECT_EQ(failed.end.error, "kernel on fire");
    EXPECT_EQ(answer(engine, request_of({1, 2}, 5)).tokens, expected_tokens(model, {1, 2}, 5));
    EXPECT_EQ(engine.stats().blocks_in_use, 0);

    // One that waits behind the failing one does not suffer.
    gate.lock();
    RequestHandle failing = engine.submit(request_of({67}, 5));
    RequestHandle waiting = engine.submit(request_of({3}, 5));
    gate.unlock();
    EXPECT_EQ(drain(failing).end.reason, FinishReason::kError);
    EXPECT_EQ(drain(waiting).tokens, expected_tokens(model, {3}, 5));
  }
}

TEST(EngineFailures, NanLogitsEndOneRequestAlone) {
  FakeModel model;
  std::mutex gate;
  gate.lock();
  model.on_step = [&gate](const nn::Batch&) { const std::lock_guard lock(gate); };
  model.on_logits = [](const nn::BatchSequence& sequence, std::int64_t position,
                       std::span<float> row) {
    if (sequence.rope_length == 2 && position == 4) {
      std::fill(row.begin(), row.end(), std::numeric_limits<float>::quiet_NaN());
    }
  };
  for (const double temperature : {0.0, 1.0}) {
    if (temperature > 0) gate.lock();
    Engine engine(model, nullptr, {}, {});
    Request good = request_of({1, 2, 3}, 20);
    Request bad = request_of({1, 2}, 20);
    bad.sampling.temperature = temperature;
    RequestHandle one = engine.submit(good);
    RequestHandle two = engine.submit(bad);
    gate.unlock();
    const Outcome failed = drain(two);
    EXPECT_EQ(failed.end.reason, FinishReason::kError);
    EXPECT_NE(failed.end.error.find("not a number"), std::string::npos);
    EXPECT_EQ(failed.tokens.size(), 3U);
    EXPECT_EQ(drain(one).tokens, expected_tokens(model, {1, 2, 3}, 20));
  }
}

TEST(EngineFailures, AThrowingLogitsSinkEndsItsRequestAlone) {
  FakeModel model;
  Engine engine(model, nullptr, {}, {});
  Request request = request_of({1, 2, 3}, 5);
  request.on_prompt_logits = [](std::int64_t, std::span<const float>) {
    throw std::runtime_error("disk full");
  };
  const Outcome outcome = answer(engine, request);
  EXPECT_EQ(outcome.end.reason, FinishReason::kError);
  EXPECT_EQ(outcome.end.error, "disk full");
  EXPECT_EQ(answer(engine, request_of({4}, 3)).tokens, expected_tokens(model, {4}, 3));
}

// The message of the refusal, or "" if there is none.
std::string refusal(Engine& engine, const Request& request, ErrorKind kind) {
  try {
    (void)engine.submit(request);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "";
}

TEST(EngineFailures, RefusesRequestsThatCannotBeServed) {
  FakeModel model;
  model.context = 50;
  model.groups = {{.window = 0, .bytes_per_block = 10}};
  model.bytes = 50;  // 40 tokens
  FakeTokenizer tokenizer;
  Engine engine(model, &tokenizer, {}, {});
  const auto refused = [&](const std::function<void(Request&)>& change) {
    Request request = request_of({1}, 1);
    change(request);
    return refusal(engine, request, ErrorKind::kInvalidArgument);
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NE(refused([](Request& r) { r.prompt.clear(); }).find("prompt"), std::string::npos);
  const auto contains = [](const std::string& text, std::initializer_list<const char*> parts) {
    return std::all_of(parts.begin(), parts.end(),
                       [&](const char* part) { return text.find(part) != std::string::npos; });
  };
  EXPECT_TRUE(contains(refused([](Request& r) { r.prompt = {1, 300}; }), {"300", "299"}));
  EXPECT_TRUE(contains(refused([](Request& r) { r.prompt = {-1}; }), {"-1"}));
  EXPECT_TRUE(contains(refused([](Request& r) { r.prompt.assign(51, 1); }), {"51", "50"}));
  EXPECT_TRUE(contains(refused([](Request& r) { r.prompt.assign(41, 1); }), {"41", "40", "cache"}));
  EXPECT_TRUE(contains(refused([](Request& r) { r.sampling.max_tokens = 0; }), {"max_tokens"}));
  EXPECT_TRUE(contains(refused([](Request& r) { r.sampling.stop = {"a", ""}; }), {"stop[1]"}));
  EXPECT_TRUE(contains(refused([](Request& r) { r.sampling.stop = {"\x80"}; }), {"stop[0]"}));
  EXPECT_TRUE(
      contains(refused([&](Request& r) { r.sampling.temperature = nan; }), {"temperature"}));
  EXPECT_TRUE(contains(refused([](Request& r) { r.sampling.temperature = -1; }), {"temperature"}));
  EXPECT_TRUE(contains(refused([&](Request& r) { r.sampling.top_p = nan; }), {"top_p"}));
  EXPECT_TRUE(contains(refused([&](Request& r) { r.sampling.min_p = nan; }), {"min_p"}));
  EXPECT_TRUE(contains(refused([](Request& r) { r.sampling.repetition_penalty = 0; }),
                       {"repetition_penalty"}));
  EXPECT_TRUE(contains(refused([&](Request& r) {
                         r.sampling.logit_bias = {{1, nan}};
                       }),
                       {"logit_bias"}));
  EXPECT_EQ(refused([](Request&) {}), "");
  Engine without_text(model, nullptr, {}, {});
  Request request = request_of({1}, 1);
  request.sampling.stop = {"x"};
  EXPECT_NE(refusal(without_text, request, ErrorKind::kInvalidArgument), "");
}

TEST(EngineFailures, TheQueueIsBounded) {
  FakeModel model;
  std::mutex gate;
  gate.lock();
  model.on_step = [&gate](const nn::Batch&) { const std::lock_guard lock(gate); };
  Engine engine(model, nullptr, {}, {.max_sequences = 2, .max_queued = 3});
  std::vector<RequestHandle> handles;
  for (int i = 0; i < 5; ++i) handles.push_back(engine.submit(request_of({1}, 2)));
  EXPECT_NE(refusal(engine, request_of({1}, 2), ErrorKind::kResource), "");
  gate.unlock();
  for (RequestHandle& handle : handles) (void)drain(handle);
  EXPECT_EQ(answer(engine, request_of({1}, 2)).tokens.size(), 2U);
}

}  // namespace
}  // namespace mistral::engine
