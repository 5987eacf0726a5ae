// How long steps take on this machine, learned while they run: a part that every step has (weights
// are read once) and a part for each row.
#pragma once

#include <cstdint>

namespace mistral::engine {

class StepCost {
 public:
  void note(std::int32_t rows, double seconds);

  // False until steps of different sizes were seen.
  [[nodiscard]] bool known() const { return per_row_ > 0; }
  [[nodiscard]] double per_row() const { return per_row_; }
  [[nodiscard]] double seconds(std::int32_t rows) const { return fixed_ + per_row_ * rows; }
  // The most rows of a step that takes at most so long; at least 1.
  [[nodiscard]] std::int32_t rows_within(double seconds) const;

 private:
  // Sums of a straight line fitted to the steps seen, of which older ones weigh less.
  double weight_ = 0;
  double rows_ = 0;
  double rows_squared_ = 0;
  double seconds_ = 0;
  double rows_by_seconds_ = 0;
  double fixed_ = 0;
  double per_row_ = 0;
};

}  // namespace mistral::engine
