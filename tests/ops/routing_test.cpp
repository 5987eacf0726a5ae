// Routing to experts: known cases, and random ones against formulas of their own in double.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ops/backends.h"

namespace mistral::ops {
namespace {

using Score = RoutingParams::Score;

struct Choice {
  std::vector<std::int32_t> experts;
  std::vector<float> weights;
};

class Routing : public test::PerKernelSet {
 protected:
  static Choice route(Backend& backend, const RoutingParams& params,
                      const std::vector<float>& logits, std::int64_t rows) {
    const auto size = static_cast<std::size_t>(rows * params.used);
    Choice choice{std::vector<std::int32_t>(size, -1), std::vector<float>(size, -1.0F)};
    const auto cols = static_cast<std::int64_t>(logits.size()) / rows;
    backend.route(params, {logits.data(), rows, cols, cols},
                  {params.used, choice.experts.data(), choice.weights.data()});
    return choice;
  }
  void expect(const RoutingParams& params, const std::vector<float>& logits,
              const std::vector<std::int32_t>& experts, const std::vector<float>& weights) {
    for (Backend* backend : {backends_.cpu.get(), backends_.reference.get()}) {
      const Choice choice = route(*backend, params, logits, 1);
      EXPECT_EQ(choice.experts, experts);
      ASSERT_EQ(choice.weights.size(), weights.size());
      for (std::size_t i = 0; i < weights.size(); ++i) {
        EXPECT_NEAR(choice.weights[i], weights[i], 1e-6F * std::fabs(weights[i]));
      }
    }
  }
};

const float kTwo = std::log(2.0F);
const float kThree = std::log(3.0F);
const float kFour = std::log(4.0F);

TEST_P(Routing, Softmax) {
  // Shares 1 / 10, 4 / 10, 2 / 10, 3 / 10.
  const std::vector<float> logits = {0.0F, kFour, kTwo, kThree};
  RoutingParams params;
  params.used = 2;
  expect(params, logits, {1, 3}, {0.4F, 0.3F});
  params.normalize = true;
  expect(params, logits, {1, 3}, {4.0F / 7.0F, 3.0F / 7.0F});
  params.scale = 2.5F;
  params.used = 4;
  expect(params, logits, {1, 3, 2, 0}, {1.0F, 0.75F, 0.5F, 0.25F});
}

TEST_P(Routing, OfEqualsTheLowerIndexComesFirst) {
  RoutingParams params;
  params.used = 3;
  expect(params, {1.0F, 1.0F, 1.0F, 1.0F}, {0, 1, 2}, {0.25F, 0.25F, 0.25F});
}

TEST_P(Routing, SoftmaxOverTheSelected) {
  RoutingParams params;
  params.score = Score::kSelected;
  params.used = 2;
  expect(params, {0.0F, kFour, kTwo, kThree}, {1, 3}, {4.0F / 7.0F, 3.0F / 7.0F});
  params.used = 1;
  expect(params, {0.0F, 90.0F}, {1}, {1.0F});
}

TEST_P(Routing, BiasChoosesAndDoesNotWeigh) {
  // Sigmoids 1 / 2, 4 / 5, 2 / 3, 3 / 4.
  const std::vector<float> logits = {0.0F, kFour, kTwo, kThree};
  const std::vector<float> bias = {0.4F, 0.0F, -5.0F, 0.0F};
  RoutingParams params;
  params.score = Score::kSigmoid;
  params.used = 2;
  expect(params, logits, {1, 3}, {0.8F, 0.75F});
  params.selection_bias = bias.data();
  expect(params, logits, {0, 1}, {0.5F, 0.8F});
  params.normalize = true;
  params.scale = 13.0F;
  expect(params, logits, {0, 1}, {5.0F, 8.0F});
}

TEST_P(Routing, ScoresOfZeroCanBeNormalised) {
  RoutingParams params;
  params.score = Score::kSigmoid;
  params.used = 2;
  params.normalize = true;
  expect(params, {-1e30F, -1e30F, -1e30F}, {0, 1}, {0.0F, 0.0F});
}

TEST_P(Routing, OnlyTheBestGroupsAreChosenFrom) {
  // By the best expert group 1 wins, by the sum of two group 2.
  const std::vector<float> logits = {0.0F, 0.1F, 9.0F, -9.0F, 2.0F, 2.1F};
  RoutingParams params;
  params.score = Score::kSelected;
  params.used = 1;
  params.groups = 3;
  params.used_groups = 1;
  expect(params, logits, {2}, {1.0F});
  params.group_score = RoutingParams::GroupScore::kTwoBest;
  expect(params, logits, {5}, {1.0F});
  params.used_groups = 2;
  params.used = 2;
  // 0.1 + 0 beats 9 - 9: the best expert of all cannot be chosen.
  expect(params, logits, {5, 4}, {1.0F / (1.0F + std::exp(-0.1F)), 1.0F / (1.0F + std::exp(0.1F))});
}

TEST_P(Routing, ExcludedGroupsFollowWhenNoOthersAreLeft) {
  const std::vector<float> bias = {-9.0F, -9.0F, -20.0F, -30.0F};
  RoutingParams params;
  params.score = Score::kSigmoid;
  params.used = 3;
  params.groups = 2;
  params.used_groups = 1;
  params.selection_bias = bias.data();
  // Ranks below zero, too, stand before every expert of an excluded group.
  expect(params, {0.0F, kThree, kFour, 0.0F}, {1, 0, 2}, {0.75F, 0.5F, 0.8F});
}

TEST_P(Routing, SparseMixer) {
  RoutingParams params;
  params.score = Score::kSparseMixer;
  params.used = 2;
  params.jitter = 0.01F;
  // (4 - 3.95) / 4 is near, (4 - 3.9) / 4 is not; 3.9 is near 3.95.
  const float near = std::exp(-0.05F);
  expect(params, {3.9F, -3.99F, 4.0F, 3.95F}, {2, 3}, {1.0F / (1.0F + near), 1.0F / (1.0F + near)});
  // All alone.
  expect(params, {1.0F, 2.0F, -4.0F}, {1, 0}, {1.0F, 1.0F});
  // The distance to a large negative logit is relative to it.
  params.jitter = 0.5F;
  expect(params, {0.0F, -100.0F, 0.0F}, {0, 2}, {1.0F / (2.0F + std::exp(-100.0F)), 1.0F});
}

// Formulas of their own, in double.
Choice expected(const RoutingParams& params, const std::vector<float>& logits) {
  const std::size_t n = logits.size();
  std::vector<double> scores(logits.begin(), logits.end());
  if (params.score == Score::kSigmoid) {
    for (double& s : scores) s = 1 / (1 + std::exp(-s));
  } else if (params.score == Score::kSoftmax) {
    double sum = 0;
    for (const double s : scores) sum += std::exp(s);
    for (double& s : scores) s = std::exp(s) / sum;
  }
  std::vector<double> ranks = scores;
  if (params.selection_bias != nullptr) {
    for (std::size_t i = 0; i < n; ++i) ranks[i] += params.selection_bias[i];
  }
  const std::size_t size = n / static_cast<std::size_t>(params.groups);
  std::vector<std::pair<double, std::size_t>> groups;
  for (std::size_t g = 0; g < static_cast<std::size_t>(params.groups); ++g) {
    std::vector<double> sorted(ranks.begin() + static_cast<std::ptrdiff_t>(g * size),
                               ranks.begin() + static_cast<std::ptrdiff_t>((g + 1) * size));
    std::sort(sorted.rbegin(), sorted.rend());
    const bool two = params.group_score == RoutingParams::GroupScore::kTwoBest && size > 1;
    groups.emplace_back(two ? sorted[0] + sorted[1] : sorted[0], g);
  }
  std::sort(groups.rbegin(), groups.rend());
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t g = 0; g < static_cast<std::size_t>(params.used_groups); ++g) {
      if (groups[g].second == i / size) order.push_back(i);
    }
  }
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return ranks[a] > ranks[b]; });
  std::vector<double> weights;
  double sum = 0;
  Choice choice;
  for (std::size_t i = 0; i < static_cast<std::size_t>(params.used); ++i) {
    choice.experts.push_back(static_cast<std::int32_t>(order[i]));
    const double s = scores[order[i]];
    weights.push_back(params.score == Score::kSelected ? std::exp(s) : s);
    sum += weights.back();
  }
  const bool shares = params.normalize || params.score == Score::kSelected;
  for (const double w : weights) {
    choice.weights.push_back(static_cast<float>(w / (shares ? sum : 1) * params.scale));
  }
  return choice;
}

TEST_P(Routing, RandomLogits) {
  constexpr std::int64_t kRows = 67;
  constexpr std::int64_t kExperts = 24;
  const auto logits = test::random_values(kRows * kExperts, 40, 2.0F);
  const auto bias = test::random_values(kExperts, 41, 0.1F);
  for (const Score score : {Score::kSoftmax, Score::kSelected, Score::kSigmoid}) {
    for (const std::int32_t used : {1, 2, 7, 12}) {
      for (const std::int32_t groups : {1, 4, 12}) {
        for (const bool biased : {false, true}) {
          RoutingParams params;
          params.score = score;
          params.used = used;
          params.groups = groups;
          params.used_groups = groups == 1 ? 1 : groups / 2;
          params.group_score =
              biased ? RoutingParams::GroupScore::kTwoBest : RoutingParams::GroupScore::kBest;
          params.normalize = biased;
          params.scale = 1.5F;
          params.selection_bias = biased ? bias.data() : nullptr;
          const Choice got = route(*backends_.cpu, params, logits, kRows);
          const Choice threaded = route(*backends_.threaded, params, logits, kRows);
          EXPECT_EQ(threaded.experts, got.experts);
          test::expect_same_bits(threaded.weights, got.weights);
          Choice want;
          for (std::int64_t r = 0; r < kRows; ++r) {
            const auto begin = logits.begin() + r * kExperts;
            const Choice row = expected(params, {begin, begin + kExperts});
            want.experts.insert(want.experts.end(), row.experts.begin(), row.experts.end());
            want.weights.insert(want.weights.end(), row.weights.begin(), row.weights.end());
          }
          ASSERT_EQ(got.experts, want.experts);
          ASSERT_NO_FATAL_FAILURE(test::expect_close(got.weights, want.weights, 2e-6));
        }
      }
    }
  }
}

// A broken model must not choose experts that are not there.
TEST_P(Routing, ExpertsAreValidWhateverTheLogits) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<std::vector<float>> cases = {{nan, nan, nan, nan},
                                                 {1.0F, nan, 2.0F, nan},
                                                 {-infinity, -infinity, -infinity, -infinity},
                                                 {infinity, infinity, nan, -infinity}};
  for (const Score score :
       {Score::kSoftmax, Score::kSelected, Score::kSigmoid, Score::kSparseMixer}) {
    for (const std::int32_t groups : {1, 2}) {
      for (const auto& logits : cases) {
        RoutingParams params;
        params.score = score;
        params.used = 4;
        params.groups = groups;
        params.group_score = RoutingParams::GroupScore::kTwoBest;
        Choice choice = route(*backends_.cpu, params, logits, 1);
        std::sort(choice.experts.begin(), choice.experts.end());
        EXPECT_EQ(choice.experts, (std::vector<std::int32_t>{0, 1, 2, 3}));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, Routing, testing::ValuesIn(test::kernel_sets()),
                         [](const auto& set) { return set.param; });

}  // namespace
}  // namespace mistral::ops
