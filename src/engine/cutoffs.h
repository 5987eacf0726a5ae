// The filters between softmax and draw, over tokens in rising order of ids. None of them sorts more
// than the neighbourhood of the place where it cuts.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/vocabulary_passes.h"

namespace mistral::engine {

// Buffers of the filters, reused from token to token.
class CutoffScratch {
 private:
  friend void keep_top_p(std::vector<Candidate>&, double, CutoffScratch&);
  friend void keep_typical(std::vector<Candidate>&, double, CutoffScratch&);

  // Weights lie in (0, 1]. The upper bits of a float, read as an integer, order them into buckets
  // an eighth of a power of two wide.
  static constexpr int kBucketShift = 20;
  static constexpr std::size_t kBuckets = (0x3f800000U >> kBucketShift) + 1;

  struct Deviation {
    double distance = 0;
    double weight = 0;
    std::size_t at = 0;
  };

  std::array<double, kBuckets> bucket_weight_{};
  std::vector<Candidate> edge_;
  std::vector<Deviation> deviations_;
};

[[nodiscard]] double total_weight(const std::vector<Candidate>& tokens);

// Walking from the most likely token down, keeps tokens while the weight before them is below
// `target`; of equal logits the lower id comes first.
void keep_top_p(std::vector<Candidate>& tokens, double target, CutoffScratch& scratch);

// Drops weights of at most `floor`, but not the largest one.
void keep_above(std::vector<Candidate>& tokens, double floor);

// Locally typical sampling (Meister et al. 2023): walking from the token whose surprise is nearest
// to the entropy outwards, keeps tokens while the probability before them is below p.
void keep_typical(std::vector<Candidate>& tokens, double p, CutoffScratch& scratch);

// XTC: of the tokens with at least the probability `threshold` keeps the least likely one only.
void exclude_top_choices(std::vector<Candidate>& tokens, double threshold);

}  // namespace mistral::engine
