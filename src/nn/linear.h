// The only place where weights meet activations: a matrix in the backend's layout and its bias.
#pragma once

#include <memory>
#include <vector>

#include "ops/ops.h"

namespace mistral::nn {

struct Linear {
  std::shared_ptr<const ops::Weight> weight;  // shared when the head is the embedding
  std::vector<float> bias;                    // [out], empty: none

  [[nodiscard]] explicit operator bool() const { return weight != nullptr; }
  [[nodiscard]] const float* bias_data() const { return bias.empty() ? nullptr : bias.data(); }
  [[nodiscard]] unsigned input_form() const { return weight->input_form(); }
};

// A norm's parameters; empty weight and bias mean ones and zeros.
struct Norm {
  ops::NormParams::Kind kind = ops::NormParams::Kind::kRms;
  float epsilon = 1e-6F;
  std::vector<float> weight;
  std::vector<float> bias;

  [[nodiscard]] explicit operator bool() const { return !weight.empty(); }
  [[nodiscard]] ops::NormParams params() const {
    return {kind, epsilon, weight.empty() ? nullptr : weight.data(),
            bias.empty() ? nullptr : bias.data()};
  }
};

}  // namespace mistral::nn
