#include "engine/vocabulary_passes.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace mistral::engine {
namespace {

constexpr std::size_t kLanes = 16;   // independent chains that become vectors
constexpr std::size_t kBlock = 256;  // weights that are computed before they are added up
constexpr float kInfinity = std::numeric_limits<float>::infinity();

double sum(const float* weights, std::size_t size) {
  std::array<double, kLanes> lanes{};
  std::size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += weights[i + lane];
  }
  double total = 0;
  for (; i < size; ++i) total += weights[i];
  for (const double lane : lanes) total += lane;
  return total;
}

// `scale` is for powers of two. In two loops: compilers make a branch of a choice that computing
// goes on from.
void weigh_block(const float* logits, std::size_t size, double max, double scale, float* weights) {
  std::array<double, kBlock> exponents;
  for (std::size_t i = 0; i < size; ++i) {
    const double t = (logits[i] - max) * scale;
    exponents[i] = t > kLowestExponent ? t : kLowestExponent;  // NaN, too
  }
  for (std::size_t i = 0; i < size; ++i) weights[i] = power_of_two(exponents[i]);
}

bool any_above(const float* values, float floor) {
  int above = 0;
  for (std::size_t lane = 0; lane < kLanes; ++lane) above |= static_cast<int>(values[lane] > floor);
  return above != 0;
}

}  // namespace

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

double weigh(std::span<const float> logits, double max, double scale, std::span<float> weights) {
  double total = 0;
  for (std::size_t i = 0; i < logits.size(); i += kBlock) {
    const std::size_t size = std::min(kBlock, logits.size() - i);
    weigh_block(logits.data() + i, size, max, scale * kLog2E, weights.data() + i);
    total += sum(weights.data() + i, size);
  }
  return total;
}

double total_weight(std::span<const float> logits, double max, double scale) {
  std::array<float, kBlock> weights;
  double total = 0;
  for (std::size_t i = 0; i < logits.size(); i += kBlock) {
    const std::size_t size = std::min(kBlock, logits.size() - i);
    weigh_block(logits.data() + i, size, max, scale * kLog2E, weights.data());
    total += sum(weights.data(), size);
  }
  return total;
}

double standard_deviation(std::span<const float> logits) {
  const auto is_finite = [](float x) { return x > -kInfinity && x < kInfinity; };
  const auto sum_of = [logits](const auto& term) {
    std::array<double, kLanes> lanes{};
    std::size_t i = 0;
    for (; i + kLanes <= logits.size(); i += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(logits[i + lane]);
    }
    double total = 0;
    for (; i < logits.size(); ++i) total += term(logits[i]);
    for (const double lane : lanes) total += lane;
    return total;
  };
  const double count = sum_of([&](float x) { return is_finite(x) ? 1.0 : 0.0; });
  if (count == 0) return 0;
  const double mean = sum_of([&](float x) { return is_finite(x) ? double{x} : 0.0; }) / count;
  const double squares =
      sum_of([&](float x) { return is_finite(x) ? (x - mean) * (x - mean) : 0.0; });
  return std::sqrt(squares / count);
}

void select_largest(std::span<const float> logits, std::size_t k, float floor,
                    std::vector<Candidate>& chosen) {
  chosen.clear();
  if (k == 0) return;
  const auto cut = [&] {
    const auto end = chosen.begin() + static_cast<std::ptrdiff_t>(k);
    std::nth_element(chosen.begin(), end - 1, chosen.end(), likelier);
    chosen.erase(end, chosen.end());
  };
  // Candidates gather until there are twice as many as wanted (at least kMost more); then those
  // beyond the k-th leave, and only what is larger than it comes in. Of equals the earlier stay.
  constexpr std::size_t kMost = 1024;
  const std::size_t full = k + std::max(std::min(k, logits.size()), kMost);
  std::size_t i = 0;
  const auto take = [&](std::size_t end) {
    for (; i < end; ++i) {
      if (!(logits[i] > floor)) continue;
      chosen.push_back({.id = static_cast<TokenId>(i), .logit = logits[i], .weight = 0});
      if (chosen.size() < full) continue;
      cut();
      floor = chosen[k - 1].logit;
    }
  };
  while (i + kLanes <= logits.size()) {
    if (any_above(logits.data() + i, floor)) {
      take(i + kLanes);
    } else {
      i += kLanes;
    }
  }
  take(logits.size());
  if (chosen.size() > k) cut();
  std::sort(chosen.begin(), chosen.end(),
            [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
}

void select_above(std::span<const float> logits, std::span<const float> weights, float floor,
                  std::vector<Candidate>& chosen) {
  chosen.clear();
  std::size_t i = 0;
  const auto take = [&](std::size_t end) {
    for (; i < end; ++i) {
      if (!(weights[i] > floor)) continue;
      chosen.push_back({.id = static_cast<TokenId>(i), .logit = logits[i], .weight = weights[i]});
    }
  };
  while (i + kLanes <= weights.size()) {
    if (any_above(weights.data() + i, floor)) {
      take(i + kLanes);
    } else {
      i += kLanes;
    }
  }
  take(weights.size());
}

TokenId find_in_sum(std::span<const float> weights, double target) {
  double passed = 0;
  std::span<const float> last;  // the last block that has any weight
  for (std::size_t i = 0; i < weights.size(); i += kBlock) {
    const std::span<const float> block = weights.subspan(i, std::min(kBlock, weights.size() - i));
    const double weight = sum(block.data(), block.size());
    if (!(weight > 0)) continue;
    last = block;
    if (passed + weight > target) break;
    passed += weight;
  }
  TokenId found = -1;
  for (const float& weight : last) {
    if (!(weight > 0)) continue;
    found = static_cast<TokenId>(&weight - weights.data());
    passed += weight;
    if (passed > target) break;
  }
  return found;
}

}  // namespace mistral::engine
