#include "ops/cpu/expert_plan.h"

#include <algorithm>

namespace mistral::ops::cpu {

void ExpertPlan::build(std::int64_t rows, std::size_t experts, const ExpertChoice& choice) {
  const auto count = static_cast<std::size_t>(rows * choice.used);
  const std::span<const std::int32_t> chosen(choice.experts, count);
  used_ = choice.used;
  next_.assign(experts, 0);
  for (const std::int32_t expert : chosen) ++next_[static_cast<std::size_t>(expert)];
  segments_.clear();
  std::int64_t first = 0;
  for (std::size_t e = 0; e < experts; ++e) {
    const std::int64_t pairs = next_[e];
    if (pairs > 0) segments_.push_back({static_cast<std::int32_t>(e), first, pairs, 0});
    next_[e] = first;
    first += pairs;
  }
  pairs_.resize(count);
  places_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t place = next_[static_cast<std::size_t>(chosen[i])]++;
    const auto row = static_cast<std::int32_t>(i / static_cast<std::size_t>(choice.used));
    pairs_[static_cast<std::size_t>(place)] = {row, choice.weights[i]};
    places_[i] = place;
  }
  in_place_ = true;
  for (Segment& segment : segments_) {
    const std::span<const Pair> pairs = std::span<const Pair>(pairs_).subspan(
        static_cast<std::size_t>(segment.first), static_cast<std::size_t>(segment.count));
    segment.row = pairs.front().row;
    for (std::size_t i = 1; i < pairs.size(); ++i) {
      in_place_ = in_place_ && pairs[i].row == pairs[i - 1].row + 1;
    }
  }
  std::sort(segments_.begin(), segments_.end(), [](const Segment& a, const Segment& b) {
    return a.count != b.count ? a.count < b.count : a.expert < b.expert;
  });
}

}  // namespace mistral::ops::cpu
