// Chooses the next token: penalties → (greedy: argmax) | temperature → softmax → top-k → top-p →
// min-p → draw. Thresholds refer to the softmax over the whole vocabulary; nothing is renormalised
// between the filters.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/penalties.h"
#include "mistral/types.h"

namespace mistral::engine {

struct TokenProbability {
  TokenId id = -1;
  double probability = 0;
};

// Buffers of a sampling thread, reused from token to token.
class SamplerScratch {
 private:
  friend class Sampler;
  struct Candidate {
    float logit = 0;
    float weight = 0;
    TokenId id = -1;
  };
  // Weights lie in (0, 1]. The upper bits of a float, read as an integer, order them into buckets
  // an eighth of a power of two wide.
  static constexpr int kBucketShift = 20;
  static constexpr std::size_t kBuckets = (0x3f800000U >> kBucketShift) + 1;

  std::vector<float> logits;   // after penalties
  std::vector<float> weights;  // exp((logit - max) / temperature)
  std::vector<Candidate> candidates;
  std::array<std::int32_t, kBuckets> bucket_count{};
  std::array<double, kBuckets> bucket_weight{};
};

// The id of the largest logit, the lowest of equals; NaN never wins. -1 when all are NaN.
[[nodiscard]] TokenId argmax(std::span<const float> logits);

// For one sequence.
class Sampler {
 public:
  Sampler(const SamplingParams& sampling, std::vector<TokenId> dry_breakers, std::uint64_t seed);

  // `context`: prompt and answer so far, that of the call before with tokens appended. The result
  // depends on the seed, on how many tokens were sampled before, and on the arguments.
  // Throws Error (kInternal) when no logit is a number.
  [[nodiscard]] TokenId sample(std::span<const float> logits, std::span<const TokenId> context,
                               SamplerScratch& scratch);

  // The distribution that sample() draws from, most likely token first.
  [[nodiscard]] std::vector<TokenProbability> distribution(std::span<const float> logits,
                                                           std::span<const TokenId> context,
                                                           SamplerScratch& scratch);

 private:
  [[nodiscard]] bool filters_by_rank() const { return top_k_ > 0 || top_p_ > 0; }
  std::span<const float> penalised(std::span<const float> logits, std::span<const TokenId> context,
                                   SamplerScratch& scratch);
  // Fills scratch.weights; returns their sum.
  double weigh(std::span<const float> logits, SamplerScratch& scratch) const;
  // Fills scratch.candidates with what the filters leave, in falling order.
  void select(std::span<const float> logits, double total, SamplerScratch& scratch) const;

  bool greedy_;
  double temperature_ = 1;
  std::int32_t top_k_ = 0;  // 0: off
  double top_p_ = 0;        // 0: off
  double min_p_ = 0;        // 0: off
  std::uint64_t seed_;
  std::uint64_t drawn_ = 0;
  Penalties penalties_;
};

}  // namespace mistral::engine
