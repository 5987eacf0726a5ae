// StarCoder 2: LayerNorm, biases everywhere, an MLP of two matrices.
#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"Starcoder2ForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"starcoder2"};

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config);
  spec.norm_kind = ops::NormParams::Kind::kLayer;
  spec.norm_epsilon = config.number("norm_epsilon").value_or(1e-5);
  nn::TensorNames& names = spec.names;
  names.gate.clear();
  names.up = "model.layers.{}.mlp.c_fc";
  names.down = "model.layers.{}.mlp.c_proj";
  spec.qkv_bias = bias_if(config.boolean("use_bias").value_or(true));
  spec.output_bias = spec.qkv_bias;
  spec.mlp_bias = spec.qkv_bias;
  spec.activation = activation_from_config(config, "hidden_act", "gelu_pytorch_tanh");
  spec.tied_head = tied_from_config(config, true);
  spec.ropes = {rope_from_config(config, spec.head_dim)};
  set_window(spec, window_of(config, "sliding_window"));
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  spec.norm_kind = ops::NormParams::Kind::kLayer;
  spec.names.gate.clear();
  spec.activation = ops::Activation::kGeluTanh;
  nn::RopeSpec rope = rope_from_gguf(gguf, rotary_dim(gguf, spec.head_dim));
  if (!gguf.number("rope.freq_base")) rope.base = 100000.0;
  spec.ropes = {rope};
  set_window(spec, window_of(gguf, "attention.sliding_window"));
  return spec;
}

}  // namespace

extern const TextFamily kStarcoder2;
const TextFamily kStarcoder2 = {"starcoder2", kHfArchitectures, kGgufArchitectures, from_config,
                                from_gguf};

}  // namespace mistral::models
