#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "engine/random.h"

namespace mistral::engine {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> random_logits(std::size_t size, double spread, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal(0, spread);
  std::vector<float> logits(size);
  for (float& x : logits) x = static_cast<float>(normal(generator));
  return logits;
}

// The obvious version: everything in double, full sort.
std::vector<TokenProbability> obvious(const std::vector<float>& logits, const SamplingParams& s) {
  const double max = *std::max_element(logits.begin(), logits.end());
  std::vector<TokenProbability> all;
  double total = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((logits[i] - max) / *s.temperature);
    all.push_back({static_cast<TokenId>(i), weight});
    total += weight;
  }
  std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) {
    return logits[static_cast<std::size_t>(a.id)] > logits[static_cast<std::size_t>(b.id)];
  });
  std::vector<TokenProbability> kept;
  double before = 0;
  for (const auto& token : all) {
    if (s.top_k.value_or(0) > 0 && kept.size() == static_cast<std::size_t>(*s.top_k)) break;
    if (s.top_p && before / total >= *s.top_p) break;
    before += token.probability;
    if (token.probability < 1e-35) continue;  // zero in float32
    if (s.min_p && token.probability <= *s.min_p) continue;
    kept.push_back(token);
  }
  double sum = 0;
  for (const auto& token : kept) sum += token.probability;
  for (auto& token : kept) token.probability /= sum;
  return kept;
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

TEST(Sampler, SelectsAsAFullSortWould) {
  SamplerScratch scratch;
  unsigned seed = 0;
  for (const std::size_t size : {1, 2, 17, 1000, 20011}) {
    for (const double spread : {0.01, 1.0, 6.0}) {
      const std::vector<float> logits = random_logits(size, spread, ++seed);
      for (const double temperature : {0.05, 0.7, 1.0, 8.0}) {
        for (const int filter : {1, 2, 3, 4, 5, 6, 7}) {
          SamplingParams s;
          s.temperature = temperature;
          if ((filter & 1) != 0) s.top_k = 13;
          if ((filter & 2) != 0) s.top_p = 0.813;
          if ((filter & 4) != 0) s.min_p = 0.0371;
          const auto expected = obvious(logits, s);
          auto found = Sampler(s, {}, 0).distribution(logits, {}, scratch);
          std::erase_if(found, [](const auto& token) { return token.probability < 1e-35; });
          ASSERT_EQ(found.size(), expected.size()) << size << " ids, spread " << spread << ", T "
                                                   << temperature << ", filter " << filter;
          for (std::size_t i = 0; i < found.size(); ++i) {
            EXPECT_EQ(found[i].id, expected[i].id);
            EXPECT_NEAR(found[i].probability, expected[i].probability,
                        1e-5 * expected[i].probability + 1e-9);
          }
        }
      }
    }
  }
}

TEST(Sampler, DrawsWithTheirProbabilities) {
  const std::vector<float> logits = random_logits(12, 1.5, 3);
  for (const bool by_rank : {false, true}) {
    SamplingParams s;
    s.temperature = 1.1;
    s.min_p = 0.02;
    if (by_rank) s.top_k = 9;
    SamplerScratch scratch;
    Sampler sampler(s, {}, 99);
    constexpr int kDraws = 40000;
    std::vector<int> counts(logits.size(), 0);
    for (int i = 0; i < kDraws; ++i) {
      ++counts[static_cast<std::size_t>(sampler.sample(logits, {}, scratch))];
    }
    double chi_square = 0;
    const auto distribution = sampler.distribution(logits, {}, scratch);
    int seen = 0;
    for (const auto& [id, probability] : distribution) {
      const double expected = probability * kDraws;
      const double difference = counts[static_cast<std::size_t>(id)] - expected;
      chi_square += difference * difference / expected;
      seen += counts[static_cast<std::size_t>(id)];
    }
    EXPECT_EQ(seen, kDraws);      // nothing outside
    EXPECT_LT(chi_square, 40.0);  // at most 11 degrees of freedom: p < 1e-4 (and the seed is fixed)
  }
}

TEST(Sampler, SeedReproducesAndSeedsDiffer) {
  const std::vector<float> logits = random_logits(500, 1, 5);
  SamplingParams s;
  s.temperature = 1.0;
  SamplerScratch scratch;
  const auto draw = [&](std::uint64_t seed) {
    Sampler sampler(s, {}, seed);
    std::vector<TokenId> ids;
    for (int i = 0; i < 50; ++i) ids.push_back(sampler.sample(logits, {}, scratch));
    return ids;
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
  const std::vector<TokenId> ids = draw(1);
  EXPECT_GT(std::set<TokenId>(ids.begin(), ids.end()).size(), 10U);
}

TEST(Sampler, GreedyIsTheDefaultAndBelowTheLimit) {
  const std::vector<float> logits = {0, 2, 1.9F, 2};
  SamplerScratch scratch;
  SamplingParams s;
  EXPECT_EQ(Sampler(s, {}, 1).sample(logits, {}, scratch), 1);
  s.temperature = 9.9e-8;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_EQ(Sampler(s, {}, seed).sample(logits, {}, scratch), 1);
  }
}

TEST(Sampler, SurvivesBrokenLogits) {
  SamplerScratch scratch;
  for (const double temperature : {0.0, 1.0}) {
    for (const int top_k : {0, 2}) {
      SamplingParams s;
      s.temperature = temperature;
      s.top_k = top_k;
      Sampler sampler(s, {}, 3);
      EXPECT_EQ(sampler.sample(std::vector<float>{kNan, -kInf, 7, kNan}, {}, scratch), 2);
      EXPECT_EQ(sampler.sample(std::vector<float>{kNan, 5, kInf, -kInf}, {}, scratch), 2);
      EXPECT_EQ(sampler.sample(std::vector<float>(40, 1e30F), {}, scratch) >= 0, true);
      EXPECT_THROW((void)sampler.sample(std::vector<float>(40, kNan), {}, scratch), Error);
      EXPECT_THROW((void)sampler.sample(std::vector<float>{}, {}, scratch), Error);
    }
  }
}

TEST(Sampler, ExtremeTemperaturesStayInsideTheVocabulary) {
  const std::vector<float> logits = random_logits(100, 20, 8);
  SamplerScratch scratch;
  for (const double temperature : {1e-7, 1e-3, 1e3, 1e30, 1e300}) {
    for (const double top_p : {0.0, 1e-9, 0.5, 0.999999999, 1.0}) {
      SamplingParams s;
      s.temperature = temperature;
      s.top_p = top_p;
      Sampler sampler(s, {}, 3);
      for (int i = 0; i < 10; ++i) {
        const TokenId id = sampler.sample(logits, {}, scratch);
        EXPECT_TRUE(id >= 0 && id < 100) << temperature << " " << top_p;
      }
    }
  }
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
  EXPECT_EQ(Sampler(s, {}, 0).sample(std::vector<float>{1, 2, 3, 1}, context, scratch), 3);
}

TEST(Random, UniformFillsTheUnitInterval) {
  double sum = 0;
  for (std::uint64_t i = 0; i < 10000; ++i) {
    const double x = uniform(42, i);
    ASSERT_TRUE(x >= 0 && x < 1);
    sum += x;
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.015);
}

}  // namespace
}  // namespace mistral::engine
