#include "nn/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mistral::nn {
namespace {

// Distinct sequence lengths that a dynamic table is kept for.
constexpr std::size_t kMaxRegimes = 256;

std::vector<double> yarn_frequencies(const RopeSpec& spec) {
  const int half = spec.rotary_dim / 2;
  const double dim = spec.rotary_dim;
  // The dimension that makes `rotations` turns over the original context.
  const auto correction_dim = [&](double rotations) {
    return dim * std::log(spec.original_positions / (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(spec.base));
  };
  const double low = std::max(std::floor(correction_dim(spec.beta_fast)), 0.0);
  double high = std::min(std::ceil(correction_dim(spec.beta_slow)), dim - 1);
  if (low == high) high += 0.001;
  std::vector<double> result;
  for (int i = 0; i < half; ++i) {
    const double kept = std::pow(spec.base, -2.0 * i / dim);
    const double ramp = std::clamp((i - low) / (high - low), 0.0, 1.0);
    result.push_back(kept / spec.factor * ramp + kept * (1 - ramp));
  }
  return result;
}

double llama3_frequency(const RopeSpec& spec, double frequency) {
  const double wavelength = 2 * std::numbers::pi / frequency;
  if (wavelength < spec.original_positions / spec.high_freq_factor) return frequency;
  if (wavelength > spec.original_positions / spec.low_freq_factor) return frequency / spec.factor;
  const double smooth = (spec.original_positions / wavelength - spec.low_freq_factor) /
                        (spec.high_freq_factor - spec.low_freq_factor);
  return (1 - smooth) * frequency / spec.factor + smooth * frequency;
}

}  // namespace

double yarn_attention_factor(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

std::int32_t RopeSpec::regime(std::int32_t rope_length) const {
  return scaling == RopeScaling::kDynamic && rope_length > original_positions ? rope_length : 0;
}

std::vector<double> RopeSpec::inverse_frequencies(std::int32_t regime) const {
  std::vector<double> result;
  if (scaling == RopeScaling::kYarn) {
    result = yarn_frequencies(*this);
  } else {
    const double dim = rotary_dim;
    double effective_base = base;
    if (regime > 0) {
      effective_base *= std::pow(factor * regime / original_positions - (factor - 1), dim / (dim - 2));
    }
    for (int i = 0; i < rotary_dim / 2; ++i) {
      double frequency = std::pow(effective_base, -2.0 * i / dim);
      if (scaling == RopeScaling::kLinear) frequency /= factor;
      if (scaling == RopeScaling::kLlama3) frequency = llama3_frequency(*this, frequency);
      result.push_back(frequency);
    }
  }
  for (std::size_t i = 0; i < frequency_divisors.size(); ++i) {
    result[i] /= static_cast<double>(frequency_divisors[i]);
  }
  return result;
}

const ops::RopeTable* RopeTables::table(std::int32_t rope_length, std::int32_t positions) {
  const std::int32_t regime = spec_.regime(rope_length);
  auto found = entries_.find(regime);
  if (found == entries_.end()) {
    if (entries_.size() >= kMaxRegimes) {
      entries_.erase(std::min_element(
          entries_.begin(), entries_.end(),
          [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
    }
    found = entries_.emplace(regime, Entry{}).first;
    found->second.frequencies = spec_.inverse_frequencies(regime);
  }
  Entry& entry = found->second;
  entry.used = ++clock_;
  const std::int32_t had = entry.view.positions;
  if (positions > had) {
    const auto half = static_cast<std::size_t>(spec_.rotary_dim / 2);
    const std::int32_t want = std::max({positions, 2 * had, 64});
    entry.cos.resize(static_cast<std::size_t>(want) * half);
    entry.sin.resize(static_cast<std::size_t>(want) * half);
    for (std::int32_t p = had; p < want; ++p) {
      for (std::size_t i = 0; i < half; ++i) {
        // In float, as the models were trained and are evaluated elsewhere: angles of far positions
        // are rounded the same way.
        const float angle = static_cast<float>(p) * static_cast<float>(entry.frequencies[i]);
        const std::size_t at = static_cast<std::size_t>(p) * half + i;
        entry.cos[at] = static_cast<float>(std::cos(static_cast<double>(angle)) * spec_.attention_factor);
        entry.sin[at] = static_cast<float>(std::sin(static_cast<double>(angle)) * spec_.attention_factor);
      }
    }
    entry.view = {entry.cos.data(), entry.sin.data(), want, spec_.rotary_dim, spec_.interleaved};
  }
  return &entry.view;
}

}  // namespace mistral::nn
