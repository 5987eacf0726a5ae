// Sampling the obvious way: everything in double, full sorts, one filter after the other.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "engine/distribution.h"
#include "mistral/types.h"

namespace mistral::engine {

inline std::vector<float> random_logits(std::size_t size, double spread, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal(0, spread);
  std::vector<float> logits(size);
  for (float& x : logits) x = static_cast<float>(normal(generator));
  return logits;
}

inline double sum_of(const std::vector<TokenProbability>& tokens) {
  double sum = 0;
  for (const auto& token : tokens) sum += token.probability;
  return sum;
}

// Bias, temperature, top-n-sigma, top-k, top-p, min-p, typical. Ids that are 0 in float32 are left
// out.
inline Distribution obvious_distribution(const std::vector<float>& row, const SamplingParams& s) {
  std::vector<double> logits(row.begin(), row.end());
  for (const auto& [id, bias] : s.logit_bias) {
    if (static_cast<std::size_t>(id) < logits.size()) logits[static_cast<std::size_t>(id)] += bias;
  }
  const double max = *std::max_element(logits.begin(), logits.end());
  double mean = 0;
  for (const double logit : logits) mean += logit / static_cast<double>(logits.size());
  double variance = 0;
  for (const double logit : logits) {
    variance += (logit - mean) * (logit - mean) / static_cast<double>(logits.size());
  }
  std::vector<TokenProbability> all;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    all.push_back({static_cast<TokenId>(i), std::exp((logits[i] - max) / *s.temperature)});
  }
  const double total = sum_of(all);
  std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) {
    return logits[static_cast<std::size_t>(a.id)] > logits[static_cast<std::size_t>(b.id)];
  });
  std::vector<TokenProbability> kept;
  double before = 0;
  for (const auto& token : all) {
    const double logit = logits[static_cast<std::size_t>(token.id)];
    if (s.top_n_sigma && logit < max - *s.top_n_sigma * std::sqrt(variance)) break;
    if (s.top_k.value_or(0) > 0 && kept.size() == static_cast<std::size_t>(*s.top_k)) break;
    if (s.top_p && before / total >= *s.top_p) break;
    before += token.probability;
    if (token.probability < 1.7e-38) continue;
    if (s.min_p && token.probability <= *s.min_p) continue;
    kept.push_back(token);
  }
  if (s.typical_p) {
    const double sum = sum_of(kept);
    double entropy = 0;
    for (const auto& [id, weight] : kept) entropy -= weight / sum * std::log(weight / sum);
    const auto distance = [&](const TokenProbability& token) {
      return std::abs(-std::log(token.probability / sum) - entropy);
    };
    std::stable_sort(kept.begin(), kept.end(),
                     [&](const auto& a, const auto& b) { return distance(a) < distance(b); });
    double passed = 0;
    std::size_t count = 0;
    for (; count < kept.size() && passed < *s.typical_p * sum; ++count) {
      passed += kept[count].probability;
    }
    kept.resize(count);
  }
  const double sum = sum_of(kept);
  for (auto& token : kept) token.probability /= sum;
  std::sort(kept.begin(), kept.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return {kept};
}

// The same ids with the same probabilities. Where a cut falls between tokens that are equal but for
// rounding, another of them may have been taken: those few together may not matter.
inline void expect_same(const Distribution& found, const Distribution& expected) {
  double strange = 0;
  for (const auto& [id, probability] : found.tokens) {
    const double wanted = expected.probability(id);
    if (wanted == 0) {
      strange += probability;
    } else {
      EXPECT_NEAR(probability, wanted, 2e-6 * wanted) << "id " << id;
    }
  }
  for (const auto& [id, probability] : expected.tokens) {
    if (found.probability(id) == 0) strange += probability;
  }
  const auto count = static_cast<double>(expected.tokens.size());
  EXPECT_LE(strange, expected.tokens.size() < 100 ? 1e-9 : 16 / count);
}

// Pearson's statistic of counts against probabilities, less its mean, over its deviation: about
// normal for many cells. Cells that expect fewer than five are joined.
inline double chi_square_score(const std::vector<double>& probabilities,
                               const std::vector<int>& counts, int draws) {
  double statistic = 0;
  int cells = 0;
  double rare = 0;
  double rare_seen = 0;
  const auto add = [&](double expected, double seen) {
    statistic += (seen - expected) * (seen - expected) / expected;
    ++cells;
  };
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    const double expected = probabilities[i] * draws;
    if (expected < 5) {
      rare += expected;
      rare_seen += counts[i];
    } else {
      add(expected, counts[i]);
    }
  }
  if (rare >= 5) add(rare, rare_seen);
  const double freedom = std::max(cells - 1, 1);
  return (statistic - freedom) / std::sqrt(2 * freedom);
}

}  // namespace mistral::engine
