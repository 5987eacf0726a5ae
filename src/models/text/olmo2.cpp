// OLMo 2: norms after the blocks and none before them; q and k are normalised over all heads.
#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"Olmo2ForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"olmo2"};

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config);
  nn::TensorNames& names = spec.names;
  const std::string layer = "model.layers.{}.";
  names.attention_norm.clear();
  names.ffn_norm.clear();
  names.query_norm = layer + "self_attn.q_norm";
  names.key_norm = layer + "self_attn.k_norm";
  names.post_attention_norm = layer + "post_attention_layernorm";
  names.post_ffn_norm = layer + "post_feedforward_layernorm";
  spec.query_key_norm = nn::DecoderSpec::QueryKeyNorm::kAllHeads;
  spec.norm_epsilon = config.number("rms_norm_eps").value_or(1e-5);
  spec.qkv_bias = bias_if(config.boolean("attention_bias").value_or(false));
  spec.output_bias = spec.qkv_bias;
  spec.activation = activation_from_config(config, "hidden_act", "silu");
  spec.tied_head = tied_from_config(config, false);
  spec.ropes = {rope_from_config(config, spec.head_dim)};
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  nn::TensorNames& names = spec.names;
  const std::string layer = "blk.{}.";
  names.attention_norm.clear();
  names.ffn_norm.clear();
  names.query_norm = layer + "attn_q_norm";
  names.key_norm = layer + "attn_k_norm";
  names.post_attention_norm = layer + "post_attention_norm";
  names.post_ffn_norm = layer + "post_ffw_norm";
  spec.query_key_norm = nn::DecoderSpec::QueryKeyNorm::kAllHeads;
  spec.ropes = {rope_from_gguf(gguf, rotary_dim(gguf, spec.head_dim))};
  return spec;
}

}  // namespace

extern const TextFamily kOlmo2;
const TextFamily kOlmo2 = {"olmo2", kHfArchitectures, kGgufArchitectures, from_config, from_gguf};

}  // namespace mistral::models
