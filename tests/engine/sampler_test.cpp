#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "engine/sampling_reference.h"

namespace mistral::engine {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<TokenId> context_of(std::size_t length) {
  return std::vector<TokenId>(length, 0);
}

TEST(Argmax, LowestIdWinsTiesAndNanNeverWins) {
  EXPECT_EQ(argmax(std::vector<float>{1, 3, 3, 2}), 1);
  EXPECT_EQ(argmax(std::vector<float>{kNan, -5, kNan, -4}), 3);
  EXPECT_EQ(argmax(std::vector<float>{kNan, kNan}), -1);
  EXPECT_EQ(argmax(std::vector<float>{-kInf, -kInf}), 0);
  EXPECT_EQ(argmax(std::vector<float>{0, kInf, kNan}), 1);
  for (std::size_t size : {1, 2, 15, 16, 17, 31, 33, 1000}) {
    for (std::size_t best = 0; best < size; best += std::max<std::size_t>(1, size / 7)) {
      std::vector<float> logits(size, -1);
      logits[best] = 0;
      if (best + 1 < size) logits[size - 1] = 0;
      EXPECT_EQ(argmax(logits), static_cast<TokenId>(best)) << size;
    }
  }
}

// Every combination of cut-offs over small and large vocabularies, sharp and flat, with and
// without penalties, against a full sort in double.
TEST(Sampler, SelectsAsAFullSortWould) {
  SamplerScratch scratch;
  Distribution found;
  unsigned seed = 0;
  for (const std::size_t size : {1, 2, 17, 1000, 6007}) {
    for (const double spread : {0.01, 1.0, 6.0}) {
      const std::vector<float> logits = random_logits(size, spread, ++seed);
      for (const double temperature : {0.05, 0.7, 8.0}) {
        for (unsigned filter = 0; filter < 64; ++filter) {
          SamplingParams s;
          s.temperature = temperature;
          if ((filter & 1U) != 0) s.top_k = 13;
          if ((filter & 2U) != 0) s.top_p = 0.813;
          if ((filter & 4U) != 0) s.min_p = 0.0371;
          if ((filter & 8U) != 0) s.top_n_sigma = 1.37;
          if ((filter & 16U) != 0) s.typical_p = 0.713;
          if ((filter & 32U) != 0) s.logit_bias = {{0, 0.31}, {5, -1.7}, {11, 2.9}};
          Sampler(s, {}).distribution(logits, {}, scratch, found);
          expect_same(found, obvious_distribution(logits, s));
          if (testing::Test::HasFailure()) {
            FAIL() << size << " ids, spread " << spread << ", T " << temperature << ", filter "
                   << filter;
          }
        }
      }
    }
  }
}

TEST(Sampler, TopKTakesTheFirstOfEquals) {
  SamplerScratch scratch;
  Distribution found;
  SamplingParams s;
  s.temperature = 1;
  for (const int k : {1, 3, 5000}) {
    s.top_k = k;
    Sampler(s, {}).distribution(std::vector<float>(9000, 1), {}, scratch, found);
    ASSERT_EQ(found.tokens.size(), static_cast<std::size_t>(k));
    EXPECT_EQ(found.tokens.back().id, k - 1);
  }
  // Rising logits push every candidate out again.
  std::vector<float> rising(9000);
  for (std::size_t i = 0; i < rising.size(); ++i) rising[i] = static_cast<float>(i) * 1e-3F;
  s.top_k = 7;
  Sampler(s, {}).distribution(rising, {}, scratch, found);
  ASSERT_EQ(found.tokens.size(), 7U);
  EXPECT_EQ(found.tokens.front().id, 8993);
  EXPECT_EQ(found.tokens.back().id, 8999);
}

TEST(Sampler, SeedReproducesAndSeedsDiffer) {
  const std::vector<float> logits = random_logits(500, 1, 5);
  SamplingParams s;
  s.temperature = 1.0;
  SamplerScratch scratch;
  const auto draw = [&](std::uint64_t seed) {
    Sampler sampler(s, {.seed = seed});
    std::vector<TokenId> ids;
    for (std::size_t i = 0; i < 50; ++i) {
      ids.push_back(sampler.sample(logits, context_of(i), scratch));
    }
    return ids;
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
  const std::vector<TokenId> ids = draw(1);
  EXPECT_GT(std::set<TokenId>(ids.begin(), ids.end()).size(), 10U);
}

// The draw belongs to the place in the sequence, not to how often the sampler was asked.
TEST(Sampler, APlaceCanBeDrawnAgain) {
  const std::vector<float> logits = random_logits(300, 1, 6);
  SamplingParams s;
  s.temperature = 1.3;
  s.top_p = 0.9;
  s.xtc_probability = 0.5;
  s.xtc_threshold = 0.005;
  s.presence_penalty = 0.7;
  SamplerScratch scratch;
  Sampler sampler(s, {.seed = 11});
  std::vector<TokenId> context;
  std::vector<TokenId> drawn;
  for (int i = 0; i < 40; ++i) {
    drawn.push_back(sampler.sample(logits, context, scratch));
    context.push_back(drawn.back());
  }
  for (const std::size_t length : {39U, 3U, 20U, 0U, 39U}) {
    EXPECT_EQ(sampler.sample(logits, std::span(context).first(length), scratch), drawn[length]);
  }
}

TEST(Sampler, GreedyIsTheDefaultAndBelowTheLimit) {
  const std::vector<float> logits = {0, 2, 1.9F, 2};
  SamplerScratch scratch;
  SamplingParams s;
  s.top_k = 3;
  s.xtc_probability = 1;
  s.mirostat_tau = 3;
  EXPECT_EQ(Sampler(s, {}).sample(logits, {}, scratch), 1);
  s.temperature = 9.9e-8;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_EQ(Sampler(s, {.seed = seed}).sample(logits, {}, scratch), 1);
  }
  Distribution found;
  Sampler(s, {}).distribution(logits, {}, scratch, found);
  ASSERT_EQ(found.tokens.size(), 1U);
  EXPECT_EQ(found.tokens[0].id, 1);
  EXPECT_EQ(found.tokens[0].probability, 1);
  // A bias decides among equals beyond the precision of a float.
  s.logit_bias = {{3, 1e-12}};
  EXPECT_EQ(Sampler(s, {}).sample(logits, {}, scratch), 3);
  s.logit_bias = {{0, 2}, {3, 0}};
  EXPECT_EQ(Sampler(s, {}).sample(logits, {}, scratch), 0);
}

TEST(Sampler, SurvivesBrokenLogits) {
  SamplerScratch scratch;
  TokenLogprobs logprobs;
  for (const double temperature : {0.0, 1.0}) {
    for (unsigned filter = 0; filter < 64; ++filter) {
      SamplingParams s;
      s.temperature = temperature;
      s.top_logprobs = 3;
      if ((filter & 1U) != 0) s.top_k = 2;
      if ((filter & 2U) != 0) s.top_p = 0.9;
      if ((filter & 4U) != 0) s.top_n_sigma = 1;
      if ((filter & 8U) != 0) s.typical_p = 0.5;
      if ((filter & 16U) != 0) s.logit_bias = {{0, 3}, {1, -2}};
      if ((filter & 32U) != 0) s.mirostat_tau = 2;
      Sampler sampler(s, {.seed = 3});
      EXPECT_EQ(sampler.sample(std::vector<float>{kNan, -kInf, 7, kNan}, {}, scratch), 2);
      const std::vector<float> infinite = {kNan, 5, kInf, -kInf};
      EXPECT_EQ(sampler.sample(infinite, {}, scratch), 2);
      sampler.logprobs(2, scratch, logprobs);
      EXPECT_EQ(logprobs.chosen.logprob, 0);
      EXPECT_EQ(logprobs.top.size(), 1U);
      EXPECT_EQ(sampler.sample(std::vector<float>{kInf, 5, -9, 3}, {}, scratch), 0);
      EXPECT_GE(sampler.sample(std::vector<float>(40, 1e30F), {}, scratch), 0);
      EXPECT_THROW((void)sampler.sample(std::vector<float>(40, kNan), {}, scratch), Error);
      EXPECT_THROW((void)sampler.sample(std::vector<float>(40, -kInf), {}, scratch), Error);
      EXPECT_THROW((void)sampler.sample(std::vector<float>{}, {}, scratch), Error);
    }
  }
}

TEST(Sampler, ExtremeSettingsStayInsideTheVocabulary) {
  const std::vector<float> logits = random_logits(100, 20, 8);
  SamplerScratch scratch;
  for (const double temperature : {1e-7, 1e-3, 1e3, 1e30, 1e300}) {
    for (const double p : {0.0, 1e-9, 0.5, 0.999999999, 1.0}) {
      for (const double huge : {0.0, 1e6, 1e300}) {
        SamplingParams s;
        s.temperature = temperature;
        s.top_p = p;
        s.typical_p = 1 - p;
        s.min_p = p / 2;
        s.top_n_sigma = huge;
        s.repetition_penalty = huge + 1;
        s.logit_bias = {{7, huge}, {8, -huge}};
        Sampler sampler(s, {.seed = 3});
        for (std::size_t i = 0; i < 10; ++i) {
          const TokenId id = sampler.sample(logits, context_of(i), scratch);
          EXPECT_TRUE(id >= 0 && id < 100) << temperature << " " << p << " " << huge;
        }
      }
    }
  }
}

TEST(Sampler, EndTokensWaitForTheLeastLength) {
  SamplerScratch scratch;
  std::vector<float> logits = {1, 9, 2, 8, 3};
  for (const double temperature : {0.0, 0.2}) {
    SamplingParams s;
    s.temperature = temperature;
    s.presence_penalty = 0.1;
    s.logit_bias = {{3, 0.5}};
    s.logits_processors.push_back(
        [](std::span<const TokenId>, std::span<float> row) { row[3] += 50; });
    Sampler sampler(s, {.end_tokens = {3, 1, 77, -5}, .min_length = 6});
    EXPECT_EQ(sampler.sample(logits, context_of(5), scratch), 4);
    EXPECT_EQ(sampler.sample(logits, context_of(6), scratch), 3);
  }
}

TEST(Sampler, LogitsProcessorsRunInOrderOnThePenalisedRow) {
  SamplerScratch scratch;
  SamplingParams s;
  s.frequency_penalty = 1;
  s.logit_bias = {{2, 0.25}};
  std::vector<std::vector<float>> seen;
  std::vector<TokenId> tokens;
  s.logits_processors.push_back([&](std::span<const TokenId> context, std::span<float> row) {
    tokens.assign(context.begin(), context.end());
    seen.emplace_back(row.begin(), row.end());
    row[0] = 10;
  });
  s.logits_processors.push_back([&](std::span<const TokenId>, std::span<float> row) {
    seen.emplace_back(row.begin(), row.end());
    row[0] = -kInf;
    row[1] = kNan;
  });
  Sampler sampler(s, {});
  const std::vector<float> logits = {1, 2, 3, 4};
  EXPECT_EQ(sampler.sample(logits, std::vector<TokenId>{3, 3}, scratch), 2);
  EXPECT_EQ(tokens, (std::vector<TokenId>{3, 3}));
  EXPECT_EQ(seen, (std::vector<std::vector<float>>{{1, 2, 3.25F, 2}, {10, 2, 3.25F, 2}}));
  s.logits_processors = {
      [](std::span<const TokenId>, std::span<float>) { throw std::runtime_error("no"); }};
  Sampler failing(s, {});
  EXPECT_THROW((void)failing.sample(logits, {}, scratch), std::runtime_error);
}

TEST(Sampler, LogProbabilitiesAreThoseBeforeTheCutOffs) {
  SamplerScratch scratch;
  const std::vector<float> logits = random_logits(3000, 2, 4);
  SamplingParams plain;
  plain.temperature = 0.6;
  plain.logit_bias = {{17, 3.3}};
  SamplingParams s = plain;
  s.top_k = 3;
  s.top_p = 0.5;
  s.top_logprobs = 5;
  Sampler sampler(s, {.seed = 5});
  TokenLogprobs logprobs;
  const TokenId id = sampler.sample(logits, {}, scratch);
  sampler.logprobs(id, scratch, logprobs);
  Distribution all = obvious_distribution(logits, plain);
  EXPECT_NEAR(logprobs.chosen.logprob, std::log(all.probability(id)), 1e-6);
  std::sort(all.tokens.begin(), all.tokens.end(),
            [](const auto& a, const auto& b) { return a.probability > b.probability; });
  ASSERT_EQ(logprobs.top.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(logprobs.top[i].token, all.tokens[i].id);
    EXPECT_NEAR(logprobs.top[i].logprob, std::log(all.tokens[i].probability), 1e-6);
  }
  // More than there are.
  s.top_logprobs = 256;
  s.temperature = 0;
  Sampler greedy(s, {});
  const std::vector<float> two = {kNan, 0, 0};
  EXPECT_EQ(greedy.sample(two, {}, scratch), 1);
  greedy.logprobs(1, scratch, logprobs);
  ASSERT_EQ(logprobs.top.size(), 2U);
  EXPECT_NEAR(logprobs.chosen.logprob, -std::log(2.0), 1e-7);
}

TEST(Penalties, HugeDryPenaltiesAndForeignIdsAreHarmless) {
  SamplingParams s;
  s.dry_multiplier = 1e300;
  s.dry_base = 1e300;
  s.repetition_penalty = 2;
  s.frequency_penalty = 1;
  s.logit_bias = {{-1, 5}, {99, 5}, {3, 1}};
  SamplerScratch scratch;
  const std::vector<TokenId> context = {1, 2, 1, 2, 1, 2, 77, -4, 1, 2, 1};
  EXPECT_EQ(Sampler(s, {}).sample(std::vector<float>{1, 2, 3, 1}, context, scratch), 3);
}

}  // namespace
}  // namespace mistral::engine
