#include "engine/penalties.h"

#include <algorithm>
#include <cmath>

namespace mistral::engine {
namespace {

constexpr std::int32_t kLongestMatch = 50;

bool inside(TokenId id, std::size_t vocab) {
  return id >= 0 && static_cast<std::size_t>(id) < vocab;
}

}  // namespace

void find_dry_matches(std::span<const TokenId> context, std::span<const TokenId> breakers,
                      std::vector<std::pair<TokenId, std::int32_t>>& matches) {
  matches.clear();
  if (context.empty()) return;
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
    matches.emplace_back(next, length);
  }
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

void Penalties::count(TokenId id, std::int64_t step) {
  if (!inside(id, vocab_)) return;
  const auto [place, added] = places_.try_emplace(id, entries_.size());
  if (added) entries_.push_back({.id = id, .count = 0});
  entries_[place->second].count += step;
}

// Brings the counts from the context before to this one.
void Penalties::follow(std::span<const TokenId> context, std::size_t vocab) {
  if (vocab != vocab_) {
    vocab_ = vocab;
    entries_.clear();
    places_.clear();
    counted_.clear();
    for (const auto& [id, bias] : bias_) count(id, 0);
  }
  if (!repetition_ && !counting_ && !dry_) return;
  const auto [kept, next] =
      std::mismatch(counted_.begin(), counted_.end(), context.begin(), context.end());
  for (auto gone = kept; gone != counted_.end(); ++gone) count(*gone, -1);
  for (auto added = next; added != context.end(); ++added) count(*added, 1);
  counted_.erase(kept, counted_.end());
  counted_.insert(counted_.end(), next, context.end());
}

void Penalties::add_dry(std::span<const TokenId> context, std::vector<AdjustedLogit>& adjusted) {
  find_dry_matches(context, breakers_, matches_);
  longest_.assign(adjusted.size(), 0);
  for (const auto& [id, length] : matches_) {
    const auto place = places_.find(id);
    if (place == places_.end()) continue;
    longest_[place->second] = std::max(longest_[place->second], length);
  }
  for (std::size_t i = 0; i < adjusted.size(); ++i) {
    if (longest_[i] == 0 || longest_[i] < dry_allowed_length_) continue;
    adjusted[i].value -= dry_multiplier_ * std::pow(dry_base_, longest_[i] - dry_allowed_length_);
  }
}

void Penalties::adjust(std::span<const TokenId> context, std::span<const float> logits,
                       std::vector<AdjustedLogit>& adjusted) {
  follow(context, logits.size());
  adjusted.resize(entries_.size());
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const double logit = logits[static_cast<std::size_t>(entries_[i].id)];
    adjusted[i] = {.id = entries_[i].id, .value = logit};
    if (!repetition_ || entries_[i].count == 0) continue;
    adjusted[i].value = logit > 0 ? logit / repetition_penalty_ : logit * repetition_penalty_;
  }
  if (dry_) add_dry(context, adjusted);
  if (counting_) {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i].count == 0) continue;
      adjusted[i].value -=
          static_cast<double>(entries_[i].count) * frequency_penalty_ + presence_penalty_;
    }
  }
  for (const auto& [id, bias] : bias_) {
    if (inside(id, logits.size())) adjusted[places_.at(id)].value += bias;
  }
}

}  // namespace mistral::engine
