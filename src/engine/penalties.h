// What changes logits before the temperature: repetition penalty, DRY, frequency and presence
// penalties, bias. Each looks at the ids of prompt and answer so far.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "mistral/types.h"

namespace mistral::engine {

struct AdjustedLogit {
  TokenId id = -1;
  double value = 0;
};

// For one sequence. Counts follow its tokens: each call costs the new tokens, the distinct ones
// and, for DRY, the occurrences of the last one.
class Penalties {
 public:
  // `breakers`: the ids of SamplingParams::dry_sequence_breakers.
  Penalties(const SamplingParams& sampling, std::vector<TokenId> breakers);

  [[nodiscard]] bool active() const { return repetition_ || counting_ || dry_ || !bias_.empty(); }
  // Puts into `adjusted` what becomes of logits, each id at most once and in no order; all others
  // stay. In double: the last places count where a low temperature follows. `context` may be any,
  // but costs least when it prolongs that of the call before. Ids outside of logits are ignored.
  void adjust(std::span<const TokenId> context, std::span<const float> logits,
              std::vector<AdjustedLogit>& adjusted);

 private:
  struct Entry {
    TokenId id = -1;
    std::int64_t count = 0;
  };
  void follow(std::span<const TokenId> context, std::size_t vocab);
  void count(TokenId id, std::int64_t step);
  void add_dry(std::span<const TokenId> context, std::vector<AdjustedLogit>& adjusted);

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

  std::size_t vocab_ = 0;  // that of the call before
  // Entries stay when their count falls to 0: their places are those of adjusted logits.
  std::vector<Entry> entries_;
  std::unordered_map<TokenId, std::size_t> places_;
  std::vector<TokenId> counted_;  // the context that the counts belong to
  std::vector<std::pair<TokenId, std::int32_t>> matches_;
  std::vector<std::int32_t> longest_;  // of the matches, by place
};

// DRY: for each earlier occurrence of the last id, the id that followed it and the length of the
// run of ids before it (itself included, at most 50) that equals the end of the context. Breakers
// end runs and are never credited. `breakers` is sorted.
void find_dry_matches(std::span<const TokenId> context, std::span<const TokenId> breakers,
                      std::vector<std::pair<TokenId, std::int32_t>>& matches);

}  // namespace mistral::engine
