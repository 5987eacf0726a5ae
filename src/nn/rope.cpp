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
  double low = correction_dim(spec.beta_fast);
  double high = correction_dim(spec.beta_slow);
  if (spec.whole_dims) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1);
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
  if (rope_length <= original_positions) return 0;
  if (scaling == RopeScaling::kDynamic) return rope_length;
  return scaling == RopeScaling::kLongrope ? 1 : 0;
}

std::vector<double> RopeSpec::inverse_frequencies(std::int32_t regime) const {
  std::vector<double> result;
  if (scaling == RopeScaling::kYarn) {
    result = yarn_frequencies(*this);
  } else {
    const double dim = rotary_dim;
    double effective_base = base;
    if (scaling == RopeScaling::kDynamic && regime > 0) {
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
  const std::vector<float>& divisors = scaling == RopeScaling::kLongrope && regime > 0
                                           ? long_frequency_divisors
                                           : frequency_divisors;
  for (std::size_t i = 0; i < divisors.size(); ++i) result[i] /= static_cast<double>(divisors[i]);
  return result;
}

RopeRows::RopeRows(RopeSpec spec, std::int32_t first_dim, std::int32_t max_rows,
                   std::int32_t max_positions)
    : spec_(std::move(spec)),
      half_(static_cast<std::size_t>(spec_.rotary_dim / 2)),
      max_positions_(max_positions) {
  base_.frequencies = spec_.inverse_frequencies(0);
  cos_.resize(static_cast<std::size_t>(max_rows) * half_);
  sin_.resize(cos_.size());
  table_ = {cos_.data(), sin_.data(), max_rows, spec_.rotary_dim, spec_.interleaved, first_dim};
}

std::uint64_t RopeRows::bytes() const {
  std::size_t floats = cos_.size() + sin_.size();
  for (const Positions* table : {&base_, &other_}) floats += table->cos.size() + table->sin.size();
  return floats * sizeof(float);
}

std::uint64_t RopeRows::bytes_for(const RopeSpec& spec, std::int64_t max_rows,
                                  std::int64_t positions) {
  const std::int64_t tables = spec.scaling == RopeScaling::kLongrope ? 2 : 1;
  const std::int64_t rows = max_rows + tables * positions;
  return static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(spec.rotary_dim / 2) * 2 *
         sizeof(float);
}

void RopeRows::write(const Positions& table, std::int32_t position, float* cos, float* sin) const {
  const double magnitude = spec_.magnitude(table.regime);
  for (std::size_t i = 0; i < half_; ++i) {
    // In float, as the models were trained and are evaluated elsewhere: angles of far positions
    // are rounded the same way.
    const float angle = static_cast<float>(position) * static_cast<float>(table.frequencies[i]);
    cos[i] = static_cast<float>(std::cos(static_cast<double>(angle)) * magnitude);
    sin[i] = static_cast<float>(std::sin(static_cast<double>(angle)) * magnitude);
  }
}

void RopeRows::copy(Positions& table, std::int32_t position, float* cos, float* sin) const {
  const std::size_t at = static_cast<std::size_t>(position) * half_;
  if (at >= table.cos.size()) {
    const auto had = static_cast<std::int32_t>(table.cos.size() / half_);
    // Twice as much each time, but no more than there can be.
    const std::int32_t want =
        std::max(position + 1, std::min(std::max(2 * had, 64), max_positions_));
    table.cos.resize(static_cast<std::size_t>(want) * half_);
    table.sin.resize(table.cos.size());
    for (std::int32_t p = had; p < want; ++p) {
      const std::size_t offset = static_cast<std::size_t>(p) * half_;
      write(table, p, table.cos.data() + offset, table.sin.data() + offset);
    }
  }
  std::copy_n(table.cos.data() + at, half_, cos);
  std::copy_n(table.sin.data() + at, half_, sin);
}

void RopeRows::set(std::int32_t row, std::int32_t position, std::int32_t rope_length) {
  float* cos = cos_.data() + static_cast<std::size_t>(row) * half_;
  float* sin = sin_.data() + static_cast<std::size_t>(row) * half_;
  const std::int32_t regime = spec_.regime(std::max(rope_length, position + 1));
  if (regime == 0) return copy(base_, position, cos, sin);
  if (regime != other_.regime) other_ = {regime, spec_.inverse_frequencies(regime), {}, {}};
  // A regime of its own for every length would fill a table for a single row each.
  if (spec_.scaling == RopeScaling::kDynamic) return write(other_, position, cos, sin);
  copy(other_, position, cos, sin);
}

}  // namespace mistral::nn
