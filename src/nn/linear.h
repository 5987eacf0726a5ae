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
  // 0 when there is no matrix.
  [[nodiscard]] unsigned input_form() const { return weight ? weight->input_form() : 0U; }
};

// A norm's parameters. A norm that is not present leaves its input as it is.
struct Norm {
  bool present = false;
  ops::NormParams::Kind kind = ops::NormParams::Kind::kRms;
  float epsilon = 1e-6F;
  std::vector<float> weight;  // empty: ones
  std::vector<float> bias;    // empty: zeros

  [[nodiscard]] explicit operator bool() const { return present; }
  [[nodiscard]] ops::NormParams params() const {
    return {kind, epsilon, weight.empty() ? nullptr : weight.data(),
            bias.empty() ? nullptr : bias.data()};
  }
};

}  // namespace mistral::nn
