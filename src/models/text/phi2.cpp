// Phi 1 to 2: attention and an MLP of two matrices in parallel from one LayerNorm, biases
// everywhere, rotation of the leading dims of a head.
#include "core/error.h"
#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"PhiForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"phi2"};

void set_block(nn::DecoderSpec& spec) {
  spec.norm_kind = ops::NormParams::Kind::kLayer;
  spec.parallel_residual = true;
  spec.names.ffn_norm.clear();  // shares the attention's
  spec.names.gate.clear();
}

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config);
  set_block(spec);
  nn::TensorNames& names = spec.names;
  const std::string layer = "model.layers.{}.";
  names.final_norm = "model.final_layernorm";
  names.output = layer + "self_attn.dense";
  names.up = layer + "mlp.fc1";
  names.down = layer + "mlp.fc2";
  if (config.boolean("qk_layernorm").value_or(false)) {
    names.query_norm = layer + "self_attn.q_layernorm";
    names.key_norm = layer + "self_attn.k_layernorm";
  }
  spec.norm_epsilon = config.number("layer_norm_eps").value_or(1e-5);
  spec.qkv_bias = bias_if(true);
  spec.output_bias = bias_if(true);
  spec.mlp_bias = bias_if(true);
  spec.head_bias = bias_if(true);
  if (config.boolean("tie_word_embeddings").value_or(false)) {
    throw config.problem("tie_word_embeddings",
                         "the head of a phi model has a bias of its own and "
                         "cannot be the embedding; expected false");
  }
  spec.activation = activation_from_config(config, "hidden_act", "gelu_new");
  spec.ropes = {
      rope_from_config(config, rotary_dim(config, "partial_rotary_factor", 0.5, spec.head_dim))};
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  set_block(spec);
  spec.head_bias = nn::DecoderSpec::Bias::kOptional;
  spec.activation = ops::Activation::kGeluTanh;
  spec.ropes = {rope_from_gguf(gguf, rotary_dim(gguf, spec.head_dim))};
  return spec;
}

}  // namespace

extern const TextFamily kPhi2;
const TextFamily kPhi2 = {"phi2", kHfArchitectures, kGgufArchitectures, from_config, from_gguf};

}  // namespace mistral::models
