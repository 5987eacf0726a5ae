// Passes over a row of logits or weights, one entry for each id of the vocabulary. Written so that
// the compiler turns them into vector code; the only places where sampling looks at every id.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "mistral/types.h"

namespace mistral::engine {

// A weight is exp((logit - largest) / temperature): 1 for the most likely token, 0 from about
// 1e-38 downwards.
struct Candidate {
  TokenId id = -1;
  float logit = 0;
  float weight = 0;
};

// From the most likely token down.
[[nodiscard]] inline bool likelier(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

constexpr double kLog2E = 1.4426950408889634;
constexpr double kLowestExponent = -126.0;  // 2 to the power of less is no normal float

// 2^t to 1.5e-7 of itself for kLowestExponent < t <= 0, and 0 for kLowestExponent. The argument is
// a double: a float that holds -100 is wrong by more than a millionth in the result. Without calls
// and branches, so that loops over it become vector code.
[[nodiscard]] inline float power_of_two(double t) {
  const auto whole = static_cast<std::int32_t>(t - 0.5);  // rounds to nearest: t <= 0
  const auto f = static_cast<float>(t - static_cast<double>(whole));
  // 2^f on [-1/2, 1/2]: the Taylor series ln(2)^k / k!.
  float p = 1.52527338e-5F;
  p = p * f + 1.54035304e-4F;
  p = p * f + 1.33335581e-3F;
  p = p * f + 9.61812911e-3F;
  p = p * f + 5.55041087e-2F;
  p = p * f + 2.40226507e-1F;
  p = p * f + 6.93147181e-1F;
  p = p * f + 1.0F;
  const float result = p * std::bit_cast<float>((whole + 127) << 23);
  const std::int32_t keep = -static_cast<std::int32_t>(whole > -126);
  return std::bit_cast<float>(std::bit_cast<std::int32_t>(result) & keep);
}

// exp(x) for x <= 0 in this way; 0 for NaN.
[[nodiscard]] inline float weight_of(double x) {
  const double t = x * kLog2E;
  return power_of_two(t > kLowestExponent ? t : kLowestExponent);
}

// The largest logit; NaN never wins. -infinity when there is no number.
[[nodiscard]] float largest(std::span<const float> logits);

// Writes the weight of every logit; returns their sum.
double weigh(std::span<const float> logits, double max, double scale, std::span<float> weights);
// Only the sum.
[[nodiscard]] double total_weight(std::span<const float> logits, double max, double scale);

// Standard deviation of the finite logits; 0 when there is none.
[[nodiscard]] double standard_deviation(std::span<const float> logits);

// The k largest logits above `floor`, of equal ones those with the lowest ids; in rising order of
// ids, without weights. Linear in the row, whatever its order.
void select_largest(std::span<const float> logits, std::size_t k, float floor,
                    std::vector<Candidate>& chosen);

// The tokens with weights above `floor`, which is at least 0, in rising order of ids.
void select_above(std::span<const float> logits, std::span<const float> weights, float floor,
                  std::vector<Candidate>& chosen);

// Where the running sum of the weights first exceeds `target`; the last weight above 0 if it never
// does. -1 when there is none.
[[nodiscard]] TokenId find_in_sum(std::span<const float> weights, double target);

}  // namespace mistral::engine
