// What changes logits before the temperature: repetition penalty, DRY, frequency and presence
// penalties, bias. Each looks at the ids of prompt and answer so far.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "mistral/types.h"

namespace mistral::engine {

// For one sequence. Counts grow with its tokens: each call costs the new tokens, the distinct ones
// and, for DRY, the occurrences of the last one.
class Penalties {
 public:
  // `breakers`: the ids of SamplingParams::dry_sequence_breakers.
  Penalties(const SamplingParams& sampling, std::vector<TokenId> breakers);

  [[nodiscard]] bool active() const { return repetition_ || counting_ || dry_ || !bias_.empty(); }
  // `context` is that of the call before, with tokens appended. Ids outside of logits are ignored.
  void apply(std::span<const TokenId> context, std::span<float> logits);

 private:
  bool repetition_ = false;
  bool counting_ = false;
  bool dry_ = false;
  double repetition_penalty_ = 1;
  double frequency_penalty_ = 0;
  double presence_penalty_ = 0;
  double dry_multiplier_ = 0;
  double dry_base_ = 0;
  std::int32_t dry_allowed_length_ = 0;
  std::vector<TokenId> breakers_;  // sorted
  std::vector<std::pair<TokenId, double>> bias_;

  std::size_t counted_ = 0;  // tokens of the context that counts_ covers
  std::unordered_map<TokenId, std::int64_t> counts_;
};

// DRY: for each id that followed an earlier occurrence of the last id, the length of the longest
// run of ids before that occurrence (itself included, at most 50) that equals the end of the
// context. Breakers end runs and are never credited. `breakers` is sorted.
[[nodiscard]] std::unordered_map<TokenId, std::int32_t> dry_match_lengths(
    std::span<const TokenId> context, std::span<const TokenId> breakers);

}  // namespace mistral::engine
