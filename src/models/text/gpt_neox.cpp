// GPT-NeoX (Pythia): one matrix for q, k and v, head by head; rotation of the leading dims of a
// head; LayerNorms and biases; attention and MLP mostly in parallel, each with a norm of its own.
#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"GPTNeoXForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"gptneox"};

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config);
  nn::TensorNames& names = spec.names;
  const std::string layer = "gpt_neox.layers.{}.";
  names = {};
  names.embedding = "gpt_neox.embed_in";
  names.final_norm = "gpt_neox.final_layer_norm";
  names.head = "embed_out";
  names.attention_norm = layer + "input_layernorm";
  names.qkv = layer + "attention.query_key_value";
  names.output = layer + "attention.dense";
  names.ffn_norm = layer + "post_attention_layernorm";
  names.up = layer + "mlp.dense_h_to_4h";
  names.down = layer + "mlp.dense_4h_to_h";
  spec.qkv_layout = nn::DecoderSpec::QkvLayout::kByHead;
  spec.norm_kind = ops::NormParams::Kind::kLayer;
  spec.norm_epsilon = config.number("layer_norm_eps").value_or(1e-5);
  spec.parallel_residual = config.boolean("use_parallel_residual").value_or(true);
  spec.qkv_bias = bias_if(config.boolean("attention_bias").value_or(true));
  spec.output_bias = spec.qkv_bias;
  spec.mlp_bias = bias_if(true);
  spec.activation = activation_from_config(config, "hidden_act", "gelu");
  spec.tied_head = tied_from_config(config, false);
  const std::string_view share =
      config.has("partial_rotary_factor") ? "partial_rotary_factor" : "rotary_pct";
  nn::RopeSpec rope = rope_from_config(config, rotary_dim(config, share, 0.25, spec.head_dim));
  if (!config.has("rope_theta")) rope.base = positive(config, "rotary_emb_base", rope.base);
  spec.ropes = {rope};
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);  // q, k and v stand one after the other
  spec.names.gate.clear();
  spec.norm_kind = ops::NormParams::Kind::kLayer;
  spec.parallel_residual = gguf.boolean("use_parallel_residual").value_or(true);
  spec.activation = ops::Activation::kGeluErf;
  spec.ropes = {rope_from_gguf(gguf, rotary_dim(gguf, spec.head_dim))};
  return spec;
}

}  // namespace

extern const TextFamily kGptNeox;
const TextFamily kGptNeox = {"gpt_neox", kHfArchitectures, kGgufArchitectures, from_config,
                             from_gguf};

}  // namespace mistral::models
