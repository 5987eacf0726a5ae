#include "engine/penalties.h"

#include <algorithm>
#include <cmath>

namespace mistral::engine {
namespace {

constexpr std::int32_t kLongestMatch = 50;

bool inside(TokenId id, std::span<const float> logits) {
  return id >= 0 && static_cast<std::size_t>(id) < logits.size();
}

}  // namespace

std::unordered_map<TokenId, std::int32_t> dry_match_lengths(std::span<const TokenId> context,
                                                            std::span<const TokenId> breakers) {
  std::unordered_map<TokenId, std::int32_t> lengths;
  if (context.empty()) return lengths;
  const auto is_breaker = [breakers](TokenId id) {
    return std::binary_search(breakers.begin(), breakers.end(), id);
  };
  const std::size_t last = context.size() - 1;
  for (std::size_t i = 0; i < last; ++i) {
    if (context[i] != context[last]) continue;
    const TokenId next = context[i + 1];
    if (is_breaker(next)) continue;
    std::int32_t length = 1;
    while (length < kLongestMatch && static_cast<std::size_t>(length) <= i) {
      const TokenId before = context[i - static_cast<std::size_t>(length)];
      if (before != context[last - static_cast<std::size_t>(length)] || is_breaker(before)) break;
      ++length;
    }
    std::int32_t& longest = lengths[next];
    longest = std::max(longest, length);
  }
  return lengths;
}

Penalties::Penalties(const SamplingParams& sampling, std::vector<TokenId> breakers)
    : repetition_penalty_(sampling.repetition_penalty.value_or(1)),
      frequency_penalty_(sampling.frequency_penalty.value_or(0)),
      presence_penalty_(sampling.presence_penalty.value_or(0)),
      dry_multiplier_(sampling.dry_multiplier.value_or(0)),
      dry_base_(sampling.dry_base),
      dry_allowed_length_(sampling.dry_allowed_length),
      breakers_(std::move(breakers)),
      bias_(sampling.logit_bias) {
  repetition_ = repetition_penalty_ != 1;
  counting_ = frequency_penalty_ != 0 || presence_penalty_ != 0;
  dry_ = dry_multiplier_ != 0;
  std::sort(breakers_.begin(), breakers_.end());
}

void Penalties::apply(std::span<const TokenId> context, std::span<float> logits) {
  if (repetition_ || counting_) {
    for (; counted_ < context.size(); ++counted_) {
      if (inside(context[counted_], logits)) ++counts_[context[counted_]];
    }
  }
  if (repetition_) {
    for (const auto& [id, count] : counts_) {
      float& logit = logits[static_cast<std::size_t>(id)];
      logit =
          static_cast<float>(logit > 0 ? logit / repetition_penalty_ : logit * repetition_penalty_);
    }
  }
  if (dry_) {
    for (const auto& [id, length] : dry_match_lengths(context, breakers_)) {
      if (length < dry_allowed_length_ || !inside(id, logits)) continue;
      const double penalty = dry_multiplier_ * std::pow(dry_base_, length - dry_allowed_length_);
      float& logit = logits[static_cast<std::size_t>(id)];
      logit = static_cast<float>(logit - penalty);
    }
  }
  if (counting_) {
    for (const auto& [id, count] : counts_) {
      float& logit = logits[static_cast<std::size_t>(id)];
      logit = static_cast<float>(logit - static_cast<double>(count) * frequency_penalty_ -
                                 presence_penalty_);
    }
  }
  for (const auto& [id, bias] : bias_) {
    if (!inside(id, logits)) continue;
    float& logit = logits[static_cast<std::size_t>(id)];
    logit = static_cast<float>(logit + bias);
  }
}

}  // namespace mistral::engine
