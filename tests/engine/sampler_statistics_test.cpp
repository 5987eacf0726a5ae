// Draws follow the distribution: chi-square over many places, with fixed seeds. A score is about
// normal; 4.5 would be reached once in 300,000 seeds.
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/sampler.h"
#include "engine/sampling_reference.h"

namespace mistral::engine {
namespace {

constexpr double kUnlikely = 4.5;

class Statistics : public testing::Test {
 protected:
  // Contexts of different lengths, which nothing looks into.
  std::span<const TokenId> place(std::size_t length) {
    if (context_.size() < length) context_.resize(length + 1000, 0);
    return std::span<const TokenId>(context_).first(length);
  }
  static std::vector<double> dense(const Distribution& distribution, std::size_t size) {
    std::vector<double> probabilities(size, 0);
    for (const auto& [id, probability] : distribution.tokens) {
      probabilities[static_cast<std::size_t>(id)] = probability;
    }
    return probabilities;
  }

  std::vector<TokenId> context_;
  SamplerScratch scratch_;
};

TEST_F(Statistics, DrawsFollowTheDistribution) {
  constexpr int kDraws = 30'000;
  std::vector<std::pair<std::string, SamplingParams>> settings(8);
  for (auto& [name, s] : settings) s.temperature = 1.1;
  settings[0].first = "temperature";
  settings[1] = {"top_k", settings[1].second};
  settings[1].second.top_k = 60;
  settings[2] = {"top_p", settings[2].second};
  settings[2].second.top_p = 0.8;
  settings[3] = {"min_p", settings[3].second};
  settings[3].second.min_p = 0.02;
  settings[4] = {"top_n_sigma", settings[4].second};
  settings[4].second.top_n_sigma = 1.5;
  settings[5] = {"typical_p", settings[5].second};
  settings[5].second.typical_p = 0.7;
  settings[6] = {"all", settings[6].second};
  settings[6].second.top_k = 100;
  settings[6].second.top_p = 0.9;
  settings[6].second.min_p = 0.01;
  settings[6].second.typical_p = 0.9;
  settings[6].second.logit_bias = {{3, 4}, {40, 2}};
  settings[7] = {"bias", settings[7].second};
  settings[7].second.logit_bias = {{3, 6}, {40, -2}};
  const std::vector<float> logits = random_logits(300, 1.5, 3);
  for (const auto& [name, s] : settings) {
    SCOPED_TRACE(name);
    Sampler sampler(s, {.seed = 99});
    std::vector<int> counts(logits.size(), 0);
    for (std::size_t i = 0; i < kDraws; ++i) {
      ++counts[static_cast<std::size_t>(sampler.sample(logits, place(i), scratch_))];
    }
    Distribution distribution;
    sampler.distribution(logits, place(0), scratch_, distribution);
    const std::vector<double> probabilities = dense(distribution, logits.size());
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (probabilities[i] == 0) {
        EXPECT_EQ(counts[i], 0) << i;
      }
    }
    EXPECT_LT(std::abs(chi_square_score(probabilities, counts, kDraws)), kUnlikely);
  }
}

// One place of many seeds is as random as many places of one.
TEST_F(Statistics, SeedsAreIndependent) {
  constexpr int kDraws = 30'000;
  const std::vector<float> logits = random_logits(40, 1, 7);
  SamplingParams s;
  s.temperature = 1;
  std::vector<int> counts(logits.size(), 0);
  Distribution distribution;
  for (std::uint64_t seed = 0; seed < kDraws; ++seed) {
    Sampler sampler(s, {.seed = seed});
    ++counts[static_cast<std::size_t>(sampler.sample(logits, place(5), scratch_))];
    if (seed == 0) sampler.distribution(logits, place(5), scratch_, distribution);
  }
  EXPECT_LT(std::abs(chi_square_score(dense(distribution, logits.size()), counts, kDraws)),
            kUnlikely);
}

// Neighbouring places, streams and seeds, two by two: pairs fill the square.
TEST_F(Statistics, NumbersOfNeighboursAreIndependent) {
  constexpr int kDraws = 40'000;
  constexpr std::size_t kSide = 16;
  const std::vector<double> even(kSide * kSide, 1.0 / (kSide * kSide));
  const auto score = [&](const auto& pair) {
    std::vector<int> counts(kSide * kSide, 0);
    for (std::uint64_t i = 0; i < kDraws; ++i) {
      const auto [x, y] = pair(i);
      EXPECT_TRUE(x >= 0 && x < 1 && y >= 0 && y < 1);
      ++counts[static_cast<std::size_t>(x * kSide) * kSide + static_cast<std::size_t>(y * kSide)];
    }
    return std::abs(chi_square_score(even, counts, kDraws));
  };
  EXPECT_LT(
      score([](std::uint64_t i) { return std::pair(uniform(4, 2 * i), uniform(4, 2 * i + 1)); }),
      kUnlikely);
  EXPECT_LT(score([](std::uint64_t i) { return std::pair(uniform(i, 9), uniform(i + 1, 9)); }),
            kUnlikely);
  for (const RandomStream stream :
       {RandomStream::kXtc, RandomStream::kDraft, RandomStream::kAccept, RandomStream::kResidual}) {
    EXPECT_LT(score([stream](std::uint64_t i) {
                return std::pair(uniform(4, i), uniform(4, i, stream));
              }),
              kUnlikely);
  }
}

TEST_F(Statistics, XtcExcludesTopChoicesAsOftenAsToldTo) {
  // Probabilities 0.5, 0.3, 0.15, 0.05 at temperature 1.
  std::vector<float> logits;
  for (const double p : {0.3, 0.5, 0.05, 0.15}) logits.push_back(static_cast<float>(std::log(p)));
  SamplingParams s;
  s.temperature = 1;
  s.xtc_probability = 0.4;
  s.xtc_threshold = 0.1;
  constexpr int kDraws = 40'000;
  Sampler sampler(s, {.seed = 8});
  int excluded = 0;
  std::vector<int> counts(4, 0);
  Distribution distribution;
  for (std::size_t i = 0; i < kDraws; ++i) {
    ++counts[static_cast<std::size_t>(sampler.sample(logits, place(i), scratch_))];
    sampler.distribution(logits, place(i), scratch_, distribution);
    if (distribution.tokens.size() == 4) continue;
    ++excluded;
    ASSERT_EQ(distribution.tokens.size(), 2U);
    EXPECT_NEAR(distribution.probability(2), 0.25, 1e-6);  // not a top choice
    EXPECT_NEAR(distribution.probability(3), 0.75, 1e-6);  // the least likely of them
  }
  EXPECT_NEAR(excluded, 0.4 * kDraws, 4.5 * std::sqrt(0.24 * kDraws));
  const std::vector<double> mixed = {0.6 * 0.3, 0.6 * 0.5, 0.6 * 0.05 + 0.4 * 0.25,
                                     0.6 * 0.15 + 0.4 * 0.75};
  EXPECT_LT(chi_square_score(mixed, counts, kDraws), kUnlikely);

  const auto size_at = [&](double threshold) {
    s.xtc_probability = 1;
    s.xtc_threshold = threshold;
    Sampler(s, {}).distribution(logits, {}, scratch_, distribution);
    return distribution.tokens.size();
  };
  EXPECT_EQ(size_at(0.0), 1U);   // all are top choices: the least likely one stays
  EXPECT_EQ(size_at(0.2), 3U);   // 0.5 goes
  EXPECT_EQ(size_at(0.4), 4U);   // a single one is kept
  EXPECT_EQ(size_at(0.51), 4U);  // off
}

TEST_F(Statistics, MirostatReachesItsSurprise) {
  for (const double tau : {4.0, 5.0}) {
    SamplingParams s;
    s.temperature = 1;
    s.mirostat_tau = tau;
    s.mirostat_eta = 0.05;
    s.top_k = 1;  // has no part in it
    Sampler sampler(s, {.seed = 21});
    double surprise = 0;
    constexpr std::size_t kTokens = 3000;
    for (std::size_t i = 0; i < kTokens; ++i) {
      const std::vector<float> logits =
          random_logits(400, 1.5 + static_cast<double>(i % 3) * 0.5, static_cast<unsigned>(i % 17));
      SamplingParams plain;
      plain.temperature = 1;
      const TokenId id = sampler.sample(logits, place(i), scratch_);
      if (i >= 500) {
        surprise -= std::log2(obvious_distribution(logits, plain).probability(id));
      }
    }
    EXPECT_NEAR(surprise / (kTokens - 500), tau, 0.1);
  }
}

// The bound moves with accepted tokens only, and distribution() with accept() is sample().
TEST_F(Statistics, MirostatFollowsWhatIsAccepted) {
  SamplingParams s;
  s.temperature = 1;
  s.mirostat_tau = 3;
  s.mirostat_eta = 0.3;
  Sampler sampled(s, {.seed = 1});
  Sampler told(s, {.seed = 1});
  Distribution distribution;
  for (std::size_t i = 0; i < 50; ++i) {
    const std::vector<float> logits = random_logits(200, 2, static_cast<unsigned>(i));
    told.distribution(logits, place(i), scratch_, distribution);
    told.distribution(logits, place(i), scratch_, distribution);
    const TokenId id = distribution.draw(told.random(i, RandomStream::kDraw));
    told.accept(distribution.probability(id));
    EXPECT_EQ(sampled.sample(logits, place(i), scratch_), id);
  }
}

// What speculative decoding will do with distributions: tokens proposed by a draft come out as the
// target's own.
TEST_F(Statistics, RejectionSamplingGivesTheTarget) {
  constexpr int kDraws = 40'000;
  const std::vector<float> target_logits = random_logits(60, 1.5, 31);
  std::vector<float> draft_logits = random_logits(60, 1.0, 32);
  for (std::size_t i = 0; i < 60; ++i) draft_logits[i] += target_logits[i];
  SamplingParams s;
  s.temperature = 0.9;
  s.top_k = 30;
  s.top_p = 0.95;
  SamplingParams draft_settings;
  draft_settings.temperature = 1;
  Sampler target(s, {.seed = 5});
  Sampler draft(draft_settings, {.seed = 5});
  Distribution p;
  Distribution q;
  std::vector<int> counts(60, 0);
  int accepted = 0;
  for (std::size_t i = 0; i < kDraws; ++i) {
    draft.distribution(draft_logits, place(i), scratch_, q);
    target.distribution(target_logits, place(i), scratch_, p);
    TokenId id = q.draw(draft.random(i, RandomStream::kDraft));
    if (target.random(i, RandomStream::kAccept) < p.probability(id) / q.probability(id)) {
      ++accepted;
    } else {
      Distribution rest;
      double total = 0;
      for (const auto& [token, probability] : p.tokens) {
        const double more = probability - q.probability(token);
        if (more <= 0) continue;
        rest.tokens.push_back({.id = token, .probability = more});
        total += more;
      }
      for (auto& token : rest.tokens) token.probability /= total;
      id = rest.draw(target.random(i, RandomStream::kResidual));
    }
    ++counts[static_cast<std::size_t>(id)];
  }
  EXPECT_LT(std::abs(chi_square_score(dense(p, 60), counts, kDraws)), kUnlikely);
  double overlap = 0;
  for (const auto& [id, probability] : p.tokens) {
    overlap += std::min(probability, q.probability(id));
  }
  EXPECT_NEAR(accepted, overlap * kDraws, 4.5 * std::sqrt(kDraws * 0.25));
}

TEST(Distribution, GivesSingleProbabilitiesAndDraws) {
  const Distribution d{{{.id = 3, .probability = 0.25}, {.id = 8, .probability = 0.75}}};
  EXPECT_EQ(d.probability(3), 0.25);
  EXPECT_EQ(d.probability(8), 0.75);
  EXPECT_EQ(d.probability(5), 0);
  EXPECT_EQ(d.probability(9), 0);
  EXPECT_EQ(d.draw(0), 3);
  EXPECT_EQ(d.draw(0.2499), 3);
  EXPECT_EQ(d.draw(0.25), 8);
  EXPECT_EQ(d.draw(0.99999), 8);
  EXPECT_EQ(d.draw(1), 8);
  EXPECT_EQ(Distribution{}.draw(0.5), -1);
}

}  // namespace
}  // namespace mistral::engine
