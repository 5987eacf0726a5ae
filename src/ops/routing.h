// From the logits of a router to experts and weights, for one row: the same f32 arithmetic in every
// backend, since one more rounding can choose another expert.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/ops.h"

namespace mistral::ops {

// Grown on first use and kept from row to row.
struct RoutingScratch {
  enum class Standing : std::uint8_t { kOpen, kInExcludedGroup, kChosen };
  std::vector<float> scores;  // what weights are made of
  std::vector<float> ranks;   // what experts are chosen by
  std::vector<float> group_ranks;
  std::vector<Standing> groups;
  std::vector<Standing> experts;
};

// Fills `choice` of one row; params.used is at most the number of logits. Experts of excluded
// groups are chosen only when no others are left. Logits may be anything, also NaN: the experts are
// valid all the same.
void route_row(const RoutingParams& params, std::span<const float> logits,
               const ExpertChoice& choice, RoutingScratch& scratch);

}  // namespace mistral::ops
