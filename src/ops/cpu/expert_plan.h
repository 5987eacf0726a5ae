// Which rows of a step every expert gets: the pairs (row, choice) sorted by expert.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/ops.h"

namespace mistral::ops::cpu {

class ExpertPlan {
 public:
  // The pairs [first, first + count) of one expert.
  struct Segment {
    std::int32_t expert;
    std::int64_t first;
    std::int64_t count;
    std::int64_t row;  // of the first pair
  };
  struct Pair {
    std::int32_t row;
    float weight;
  };

  // Memory is kept from call to call.
  void build(std::int64_t rows, std::size_t experts, const ExpertChoice& choice);

  // Experts that have rows, those with few first: the pool hands out long pieces first, so the
  // costly ones are shared out evenly at the end.
  [[nodiscard]] std::span<const Segment> segments() const { return segments_; }
  [[nodiscard]] std::span<const Pair> pairs() const { return pairs_; }
  // Where choice `i` of a row stands among the pairs.
  [[nodiscard]] std::int64_t place(std::int64_t row, std::int32_t i) const {
    return places_[static_cast<std::size_t>(row * used_ + i)];
  }
  // Whether the rows of every segment follow each other: then inputs need not be gathered.
  [[nodiscard]] bool in_place() const { return in_place_; }

 private:
  std::int32_t used_ = 0;
  bool in_place_ = true;
  std::vector<std::int64_t> next_;  // by expert: where its next pair goes
  std::vector<Segment> segments_;
  std::vector<Pair> pairs_;
  std::vector<std::int64_t> places_;
};

}  // namespace mistral::ops::cpu
