// The MLP half of a layer: two or three matrices, or a mixture of experts.
#include <algorithm>
#include <cstring>

#include "nn/decoder.h"

namespace mistral::nn {

void Decoder::reserve_ffn() {
  unsigned forms = 0;
  unsigned shared_forms = 0;
  for (const Layer& layer : weights_.layers) {
    forms |= layer.mlp.down.input_form();
    shared_forms |= layer.moe.shared.down.input_form();
  }
  const std::int64_t rows = options_.max_batch_rows;
  (void)gated_.view(rows, spec_.intermediate_size, forms);
  if (!spec_.moe) return;
  const MoeSpec& moe = *spec_.moe;
  (void)shared_gated_.view(rows, moe.shared_intermediate_size, shared_forms);
  router_logits_ = PageBuffer(float_bytes(rows, moe.experts));
  chosen_.resize(static_cast<std::size_t>(rows * moe.routing.used));
  chosen_weights_.resize(chosen_.size());
}

ops::Activations Decoder::mlp(const MlpWeights& weights, const ops::Activations& in,
                              ops::ActivationBuffer& buffer) {
  const ops::Activations out =
      buffer.view(in.rows, weights.up.weight->out(), weights.down.input_form());
  if (weights.gate) {
    backend_.gated_linear(in, *weights.gate.weight, weights.gate.bias_data(), *weights.up.weight,
                          weights.up.bias_data(), spec_.activation, out);
    return out;
  }
  const ops::LinearOutput up{weights.up.weight.get(), weights.up.bias_data(), out.as_rows(), 1.0F,
                             false};
  backend_.linear(in, {&up, 1});
  backend_.activate(spec_.activation, out.as_rows(), out);
  return out;
}

void Decoder::experts(const MoeWeights& weights, const ops::Activations& in, ops::Rows out) {
  const MoeSpec& spec = *spec_.moe;
  const ops::Rows logits = rows_of(router_logits_, in.rows, spec.experts);
  const ops::LinearOutput router{weights.router.weight.get(), weights.router.bias_data(), logits,
                                 1.0F, false};
  backend_.linear(in, {&router, 1});
  ops::RoutingParams routing = spec.routing;
  if (!weights.selection_bias.empty()) routing.selection_bias = weights.selection_bias.data();
  const ops::ExpertChoice choice{routing.used, chosen_.data(), chosen_weights_.data()};
  backend_.route(routing, logits, choice);
  backend_.moe({weights.views, spec_.activation, spec.scale_input}, in, choice, out);
  if (!weights.shared) return;
  const ops::Activations gated = mlp(weights.shared, in, shared_gated_);
  const ops::LinearOutput down{weights.shared.down.weight.get(), nullptr, out, 1.0F, true};
  backend_.linear(gated, {&down, 1});
}

void Decoder::ffn(const Layer& layer, ops::Rows hidden) {
  const bool mixture = !layer.moe.experts.empty();
  unsigned forms = layer.mlp.gate.input_form() | layer.mlp.up.input_form() |
                   layer.moe.router.input_form() | layer.moe.shared.gate.input_form() |
                   layer.moe.shared.up.input_form();
  for (const MlpWeights& expert : layer.moe.experts) {
    forms |= expert.gate.input_form() | expert.up.input_form();
  }
  const ops::Activations normed = normalise(layer.ffn_norm, hidden, normed_, forms);
  if (!mixture) {
    add_to_residual(mlp(layer.mlp, normed, gated_), layer.mlp.down, layer.post_ffn_norm, hidden);
    return;
  }
  if (!layer.post_ffn_norm) {
    experts(layer.moe, normed, hidden);
    return;
  }
  const ops::Rows branch = rows_of(branch_, hidden.rows, hidden.cols);
  std::memset(branch.data, 0, float_bytes(branch.rows, branch.cols));
  experts(layer.moe, normed, branch);
  backend_.norm_rows(layer.post_ffn_norm.params(), branch, hidden, true);
}

}  // namespace mistral::nn
