#include "engine/step_cost.h"

#include <algorithm>
#include <limits>

namespace mistral::engine {

void StepCost::note(std::int32_t rows, double seconds) {
  constexpr double kMemory = 0.98;  // what a step still weighs when the next one is noted
  weight_ = weight_ * kMemory + 1;
  rows_ = rows_ * kMemory + rows;
  rows_squared_ = rows_squared_ * kMemory + static_cast<double>(rows) * rows;
  seconds_ = seconds_ * kMemory + seconds;
  rows_by_seconds_ = rows_by_seconds_ * kMemory + rows * seconds;
  const double mean_rows = rows_ / weight_;
  const double spread = rows_squared_ / weight_ - mean_rows * mean_rows;
  if (spread < 0.01 * (1 + mean_rows)) return;  // all of one size: keep what is known
  const double mean_seconds = seconds_ / weight_;
  const double slope = (rows_by_seconds_ / weight_ - mean_rows * mean_seconds) / spread;
  // More rows never take less time, and the fixed part is none of theirs.
  per_row_ = std::clamp(slope, 1e-3 * mean_seconds / mean_rows, mean_seconds / mean_rows);
  fixed_ = mean_seconds - per_row_ * mean_rows;
}

std::int32_t StepCost::rows_within(double seconds) const {
  if (!known()) return std::numeric_limits<std::int32_t>::max();
  const double rows = (seconds - fixed_) / per_row_;
  return static_cast<std::int32_t>(std::clamp(rows, 1.0, 1e9));
}

}  // namespace mistral::engine
