#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/error.h"
#include "text/grammar/token_mask.h"

namespace mistral::engine {
namespace {

constexpr double kGreedyBelow = 1e-7;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kJustBelowOne = 1.0F - 0x1p-24F;

// A share that only does something strictly between 0 and 1; otherwise 0.
double share(std::optional<double> value) {
  return value && *value > 0 && *value < 1 ? *value : 0.0;
}

float to_float(double value) {
  constexpr double kMost = std::numeric_limits<float>::max();
  return static_cast<float>(std::clamp(value, -kMost, kMost));
}

bool lower_id(const Candidate& a, const Candidate& b) {
  return a.id < b.id;
}

// The candidates are in rising order of ids.
Candidate* find(std::vector<Candidate>& candidates, TokenId id) {
  const auto found =
      std::lower_bound(candidates.begin(), candidates.end(), Candidate{.id = id}, lower_id);
  return found != candidates.end() && found->id == id ? &*found : nullptr;
}

// What the mask does not allow, and ids that it does not know, get no probability.
void forbid(std::span<float> row, const grammar::TokenMask& mask) {
  const std::vector<std::uint32_t>& words = mask.words();
  for (std::size_t w = 0; w * 32 < row.size(); ++w) {
    const std::uint32_t word = w < words.size() ? words[w] : 0;
    if (word == 0xFFFFFFFFU) continue;
    const std::span<float> part =
        row.subspan(w * 32, std::min<std::size_t>(row.size() - w * 32, 32));
    if (word == 0) {
      std::fill(part.begin(), part.end(), -kInfinity);
      continue;
    }
    for (std::size_t i = 0; i < part.size(); ++i) {
      if ((word >> i & 1U) == 0) part[i] = -kInfinity;
    }
  }
}

}  // namespace

TokenId argmax(std::span<const float> logits) {
  const float max = largest(logits);
  const auto found = std::find(logits.begin(), logits.end(), max);
  return found == logits.end() ? -1 : static_cast<TokenId>(found - logits.begin());
}

Sampler::Sampler(const SamplingParams& sampling, SamplerSetup setup)
    : greedy_(sampling.temperature.value_or(0) < kGreedyBelow),
      logprobs_(sampling.logprobs || sampling.top_logprobs > 0),
      top_logprobs_(std::max(sampling.top_logprobs, 0)),
      temperature_(sampling.temperature.value_or(0)),
      top_n_sigma_(std::max(sampling.top_n_sigma.value_or(0), 0.0)),
      top_k_(std::max(sampling.top_k.value_or(0), 0)),
      top_p_(share(sampling.top_p)),
      min_p_(share(sampling.min_p)),
      typical_p_(share(sampling.typical_p)),
      xtc_probability_(std::max(sampling.xtc_probability.value_or(0), 0.0)),
      xtc_threshold_(sampling.xtc_threshold),
      mirostat_tau_(std::max(sampling.mirostat_tau.value_or(0), 0.0)),
      mirostat_eta_(sampling.mirostat_eta),
      seed_(setup.seed),
      end_tokens_(std::move(setup.end_tokens)),
      min_length_(setup.min_length),
      processors_(sampling.logits_processors),
      penalties_(sampling, std::move(setup.dry_breakers)),
      mirostat_bound_(2 * mirostat_tau_) {}

bool Sampler::cuts_off() const {
  return mirostat_tau_ > 0 || top_n_sigma_ > 0 || top_k_ > 0 || top_p_ > 0 || min_p_ > 0 ||
         typical_p_ > 0 || xtc_probability_ > 0;
}

// Adjusted logits stay apart in double unless someone wants to see them.
void Sampler::change_logits(std::span<const TokenId> context, SamplerScratch& scratch,
                            const grammar::TokenMask* mask) const {
  const std::span<float> row = scratch.logits_;
  for (const auto& [id, value] : scratch.adjusted_) {
    row[static_cast<std::size_t>(id)] = to_float(value);
  }
  if (!processors_.empty()) {
    for (const LogitsProcessor& processor : processors_) processor(context, row);
    scratch.adjusted_.clear();
  }
  if (mask != nullptr) {
    forbid(row, *mask);
    std::erase_if(scratch.adjusted_,
                  [mask](const AdjustedLogit& logit) { return !mask->allows(logit.id); });
  }
  if (context.size() >= min_length_) return;
  for (const TokenId id : end_tokens_) {
    if (id < 0 || static_cast<std::size_t>(id) >= row.size()) continue;
    row[static_cast<std::size_t>(id)] = -kInfinity;
    std::erase_if(scratch.adjusted_, [id](const AdjustedLogit& logit) { return logit.id == id; });
  }
}

void Sampler::prepare(std::span<const float> logits, std::span<const TokenId> context,
                      SamplerScratch& scratch, const grammar::TokenMask* mask) {
  scratch.row_ = logits;
  scratch.adjusted_.clear();
  if (penalties_.active()) penalties_.adjust(context, logits, scratch.adjusted_);
  const bool too_short = context.size() < min_length_ && !end_tokens_.empty();
  if (!scratch.adjusted_.empty() || !processors_.empty() || too_short || mask != nullptr) {
    scratch.logits_.assign(logits.begin(), logits.end());
    scratch.row_ = scratch.logits_;
    change_logits(context, scratch, mask);
  }
  if (top_n_sigma_ > 0 && !greedy_) scratch.sigma_ = standard_deviation(scratch.row_);
  double adjusted_max = -kInfinity;
  for (const auto& [id, value] : scratch.adjusted_) {
    scratch.logits_[static_cast<std::size_t>(id)] = -kInfinity;
    adjusted_max = value > adjusted_max ? value : adjusted_max;
  }
  scratch.max_ = std::max<double>(largest(scratch.row_), adjusted_max);
  if (scratch.max_ == -kInfinity) {
    throw Error(ErrorKind::kInternal,
                "no token can be chosen: every logit is -infinity or not a number");
  }
  if (scratch.max_ < kInfinity) return;
  // Infinite logits share the probability.
  for (const auto& [id, value] : scratch.adjusted_) {
    scratch.logits_[static_cast<std::size_t>(id)] = value == kInfinity ? kInfinity : -kInfinity;
  }
  scratch.adjusted_.clear();
  scratch.logits_.resize(logits.size());
  std::transform(scratch.row_.begin(), scratch.row_.end(), scratch.logits_.begin(),
                 [](float logit) { return logit == kInfinity ? 0.0F : -kInfinity; });
  scratch.row_ = scratch.logits_;
  scratch.max_ = 0;
}

TokenId Sampler::most_likely(const SamplerScratch& scratch) {
  const std::span<const float> row = scratch.row_;
  const auto is_max = [&scratch](double logit) { return logit == scratch.max_; };
  auto best = static_cast<TokenId>(std::find_if(row.begin(), row.end(), is_max) - row.begin());
  for (const auto& [id, value] : scratch.adjusted_) {
    if (is_max(value)) best = std::min(best, id);
  }
  return best;
}

double Sampler::sum_all(const SamplerScratch& scratch) const {
  double total = total_weight(scratch.row_, scratch.max_, scale());
  for (const auto& [id, value] : scratch.adjusted_) {
    total += weight_of((value - scratch.max_) * scale());
  }
  return total;
}

double Sampler::weigh_all(SamplerScratch& scratch) const {
  scratch.weights_.resize(scratch.row_.size());
  double total = weigh(scratch.row_, scratch.max_, scale(), scratch.weights_);
  for (const auto& [id, value] : scratch.adjusted_) {
    float& weight = scratch.weights_[static_cast<std::size_t>(id)];
    weight = weight_of((value - scratch.max_) * scale());
    total += weight;
  }
  return total;
}

void Sampler::take_largest(std::size_t k, float floor, SamplerScratch& scratch) const {
  std::vector<Candidate>& candidates = scratch.candidates_;
  select_largest(scratch.row_, k, floor, candidates);
  for (const auto& [id, value] : scratch.adjusted_) {
    if (value > floor) candidates.push_back({.id = id, .logit = to_float(value), .weight = 0});
  }
  if (candidates.size() > k) {
    const auto end = candidates.begin() + static_cast<std::ptrdiff_t>(k);
    std::nth_element(candidates.begin(), end, candidates.end(), likelier);
    candidates.erase(end, candidates.end());
  }
  if (!scratch.adjusted_.empty()) std::sort(candidates.begin(), candidates.end(), lower_id);
  for (Candidate& candidate : candidates) {
    candidate.weight = weight_of((candidate.logit - scratch.max_) * scale());
  }
  for (const auto& [id, value] : scratch.adjusted_) {
    Candidate* candidate = find(candidates, id);
    if (candidate != nullptr) candidate->weight = weight_of((value - scratch.max_) * scale());
  }
  std::erase_if(candidates, [](const Candidate& candidate) { return candidate.weight == 0; });
}

void Sampler::take_above(double floor, SamplerScratch& scratch) const {
  // At least the most likely token, whose weight is 1, stays.
  const float below = std::min(to_float(floor), kJustBelowOne);
  select_above(scratch.row_, scratch.weights_, below, scratch.candidates_);
  for (const auto& [id, value] : scratch.adjusted_) {
    Candidate* candidate = find(scratch.candidates_, id);
    if (candidate != nullptr) candidate->logit = to_float(value);
  }
}

// Top-n-sigma, top-k, top-p and min-p each keep a head of the falling order, so it does not matter
// which comes first. Where the sum of all weights is not needed, logits alone say what is left.
void Sampler::cut_head(SamplerScratch& scratch) const {
  double lowest = -kInfinity;
  if (top_n_sigma_ > 0) lowest = scratch.max_ - top_n_sigma_ * scratch.sigma_;
  if (min_p_ > 0) {
    constexpr double kSlack = 1e-6;  // weights are rounded; the exact cut follows
    lowest = std::max(lowest, scratch.max_ + temperature_ * (std::log(min_p_) - kSlack));
  }
  const std::size_t vocab = scratch.row_.size();
  const bool counts = top_k_ > 0 && static_cast<std::size_t>(top_k_) < vocab;
  if (counts || (top_p_ == 0 && lowest > -kInfinity)) {
    const float floor =
        lowest > -kInfinity ? std::nextafter(to_float(lowest), -kInfinity) : -kInfinity;
    take_largest(counts ? static_cast<std::size_t>(top_k_) : vocab, floor, scratch);
    if (top_p_ > 0) keep_top_p(scratch.candidates_, top_p_ * sum_all(scratch), scratch.cutoffs_);
  } else {
    const double total = weigh_all(scratch);
    double floor = 0;
    if (lowest > -kInfinity) {
      floor = std::nextafter(weight_of((lowest - scratch.max_) * scale()), 0.0F);
    }
    if (top_p_ > 0) {
      // All tokens of less than this weight together do not reach 1 - p: the head ends above it.
      floor = std::max(floor, 0.999 * (1 - top_p_) * total / static_cast<double>(vocab));
    }
    take_above(floor, scratch);
    if (top_p_ > 0) keep_top_p(scratch.candidates_, top_p_ * total, scratch.cutoffs_);
  }
  if (min_p_ > 0) keep_above(scratch.candidates_, min_p_);
}

double Sampler::select(std::size_t length, SamplerScratch& scratch) {
  if (mirostat_tau_ > 0) {
    const double total = weigh_all(scratch);
    take_above(total * std::exp2(-mirostat_bound_), scratch);
    const double kept = total_weight(scratch.candidates_);
    mirostat_kept_ = kept / total;
    return kept;
  }
  cut_head(scratch);
  if (typical_p_ > 0) keep_typical(scratch.candidates_, typical_p_, scratch.cutoffs_);
  if (xtc_probability_ > 0 && random(length, RandomStream::kXtc) < xtc_probability_) {
    exclude_top_choices(scratch.candidates_, xtc_threshold_);
  }
  return total_weight(scratch.candidates_);
}

TokenId Sampler::sample(std::span<const float> logits, std::span<const TokenId> context,
                        SamplerScratch& scratch, const grammar::TokenMask* mask) {
  prepare(logits, context, scratch, mask);
  if (greedy_) return most_likely(scratch);
  const double number = random(context.size(), RandomStream::kDraw);
  if (!cuts_off()) {
    const double total = weigh_all(scratch);
    return find_in_sum(scratch.weights_, number * total);
  }
  const double total = select(context.size(), scratch);
  const Candidate* chosen = nullptr;
  double passed = 0;
  for (const Candidate& candidate : scratch.candidates_) {
    chosen = &candidate;
    passed += candidate.weight;
    if (passed > number * total) break;
  }
  accept(chosen->weight / total);
  return chosen->id;
}

void Sampler::distribution(std::span<const float> logits, std::span<const TokenId> context,
                           SamplerScratch& scratch, Distribution& out,
                           const grammar::TokenMask* mask) {
  out.tokens.clear();
  prepare(logits, context, scratch, mask);
  if (greedy_) {
    out.tokens.push_back({.id = most_likely(scratch), .probability = 1});
    return;
  }
  if (!cuts_off()) {
    const double total = weigh_all(scratch);
    for (std::size_t i = 0; i < scratch.weights_.size(); ++i) {
      if (!(scratch.weights_[i] > 0)) continue;
      out.tokens.push_back(
          {.id = static_cast<TokenId>(i), .probability = scratch.weights_[i] / total});
    }
    return;
  }
  const double total = select(context.size(), scratch);
  for (const Candidate& candidate : scratch.candidates_) {
    out.tokens.push_back({.id = candidate.id, .probability = candidate.weight / total});
  }
}

void Sampler::accept(double probability) {
  if (mirostat_tau_ == 0) return;
  // The surprise that the model had, not the smaller one that the bound left.
  const double surprise = -std::log2(probability * mirostat_kept_);
  mirostat_bound_ -= mirostat_eta_ * (surprise - mirostat_tau_);
}

void Sampler::logprobs(TokenId token, SamplerScratch& scratch, TokenLogprobs& out) const {
  const double log_total = std::log(sum_all(scratch));
  const auto logprob_of = [&](TokenId id) {
    double logit = scratch.row_[static_cast<std::size_t>(id)];
    for (const AdjustedLogit& adjusted : scratch.adjusted_) {
      if (adjusted.id == id) logit = adjusted.value;
    }
    return TokenLogprob{.token = id, .logprob = (logit - scratch.max_) * scale() - log_total};
  };
  out.chosen = logprob_of(token);
  out.top.clear();
  if (top_logprobs_ == 0) return;
  take_largest(static_cast<std::size_t>(top_logprobs_), -kInfinity, scratch);
  std::sort(scratch.candidates_.begin(), scratch.candidates_.end(), likelier);
  for (const Candidate& candidate : scratch.candidates_) {
    out.top.push_back(logprob_of(candidate.id));
  }
}

}  // namespace mistral::engine
