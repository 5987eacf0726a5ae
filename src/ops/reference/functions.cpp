#include "ops/reference/functions.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mistral::ops::reference {

double activation(Activation kind, double x) {
  switch (kind) {
    case Activation::kSilu:
      return x / (1.0 + std::exp(-x));
    case Activation::kGeluTanh: {
      const double inner = std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x);
      return 0.5 * x * (1.0 + std::tanh(inner));
    }
    // erfc: 1 + erf(x) loses all digits for very negative x.
    case Activation::kGeluErf:
      return 0.5 * x * std::erfc(-x / std::numbers::sqrt2);
    case Activation::kGeluQuick:
      return x / (1.0 + std::exp(-1.702 * x));
    case Activation::kRelu:
      return std::max(x, 0.0);
    case Activation::kRelu2:
      return std::max(x, 0.0) * std::max(x, 0.0);
    case Activation::kRelu6:
      return std::clamp(x, 0.0, 6.0);
    case Activation::kSigmoid:
      return 1.0 / (1.0 + std::exp(-x));
    case Activation::kHardSigmoid:
      return std::clamp(x / 6.0 + 0.5, 0.0, 1.0);
    case Activation::kHardSwish:
      return x * std::clamp(x / 6.0 + 0.5, 0.0, 1.0);
    case Activation::kElu:
      return x > 0.0 ? x : std::expm1(x);
    case Activation::kLeakyRelu:
      return x > 0.0 ? x : 0.01 * x;
    case Activation::kClampedSwiglu: {
      const double clamped = std::min(x, 7.0);
      return clamped / (1.0 + std::exp(-1.702 * clamped));
    }
  }
  return x;
}

double gated(Activation kind, double gate, double up) {
  if (kind == Activation::kClampedSwiglu) up = std::clamp(up, -7.0, 7.0) + 1.0;
  return activation(kind, gate) * up;
}

void norm(const NormParams& params, const float* in, std::int64_t n, float* out) {
  double mean = 0.0;
  if (params.kind == NormParams::Kind::kLayer) {
    for (std::int64_t i = 0; i < n; ++i) mean += in[i];
    mean /= static_cast<double>(n);
  }
  double squares = 0.0;
  for (std::int64_t i = 0; i < n; ++i) squares += (in[i] - mean) * (in[i] - mean);
  const double factor =
      1.0 / std::sqrt(squares / static_cast<double>(n) + static_cast<double>(params.epsilon));
  for (std::int64_t i = 0; i < n; ++i) {
    double y = (in[i] - mean) * factor;
    if (params.weight != nullptr) y *= params.weight[i];
    if (params.bias != nullptr) y += params.bias[i];
    out[i] = static_cast<float>(y);
  }
}

void softmax(std::span<double> x) {
  if (x.empty()) return;
  const double largest = *std::max_element(x.begin(), x.end());
  double sum = 0.0;
  for (double& value : x) {
    value = std::exp(value - largest);
    sum += value;
  }
  for (double& value : x) value /= sum;
}

void rotate(const RopeTable& table, std::int64_t row, float* head) {
  const std::int64_t half = table.rotary_dim / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const double c = table.cos[row * half + i];
    const double s = table.sin[row * half + i];
    float* pair = head + table.first_dim;
    float& first = pair[table.interleaved ? 2 * i : i];
    float& second = pair[table.interleaved ? 2 * i + 1 : i + half];
    const double x = first;
    const double y = second;
    first = static_cast<float>(x * c - y * s);
    second = static_cast<float>(y * c + x * s);
  }
}

void quantize(const float* in, std::int64_t n, std::int64_t block, std::int8_t* codes,
              float* scales, std::int16_t* sums16, std::int16_t* sums32) {
  for (std::int64_t i = 0; i < n / 16; ++i) sums16[i] = 0;
  for (std::int64_t i = 0; i < n / 32; ++i) sums32[i] = 0;
  for (std::int64_t b = 0; b < n / block; ++b) {
    float largest = 0.0F;
    for (std::int64_t i = b * block; i < (b + 1) * block; ++i) {
      largest = std::max(largest, std::fabs(in[i]));
    }
    scales[b] = largest / 127.0F;
    const float inverse = largest > 0.0F ? 127.0F / largest : 0.0F;
    for (std::int64_t i = b * block; i < (b + 1) * block; ++i) {
      codes[i] = static_cast<std::int8_t>(std::nearbyint(in[i] * inverse));
      sums16[i / 16] = static_cast<std::int16_t>(sums16[i / 16] + codes[i]);
      sums32[i / 32] = static_cast<std::int16_t>(sums32[i / 32] + codes[i]);
    }
  }
}

}  // namespace mistral::ops::reference
