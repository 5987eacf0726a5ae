#include "ops/routing.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mistral::ops {
namespace {

using Standing = RoutingScratch::Standing;

// Transformers adds it where scores, which may all be zero, are made to sum to 1.
constexpr float kSmallestSum = 1e-20F;

void softmax(std::span<float> x) {
  const float largest = *std::max_element(x.begin(), x.end());
  float sum = 0.0F;
  for (float& value : x) {
    value = std::exp(value - largest);
    sum += value;
  }
  for (float& value : x) value /= sum;
}

// The best of those with the best standing (of equals the first), which is chosen from then on.
std::size_t choose(std::span<const float> ranks, std::span<Standing> standing) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < ranks.size(); ++i) {
    if (standing[i] < standing[best] || (standing[i] == standing[best] && ranks[i] > ranks[best])) {
      best = i;
    }
  }
  standing[best] = Standing::kChosen;
  return best;
}

float group_rank(RoutingParams::GroupScore kind, std::span<const float> ranks) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  float best = kNone;
  float second = kNone;
  for (const float rank : ranks) {
    if (rank > best) {
      second = best;
      best = rank;
    } else if (rank > second) {
      second = rank;
    }
  }
  return kind == RoutingParams::GroupScore::kBest || ranks.size() < 2 ? best : best + second;
}

void exclude_groups(const RoutingParams& params, RoutingScratch& scratch) {
  const auto groups = static_cast<std::size_t>(params.groups);
  const std::size_t size = scratch.ranks.size() / groups;
  scratch.group_ranks.clear();
  for (std::size_t g = 0; g < groups; ++g) {
    scratch.group_ranks.push_back(
        group_rank(params.group_score, std::span(scratch.ranks).subspan(g * size, size)));
  }
  scratch.groups.assign(groups, Standing::kOpen);
  std::fill(scratch.experts.begin(), scratch.experts.end(), Standing::kInExcludedGroup);
  for (std::int32_t i = 0; i < std::min(params.used_groups, params.groups); ++i) {
    const std::size_t group = choose(scratch.group_ranks, scratch.groups);
    std::fill_n(scratch.experts.begin() + static_cast<std::ptrdiff_t>(group * size), size,
                Standing::kOpen);
  }
}

// The weight of an expert is its share in the softmax over those that are near it and were not
// chosen before.
void mix_sparsely(const RoutingParams& params, std::span<const float> logits,
                  const ExpertChoice& choice, RoutingScratch& scratch) {
  for (std::int32_t i = 0; i < choice.used; ++i) {
    const std::size_t expert = choose(scratch.ranks, scratch.experts);
    const float largest = logits[expert];
    float sum = 1.0F;
    for (std::size_t e = 0; e < logits.size(); ++e) {
      if (scratch.experts[e] == Standing::kChosen) continue;
      const float distance = (largest - logits[e]) / std::max(std::fabs(logits[e]), largest);
      // So that 0 / 0, between logits of zero, is near.
      if (!(distance > 2.0F * params.jitter)) sum += std::exp(logits[e] - largest);
    }
    choice.experts[i] = static_cast<std::int32_t>(expert);
    choice.weights[i] = 1.0F / sum;
  }
}

void choose_best(const RoutingParams& params, const ExpertChoice& choice, RoutingScratch& scratch) {
  if (params.groups > 1) exclude_groups(params, scratch);
  for (std::int32_t i = 0; i < choice.used; ++i) {
    const std::size_t expert = choose(scratch.ranks, scratch.experts);
    choice.experts[i] = static_cast<std::int32_t>(expert);
    choice.weights[i] = scratch.scores[expert];
  }
}

}  // namespace

void route_row(const RoutingParams& params, std::span<const float> logits,
               const ExpertChoice& choice, RoutingScratch& scratch) {
  const std::span<float> weights(choice.weights, static_cast<std::size_t>(choice.used));
  scratch.scores.assign(logits.begin(), logits.end());
  if (params.score == RoutingParams::Score::kSoftmax) softmax(scratch.scores);
  if (params.score == RoutingParams::Score::kSigmoid) {
    for (float& score : scratch.scores) score = 1.0F / (1.0F + std::exp(-score));
  }
  scratch.ranks.assign(scratch.scores.begin(), scratch.scores.end());
  if (params.selection_bias != nullptr) {
    for (std::size_t e = 0; e < logits.size(); ++e) scratch.ranks[e] += params.selection_bias[e];
  }
  scratch.experts.assign(logits.size(), Standing::kOpen);
  if (params.score == RoutingParams::Score::kSparseMixer) {
    mix_sparsely(params, logits, choice, scratch);
  } else {
    choose_best(params, choice, scratch);
  }
  if (params.score == RoutingParams::Score::kSelected) softmax(weights);
  if (params.normalize) {
    float sum = kSmallestSum;
    for (const float weight : weights) sum += weight;
    for (float& weight : weights) weight /= sum;
  }
  for (float& weight : weights) weight *= params.scale;
}

}  // namespace mistral::ops
