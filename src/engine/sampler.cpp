#include "engine/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "engine/random.h"

namespace mistral::engine {
namespace {

constexpr double kGreedyBelow = 1e-7;
constexpr std::size_t kLanes = 16;  // independent chains that the compiler turns into vectors
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The largest logit; NaN never wins. -infinity when there is no number.
float largest(std::span<const float> logits) {
  std::array<float, kLanes> lanes;
  lanes.fill(-kInfinity);
  std::size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const float x = logits[i + lane];
      lanes[lane] = x > lanes[lane] ? x : lanes[lane];
    }
  }
  float max = -kInfinity;
  for (const float x : lanes) max = x > max ? x : max;
  for (; i < logits.size(); ++i) max = logits[i] > max ? logits[i] : max;
  return max;
}

double sum(std::span<const float> weights) {
  std::array<double, kLanes> lanes{};
  std::size_t i = 0;
  for (; i + kLanes <= weights.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += weights[i + lane];
  }
  double total = 0;
  for (; i < weights.size(); ++i) total += weights[i];
  for (const double lane : lanes) total += lane;
  return total;
}

constexpr float kLowestExponent = -87.0F;  // exp() of less is no normal float

// exp(x) to a few units of the last place for kLowestExponent < x <= 0, and 0 for kLowestExponent.
// Written without calls and branches so that loops over it become vector code.
float exp_nonpositive(float x) {
  constexpr float kLog2E = 1.44269504F;
  const float t = x * kLog2E;
  const auto whole = static_cast<std::int32_t>(t - 0.5F);  // rounds to nearest: t <= 0
  const float f = t - static_cast<float>(whole);
  // 2^f on [-1/2, 1/2]: the Taylor series ln(2)^k / k!.
  float p = 1.54035304e-4F;
  p = p * f + 1.33335581e-3F;
  p = p * f + 9.61812911e-3F;
  p = p * f + 5.55041087e-2F;
  p = p * f + 2.40226507e-1F;
  p = p * f + 6.93147181e-1F;
  p = p * f + 1.0F;
  const float result = p * std::bit_cast<float>((whole + 127) << 23);
  const std::int32_t keep = -static_cast<std::int32_t>(x > kLowestExponent);
  return std::bit_cast<float>(std::bit_cast<std::int32_t>(result) & keep);
}

}  // namespace

TokenId argmax(std::span<const float> logits) {
  const float max = largest(logits);
  const auto found = std::find(logits.begin(), logits.end(), max);
  return found == logits.end() ? -1 : static_cast<TokenId>(found - logits.begin());
}

Sampler::Sampler(const SamplingParams& sampling, std::vector<TokenId> dry_breakers,
                 std::uint64_t seed)
    : greedy_(sampling.temperature.value_or(0) < kGreedyBelow),
      temperature_(sampling.temperature.value_or(0)),
      top_k_(std::max(sampling.top_k.value_or(0), 0)),
      seed_(seed),
      penalties_(sampling, std::move(dry_breakers)) {
  const auto threshold = [](std::optional<double> value) {
    return value && *value > 0 && *value < 1 ? *value : 0.0;
  };
  top_p_ = threshold(sampling.top_p);
  min_p_ = threshold(sampling.min_p);
}

std::span<const float> Sampler::penalised(std::span<const float> logits,
                                          std::span<const TokenId> context,
                                          SamplerScratch& scratch) {
  if (!penalties_.active()) return logits;
  scratch.logits.assign(logits.begin(), logits.end());
  penalties_.apply(context, scratch.logits);
  return scratch.logits;
}

double Sampler::weigh(std::span<const float> logits, SamplerScratch& scratch) const {
  const float max = largest(logits);
  if (max == -kInfinity) {
    throw Error(ErrorKind::kInternal, "the model computed no usable logits (not a number)");
  }
  const std::size_t size = logits.size();
  scratch.weights.resize(size);
  float* weights = scratch.weights.data();
  if (max == kInfinity) {
    double total = 0;
    for (std::size_t i = 0; i < size; ++i) {
      weights[i] = logits[i] == kInfinity ? 1.0F : 0.0F;
      total += weights[i];
    }
    return total;
  }
  const auto scale = static_cast<float>(1.0 / temperature_);
  const float* row = logits.data();
  for (std::size_t i = 0; i < size; ++i) {
    const float x = (row[i] - max) * scale;
    weights[i] = x > kLowestExponent ? x : kLowestExponent;  // NaN, too
  }
  for (std::size_t i = 0; i < size; ++i) weights[i] = exp_nonpositive(weights[i]);
  return sum(scratch.weights);
}

void Sampler::select(std::span<const float> logits, double total, SamplerScratch& scratch) const {
  // All filters keep a head of the falling order, so their order does not matter; min-p, relative
  // to the largest weight (1), needs no order at all and goes first.
  const std::span<const float> weights = scratch.weights;
  const auto passes = [this](float weight) { return weight > 0 && weight > min_p_; };

  // Instead of sorting the vocabulary, find the bucket in which the head ends.
  float cutoff = 0;
  if (filters_by_rank()) {
    scratch.bucket_count.fill(0);
    scratch.bucket_weight.fill(0);
    for (const float weight : weights) {
      if (!passes(weight)) continue;
      const std::size_t bucket =
          std::bit_cast<std::uint32_t>(weight) >> SamplerScratch::kBucketShift;
      ++scratch.bucket_count[bucket];
      scratch.bucket_weight[bucket] += weight;
    }
    std::int64_t count = 0;
    double weight = 0;
    for (std::size_t bucket = SamplerScratch::kBuckets; bucket-- > 0;) {
      count += scratch.bucket_count[bucket];
      weight += scratch.bucket_weight[bucket];
      if ((top_k_ > 0 && count >= top_k_) || (top_p_ > 0 && weight >= top_p_ * total)) {
        cutoff = std::bit_cast<float>(static_cast<std::uint32_t>(bucket)
                                      << SamplerScratch::kBucketShift);
        break;
      }
    }
  }

  std::vector<SamplerScratch::Candidate>& candidates = scratch.candidates;
  candidates.clear();
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] >= cutoff && passes(weights[i])) {
      candidates.push_back({logits[i], weights[i], static_cast<TokenId>(i)});
    }
  }
  // By logit: neighbours may have the same rounded weight.
  std::sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  });

  std::size_t kept = 0;
  double before = 0;
  for (; kept < candidates.size(); ++kept) {
    if (top_k_ > 0 && kept == static_cast<std::size_t>(top_k_)) break;
    if (top_p_ > 0 && before >= top_p_ * total) break;
    before += candidates[kept].weight;
  }
  candidates.resize(kept);
}

TokenId Sampler::sample(std::span<const float> logits, std::span<const TokenId> context,
                        SamplerScratch& scratch) {
  logits = penalised(logits, context, scratch);
  const std::uint64_t draw = drawn_++;
  if (greedy_) {
    const TokenId id = argmax(logits);
    if (id < 0) {
      throw Error(ErrorKind::kInternal, "the model computed no usable logits (not a number)");
    }
    return id;
  }

  double total = weigh(logits, scratch);
  const double random = uniform(seed_, draw);
  // Walks until the weight passed reaches the drawn share; rounding may leave the last one.
  TokenId chosen = -1;
  double passed = 0;
  if (filters_by_rank()) {
    select(logits, total, scratch);
    total = 0;
    for (const auto& candidate : scratch.candidates) total += candidate.weight;
    for (const auto& candidate : scratch.candidates) {
      chosen = candidate.id;
      passed += candidate.weight;
      if (passed > random * total) break;
    }
    return chosen;
  }
  const std::span<const float> weights = scratch.weights;
  if (min_p_ > 0) {
    total = 0;
    for (const float weight : weights) total += weight > min_p_ ? weight : 0.0F;
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (!(weights[i] > 0 && weights[i] > min_p_)) continue;
    chosen = static_cast<TokenId>(i);
    passed += weights[i];
    if (passed > random * total) break;
  }
  return chosen;
}

std::vector<TokenProbability> Sampler::distribution(std::span<const float> logits,
                                                    std::span<const TokenId> context,
                                                    SamplerScratch& scratch) {
  logits = penalised(logits, context, scratch);
  if (greedy_) return {{argmax(logits), 1.0}};
  select(logits, weigh(logits, scratch), scratch);
  double total = 0;
  for (const auto& candidate : scratch.candidates) total += candidate.weight;
  std::vector<TokenProbability> result;
  for (const auto& candidate : scratch.candidates) {
    result.push_back({candidate.id, candidate.weight / total});
  }
  return result;
}

}  // namespace mistral::engine
