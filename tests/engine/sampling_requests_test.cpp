// Settings of a request on their way through the engine: ends, log probabilities, processors,
// seeds.
#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/client.h"
#include "engine/engine.h"
#include "engine/fakes.h"

namespace mistral::engine {
namespace {

// Makes a fake model favour script[i] after the i-th token of its answer to one prompt token.
void script(FakeModel& model, std::vector<TokenId> ids) {
  model.on_logits = [ids = std::move(ids)](const nn::BatchSequence&, std::int64_t position,
                                           std::span<float> row) {
    std::fill(row.begin(), row.end(), 0.0F);
    const std::size_t i = std::min(static_cast<std::size_t>(position), ids.size() - 1);
    row[static_cast<std::size_t>(ids[i])] = 9;
  };
}

std::vector<TokenId> bytes_of(const std::string& text) {
  std::vector<TokenId> ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

TEST(SamplingRequests, StopStringsBeginAndEndInsideOfTokensAndCharacters) {
  FakeModel model;
  FakeTokenizer tokenizer;
  const std::string text = "caf\u00e9 \u20ac\U0001f600 end";
  script(model, bytes_of(text));  // tokens of a byte: characters of two, three and four tokens
  Engine engine(model, &tokenizer, {}, {});
  const struct {
    std::string stop;
    std::string left;
  } cases[] = {{"\u00e9 \u20ac", "caf"},
               {"\u20ac\U0001f600", "caf\u00e9 "},
               {"\U0001f600", "caf\u00e9 \u20ac"},
               {"\U0001f600 e", "caf\u00e9 \u20ac"},
               {"f\u00e9", "ca"}};
  for (const auto& [stop, left] : cases) {
    SCOPED_TRACE(stop);
    Request request = request_of({1}, static_cast<std::int64_t>(text.size()));
    request.sampling.stop = {"\u00e9 \u00e9", stop, "nothing"};
    const Outcome outcome = answer(engine, request);
    EXPECT_EQ(outcome.text, left);
    EXPECT_EQ(outcome.end.reason, FinishReason::kStop);
    // It ends with the token that completes the stop string.
    EXPECT_EQ(outcome.tokens.size(), text.find(stop) + stop.size());
  }
  // A word of the vocabulary that ends inside of a character.
  tokenizer.words = {"ab\xe2\x82", "\xac!c"};
  script(model, {256, 257, 'z'});
  Request request = request_of({1}, 10);
  request.sampling.stop = {"\u20ac!"};
  EXPECT_EQ(answer(engine, request).text, "ab");
}

TEST(SamplingRequests, MinTokensHoldsEndTokensAndStopStringsBack) {
  FakeModel model;
  FakeTokenizer tokenizer;
  tokenizer.words = {"<end>"};
  tokenizer.special = {256};
  model.on_logits = [](const nn::BatchSequence&, std::int64_t, std::span<float> row) {
    std::fill(row.begin(), row.end(), 0.0F);
    row[256] = 9;
    row['a'] = 5;
  };
  Engine engine(model, &tokenizer, {256}, {});
  for (const std::int64_t least : {0, 1, 4}) {
    Request request = request_of({1}, 10);
    request.sampling.min_tokens = least;
    const Outcome outcome = answer(engine, request);
    EXPECT_EQ(outcome.text, std::string(static_cast<std::size_t>(least), 'a'));
    EXPECT_EQ(outcome.end.reason, FinishReason::kStop);
    EXPECT_EQ(outcome.tokens.back(), 256);
    EXPECT_EQ(outcome.end.usage.completion_tokens, least + 1);
  }
  for (const std::int64_t least : {0, 2, 3, 7}) {
    Request request = request_of({1}, 10);
    request.sampling.logit_bias = {{256, -100}};
    request.sampling.min_tokens = least;
    request.sampling.stop = {"aa"};
    const Outcome outcome = answer(engine, request);
    EXPECT_EQ(outcome.end.reason, FinishReason::kStop);
    // A stop string is looked for from the last token of the least length on.
    const std::int64_t length = std::max<std::int64_t>(least, 1) + 1;
    EXPECT_EQ(outcome.end.usage.completion_tokens, length);
    EXPECT_EQ(outcome.text, std::string(static_cast<std::size_t>(length - 2), 'a'));
  }
  // With end tokens ignored there is nothing to hold back.
  Request request = request_of({1}, 5);
  request.sampling.min_tokens = 5;
  request.sampling.ignore_eos = true;
  EXPECT_EQ(answer(engine, request).tokens, std::vector<TokenId>(5, 256));
}

TEST(SamplingRequests, LogProbabilitiesComeWithTheirTokens) {
  FakeModel model;
  script(model, {10, 20, 30});
  Engine engine(model, nullptr, {}, {});
  const auto ask = [&](const auto& change) {
    Request request = request_of({1}, 3);
    change(request.sampling);
    RequestHandle handle = engine.submit(request);
    std::vector<std::optional<TokenLogprobs>> reported;
    for (;;) {
      Event event = handle.next();
      if (auto* token = std::get_if<TokenEvent>(&event)) {
        reported.push_back(token->logprobs);
        if (token->logprobs) {
          EXPECT_EQ(token->logprobs->chosen.token, token->token);
        }
        continue;
      }
      return reported;
    }
  };
  for (const auto& none : ask([](SamplingParams&) {})) EXPECT_FALSE(none.has_value());
  const auto chosen_only = ask([](SamplingParams& s) { s.logprobs = true; });
  ASSERT_EQ(chosen_only.size(), 3U);
  const double expected = 9 - std::log(std::exp(9.0) + 299);
  for (const auto& logprobs : chosen_only) {
    ASSERT_TRUE(logprobs.has_value());
    EXPECT_NEAR(logprobs->chosen.logprob, expected, 1e-6);
    EXPECT_TRUE(logprobs->top.empty());
  }
  const auto top = ask([](SamplingParams& s) { s.top_logprobs = 2, s.temperature = 1; });
  ASSERT_EQ(top.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(top[i].has_value());
    ASSERT_EQ(top[i]->top.size(), 2U);
    EXPECT_EQ(top[i]->top[0].token, static_cast<TokenId>(10 * (i + 1)));
    EXPECT_NEAR(top[i]->top[0].logprob, expected, 1e-6);
    EXPECT_EQ(top[i]->top[1].token, 0);  // the first of equals
    EXPECT_NEAR(top[i]->top[1].logprob, expected - 9, 1e-6);
  }
}

TEST(SamplingRequests, ProcessorsSteerTheirRequestAlone) {
  FakeModel model;
  Engine engine(model, nullptr, {}, {});
  // Allows only the id that follows the last one.
  Request steered = request_of({7}, 5);
  steered.sampling.temperature = 3;
  steered.sampling.logits_processors.push_back(
      [](std::span<const TokenId> tokens, std::span<float> logits) {
        std::fill(logits.begin(), logits.end(), -std::numeric_limits<float>::infinity());
        logits[static_cast<std::size_t>(tokens.back()) + 1] = 0;
      });
  Request failing = request_of({8}, 5);
  failing.sampling.logits_processors.push_back(
      [](std::span<const TokenId> tokens, std::span<float>) {
        if (tokens.size() == 3) throw std::runtime_error("the processor is tired");
      });
  Request forbidding = request_of({9}, 5);
  forbidding.sampling.logits_processors.push_back(
      [](std::span<const TokenId>, std::span<float> logits) {
        std::fill(logits.begin(), logits.end(), -std::numeric_limits<float>::infinity());
      });
  RequestHandle one = engine.submit(steered);
  RequestHandle two = engine.submit(failing);
  RequestHandle three = engine.submit(forbidding);
  RequestHandle plain = engine.submit(request_of({7}, 5));
  EXPECT_EQ(drain(one).tokens, (std::vector<TokenId>{8, 9, 10, 11, 12}));
  const Outcome failed = drain(two);
  EXPECT_EQ(failed.end.reason, FinishReason::kError);
  EXPECT_EQ(failed.end.error, "the processor is tired");
  EXPECT_EQ(failed.tokens.size(), 2U);
  const Outcome forbidden = drain(three);
  EXPECT_EQ(forbidden.end.reason, FinishReason::kError);
  EXPECT_NE(forbidden.end.error.find("every logit"), std::string::npos);
  EXPECT_EQ(drain(plain).tokens, expected_tokens(model, {7}, 5));
  EXPECT_EQ(engine.stats().blocks_in_use, 0);
}

// Everything that has state, alone and in a batch that changes all the time.
TEST(SamplingRequests, ASeedGivesTheSameAnswerInAnyBatch) {
  FakeModel model;
  model.bytes = 30 * 96;  // too few blocks for all: some are preempted
  FakeTokenizer tokenizer;
  std::vector<Request> requests;
  for (TokenId i = 0; i < 10; ++i) {
    Request request = request_of(std::vector<TokenId>(static_cast<std::size_t>(3 + 5 * i), i), 40);
    SamplingParams& s = request.sampling;
    s.temperature = 4;
    s.seed = 100 + static_cast<std::uint64_t>(i % 3);
    if (i % 2 == 0) s.top_p = 0.9;
    if (i % 3 == 0) s.mirostat_tau = 5;
    if (i % 4 == 0) s.xtc_probability = 0.5;
    if (i % 5 == 0) s.dry_multiplier = 1;
    s.frequency_penalty = 0.3;
    s.xtc_threshold = 0.004;
    requests.push_back(request);
  }
  std::vector<std::vector<TokenId>> alone;
  for (const Request& request : requests) {
    Engine engine(model, &tokenizer, {}, {.max_sequences = 1});
    alone.push_back(answer(engine, request).tokens);
  }
  std::int64_t preemptions = 0;
  for (const std::int32_t together : {2, 5, 10}) {
    Engine engine(model, &tokenizer, {}, {.max_sequences = together, .prefill_chunk = 7});
    std::vector<RequestHandle> handles;
    for (const Request& request : requests) handles.push_back(engine.submit(request));
    for (std::size_t i = 0; i < handles.size(); ++i) {
      EXPECT_EQ(drain(handles[i]).tokens, alone[i]) << i << " of " << together;
    }
    preemptions += engine.stats().preemptions;
  }
  EXPECT_GT(preemptions, 0);
  EXPECT_NE(alone[0], alone[1]);
}

}  // namespace
}  // namespace mistral::engine
