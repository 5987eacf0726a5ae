// How many tokens to guess: as many as pay for the time that it takes to compute them.
#pragma once

#include <cstdint>

#include "engine/step_cost.h"

namespace mistral::engine {

// What was learned about the guesses of one sequence.
class DraftControl {
 public:
  // How many guesses make the step better, at most `limit`. `rows` are computed in any case;
  // `draft_seconds` is what a guess costs.
  [[nodiscard]] std::int32_t wanted(const StepCost& cost, std::int32_t rows, double draft_seconds,
                                    std::int32_t limit);
  // The first `right` of `computed` guesses were right.
  void note(std::int32_t computed, std::int32_t right);

 private:
  double rate_ = 0.5;       // how often a guess is right
  std::int32_t pause_ = 0;  // steps until the next attempt, while guesses do not pay
  std::int32_t next_pause_ = 4;
};

}  // namespace mistral::engine
