// Guessing ahead changes when tokens are computed and never which ones come.
#include "engine/speculation.h"

#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "engine/client.h"
#include "engine/engine.h"
#include "engine/fakes.h"
#include "engine/model_drafter.h"
#include "engine/step_cost.h"

namespace mistral::engine {
namespace {

std::vector<TokenId> guess(std::vector<TokenId> context, std::int32_t wanted) {
  Draft draft;
  draft.tokens = {99};
  DraftRequest request{.context = context, .wanted = wanted, .draft = &draft};
  NgramDrafter().propose(std::span(&request, 1));
  EXPECT_TRUE(draft.distributions.empty());
  return draft.tokens;
}

TEST(NgramDrafter, ProposesWhatFollowedBefore) {
  EXPECT_EQ(guess({1, 2, 3, 4, 5, 1, 2}, 2), (std::vector<TokenId>{3, 4}));
  EXPECT_EQ(guess({1, 2, 3, 9, 2, 4, 1, 2}, 1), (std::vector<TokenId>{3})) << "the longer match";
  EXPECT_EQ(guess({1, 2, 3, 1, 2, 4, 1, 2}, 1), (std::vector<TokenId>{4})) << "the later of equals";
  EXPECT_EQ(guess({7, 8, 7, 8}, 5), (std::vector<TokenId>{7, 8, 7, 8, 7})) << "into its own guess";
  EXPECT_EQ(guess({5, 5, 5}, 3), (std::vector<TokenId>{5, 5, 5}));
  EXPECT_TRUE(guess({1, 2, 3, 4}, 3).empty());
  EXPECT_TRUE(guess({2, 9, 1, 2}, 3).empty()) << "one token in common is no reason";
  EXPECT_TRUE(guess({1}, 3).empty());
}

TEST(StepCost, FitsALine) {
  StepCost cost;
  EXPECT_FALSE(cost.known());
  for (int i = 0; i < 50; ++i) cost.note(1, 0.013);
  EXPECT_FALSE(cost.known());
  for (const std::int32_t rows : {1, 4, 20, 300, 2, 7}) cost.note(rows, 0.01 + 0.003 * rows);
  EXPECT_TRUE(cost.known());
  EXPECT_NEAR(cost.per_row(), 0.003, 1e-5);
  EXPECT_NEAR(cost.seconds(10), 0.04, 1e-4);
  EXPECT_NEAR(cost.rows_within(0.1), 30, 1);
  EXPECT_EQ(cost.rows_within(0), 1);
}

TEST(DraftControl, GuessesWhileItPays) {
  StepCost cheap;
  for (const std::int32_t rows : {1, 2, 4, 8, 16}) cheap.note(rows, 0.02 + 0.001 * rows);
  DraftControl right;
  DraftControl wrong;
  for (int i = 0; i < 20; ++i) {
    right.note(4, 4);
    wrong.note(4, 0);
  }
  EXPECT_GE(right.wanted(cheap, 1, 0, 10), 8);
  EXPECT_EQ(right.wanted(cheap, 1, 0, 3), 3);
  EXPECT_EQ(right.wanted(cheap, 1, 0, 0), 0);
  EXPECT_LE(right.wanted(cheap, 1, 0.05, 10), 1) << "dear guesses";
  DraftControl doubtful;
  for (int i = 0; i < 20; ++i) doubtful.note(2, 1);
  EXPECT_GE(doubtful.wanted(cheap, 1, 0, 10), 1);
  EXPECT_EQ(doubtful.wanted(cheap, 100, 0, 10), 0) << "a full batch has no time for guesses";
  // Where guesses are wrong, attempts become rare.
  int attempts = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::int32_t count = wrong.wanted(cheap, 1, 0, 10);
    if (count > 0) wrong.note(count, 0);
    attempts += count > 0 ? 1 : 0;
  }
  EXPECT_GT(attempts, 2);
  EXPECT_LT(attempts, 30);
  // A change for the better is noticed.
  for (int i = 0; i < 400; ++i) {
    const std::int32_t count = wrong.wanted(cheap, 1, 0, 10);
    wrong.note(count, count);
  }
  EXPECT_GE(wrong.wanted(cheap, 1, 0, 10), 8);
}

EngineOptions speculative(std::shared_ptr<Drafter> drafter, std::int32_t drafts) {
  EngineOptions options;
  options.drafter = std::move(drafter);
  options.max_drafts = drafts;
  options.adapt_drafts = false;
  options.prefill_chunk = 16;
  return options;
}

// Knows the answer and errs now and then.
class Oracle : public Drafter {
 public:
  explicit Oracle(const FakeModel& model) : model_(model) {}
  void propose(std::span<DraftRequest> requests) override {
    for (DraftRequest& request : requests) {
      std::vector<TokenId> history(request.context.begin(), request.context.end());
      request.draft->tokens = expected_tokens(model_, history, request.wanted);
      for (TokenId& token : request.draft->tokens) {
        if (random_() % 4 == 0) token = static_cast<TokenId>(random_() % 250);
      }
    }
  }
  void forget(std::uint64_t) noexcept override { ++forgotten; }
  int forgotten = 0;

 private:
  const FakeModel& model_;
  std::mt19937 random_{1};
};

TEST(Speculation, GreedyAnswersStayTheSame) {
  FakeModel model;
  model.bytes = 60 * 96;  // somebody has to give way
  const auto oracle = std::make_shared<Oracle>(model);
  {
    Engine engine(model, nullptr, {}, speculative(oracle, 5));
    std::vector<RequestHandle> handles;
    for (TokenId i = 0; i < 8; ++i) handles.push_back(engine.submit(request_of({i, 2, 3}, 90)));
    for (TokenId i = 0; i < 8; ++i) {
      EXPECT_EQ(drain(handles[static_cast<std::size_t>(i)]).tokens,
                expected_tokens(model, {i, 2, 3}, 90));
    }
    const EngineStats stats = engine.stats();
    EXPECT_GT(stats.accepted_tokens, 300);
    EXPECT_LT(stats.accepted_tokens, stats.drafted_tokens);
    EXPECT_EQ(stats.blocks_in_use, 0);
  }
  EXPECT_EQ(oracle->forgotten, 8);
}

TEST(Speculation, ADrafterThatFailsCostsNothingButTime) {
  struct Failing : Drafter {
    void propose(std::span<DraftRequest> requests) override {
      requests[0].draft->tokens = {1, 2};
      throw std::runtime_error("no");
    }
    void forget(std::uint64_t) noexcept override {}
  };
  FakeModel model;
  Engine engine(model, nullptr, {}, speculative(std::make_shared<Failing>(), 5));
  EXPECT_EQ(answer(engine, request_of({1, 2}, 10)).tokens, expected_tokens(model, {1, 2}, 10));
}

TEST(Speculation, LimitsHoldToTheToken) {
  FakeModel model;
  model.context = 40;
  Engine engine(model, nullptr, {}, speculative(std::make_shared<Oracle>(model), 10));
  for (std::int64_t most = 1; most < 20; ++most) {
    EXPECT_EQ(answer(engine, request_of({1, 2}, most)).tokens,
              expected_tokens(model, {1, 2}, most));
  }
  const Outcome full = answer(engine, request_of({1, 2}, 100));
  EXPECT_EQ(full.tokens, expected_tokens(model, {1, 2}, 38));
  EXPECT_EQ(full.end.reason, FinishReason::kLength);
}

TEST(Speculation, AModelGuesses) {
  FakeModel model;
  FakeModel same;
  FakeModel other;
  other.last_id = 100;
  other.block = 16;
  other.bytes = 20 * 96;  // less than all sequences need
  for (FakeModel* guesser : {&same, &other}) {
    Engine engine(model, nullptr, {},
                  speculative(std::make_shared<ModelDrafter>(*guesser, model.vocab), 4));
    std::vector<RequestHandle> handles;
    for (TokenId i = 0; i < 6; ++i) handles.push_back(engine.submit(request_of({i, 2, 3}, 120)));
    for (TokenId i = 0; i < 6; ++i) {
      EXPECT_EQ(drain(handles[static_cast<std::size_t>(i)]).tokens,
                expected_tokens(model, {i, 2, 3}, 120));
    }
    const EngineStats stats = engine.stats();
    EXPECT_GT(stats.drafted_tokens, 0);
    if (guesser == &same) {
      EXPECT_EQ(stats.accepted_tokens, stats.drafted_tokens);
      EXPECT_LT(stats.steps, 60);
    }
  }
}

// Target and draft models with unlike distributions, which depend on the position: tokens come as
// the target alone would draw them.
TEST(Speculation, DrawsFollowTheTarget) {
  constexpr int kTokens = 5;
  const auto logit = [](std::int64_t position, int token, bool draft) {
    return static_cast<float>(
        std::sin(static_cast<double>(position * 7 + token * 3) + (draft ? 1.3 : 0.0)) * 1.5);
  };
  const auto model_of = [&](FakeModel& model, bool draft) {
    model.on_logits = [=](const nn::BatchSequence&, std::int64_t position, std::span<float> row) {
      std::fill(row.begin(), row.end(), -100.0F);
      for (int t = 0; t < kTokens; ++t)
        row[static_cast<std::size_t>(t)] = logit(position, t, draft);
    };
  };
  FakeModel target;
  FakeModel draft;
  model_of(target, false);
  model_of(draft, true);
  Engine engine(target, nullptr, {},
                speculative(std::make_shared<ModelDrafter>(draft, target.vocab), 3));
  constexpr int kAnswers = 4000;
  constexpr std::int64_t kLength = 4;
  std::map<std::pair<std::int64_t, TokenId>, int> counts;
  std::vector<RequestHandle> handles;
  for (int i = 0; i < kAnswers; ++i) {
    Request request = request_of({1, 2}, kLength);
    request.sampling.temperature = 1.0;
    request.sampling.seed = static_cast<std::uint64_t>(i);
    handles.push_back(engine.submit(std::move(request)));
  }
  for (RequestHandle& handle : handles) {
    const Outcome outcome = drain(handle);
    ASSERT_EQ(outcome.tokens.size(), static_cast<std::size_t>(kLength));
    for (std::int64_t k = 0; k < kLength; ++k)
      ++counts[{k, outcome.tokens[static_cast<std::size_t>(k)]}];
  }
  EXPECT_GT(engine.stats().accepted_tokens, 0);
  EXPECT_LT(engine.stats().accepted_tokens, engine.stats().drafted_tokens);
  for (std::int64_t k = 0; k < kLength; ++k) {
    double total = 0;
    for (int t = 0; t < kTokens; ++t) total += std::exp(logit(k + 1, t, false));
    double chi_square = 0;
    for (TokenId t = 0; t < kTokens; ++t) {
      const double expected = kAnswers * std::exp(logit(k + 1, t, false)) / total;
      chi_square += std::pow(counts[{k, t}] - expected, 2) / expected;
    }
    EXPECT_LT(chi_square, 23.5) << "token " << k;  // 4 degrees of freedom, p = 1e-4
  }
}

// N-gram guesses leave even the drawn tokens as they are: the draw comes first, the comparison
// then.
TEST(Speculation, NgramsLeaveSeededDrawsAlone) {
  FakeModel model;
  model.last_id = 3;
  model.on_logits = [](const nn::BatchSequence&, std::int64_t, std::span<float> row) {
    for (std::size_t t = 0; t < 4; ++t) row[t] = row[t] > 0 ? 2.0F : 0.5F;
    for (std::size_t t = 4; t < row.size(); ++t) row[t] = -100.0F;
  };
  Request request = request_of({1, 2, 1, 2, 1}, 100);
  request.sampling.temperature = 1.0;
  request.sampling.seed = 9;
  Engine plain(model, nullptr, {}, {});
  const std::vector<TokenId> wanted = answer(plain, request).tokens;
  Engine engine(model, nullptr, {}, speculative(std::make_shared<NgramDrafter>(), 4));
  EXPECT_EQ(answer(engine, request).tokens, wanted);
  EXPECT_GT(engine.stats().drafted_tokens, 0);
}

}  // namespace
}  // namespace mistral::engine
