#include "engine/speculation.h"

#include <algorithm>

namespace mistral::engine {

std::int32_t DraftControl::wanted(const StepCost& cost, std::int32_t rows, double draft_seconds,
                                  std::int32_t limit) {
  if (limit <= 0) return 0;
  if (pause_ > 0) {
    --pause_;
    return 0;
  }
  if (!cost.known()) return std::min(limit, 1);
  // Tokens per second of the whole step, with 0, 1, 2 … guesses.
  const double alone = cost.seconds(rows);
  double best = rows / alone;
  std::int32_t best_count = 0;
  double tokens = rows;
  double chance = 1;
  for (std::int32_t count = 1; count <= limit; ++count) {
    chance *= rate_;
    tokens += chance;
    const double speed = tokens / (alone + count * (cost.per_row() + draft_seconds));
    if (speed > best) {
      best = speed;
      best_count = count;
    }
  }
  if (best_count > 0) return best_count;
  // Nothing to gain by what is known. What is known may be out of date: try again now and then.
  pause_ = next_pause_;
  next_pause_ = std::min(2 * next_pause_, 128);
  // A full batch is no place for attempts.
  return rows == 1 ? 1 : 0;
}

void DraftControl::note(std::int32_t computed, std::int32_t right) {
  constexpr double kWeight = 0.2;
  for (std::int32_t i = 0; i < std::min(computed, right + 1); ++i) {
    rate_ += kWeight * ((i < right ? 1.0 : 0.0) - rate_);
  }
  if (computed > 0 && right == computed) {
    pause_ = 0;
    next_pause_ = 4;
  }
}

}  // namespace mistral::engine
