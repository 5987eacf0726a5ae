#include "nn/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mistral::nn {
namespace {

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
      effective_base *=
          std::pow(factor * regime / original_positions - (factor - 1), dim / (dim - 2));
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

RopeRows::RopeRows(RopeSpec spec, std::int32_t max_rows)
    : spec_(std::move(spec)), base_frequencies_(spec_.inverse_frequencies(0)) {
  const std::size_t size = static_cast<std::size_t>(max_rows) * base_frequencies_.size();
  cos_.resize(size);
  sin_.resize(size);
  table_ = {cos_.data(), sin_.data(), max_rows, spec_.rotary_dim, spec_.interleaved};
}

void RopeRows::write(const std::vector<double>& frequencies, std::int32_t position, float* cos,
                     float* sin) const {
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    // In float, as the models were trained and are evaluated elsewhere: angles of far positions
    // are rounded the same way.
    const float angle = static_cast<float>(position) * static_cast<float>(frequencies[i]);
    cos[i] = static_cast<float>(std::cos(static_cast<double>(angle)) * spec_.attention_factor);
    sin[i] = static_cast<float>(std::sin(static_cast<double>(angle)) * spec_.attention_factor);
  }
}

void RopeRows::set(std::int32_t row, std::int32_t position, std::int32_t rope_length) {
  const std::size_t half = base_frequencies_.size();
  float* cos = cos_.data() + static_cast<std::size_t>(row) * half;
  float* sin = sin_.data() + static_cast<std::size_t>(row) * half;
  const std::int32_t regime = spec_.regime(std::max(rope_length, position + 1));
  if (regime != 0) {
    if (regime != regime_) {
      frequencies_ = spec_.inverse_frequencies(regime);
      regime_ = regime;
    }
    return write(frequencies_, position, cos, sin);
  }
  const std::size_t at = static_cast<std::size_t>(position) * half;
  if (at >= base_cos_.size()) {
    const auto had = static_cast<std::int32_t>(base_cos_.size() / half);
    const std::int32_t want = std::max({position + 1, 2 * had, 64});
    base_cos_.resize(static_cast<std::size_t>(want) * half);
    base_sin_.resize(static_cast<std::size_t>(want) * half);
    for (std::int32_t p = had; p < want; ++p) {
      const std::size_t offset = static_cast<std::size_t>(p) * half;
      write(base_frequencies_, p, base_cos_.data() + offset, base_sin_.data() + offset);
    }
  }
  std::copy_n(base_cos_.data() + at, half, cos);
  std::copy_n(base_sin_.data() + at, half, sin);
}

}  // namespace mistral::nn
