// Cohere's Command R: attention and MLP in parallel from one LayerNorm without bias, rotation of
// adjacent pairs, scaled logits; large ones normalise each head of q and k with weights of its own.
#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"CohereForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"command-r"};

void set_block(nn::DecoderSpec& spec, nn::RopeSpec rope) {
  spec.norm_kind = ops::NormParams::Kind::kLayer;
  spec.parallel_residual = true;
  spec.names.ffn_norm.clear();  // shares the attention's
  spec.query_key_norm = nn::DecoderSpec::QueryKeyNorm::kOwnWeights;
  rope.interleaved = true;
  spec.ropes = {std::move(rope)};
}

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config);
  set_block(spec, rope_from_config(config, spec.head_dim));
  if (config.boolean("use_qk_norm").value_or(false)) {
    spec.names.query_norm = "model.layers.{}.self_attn.q_norm";
    spec.names.key_norm = "model.layers.{}.self_attn.k_norm";
  }
  spec.norm_epsilon = config.number("layer_norm_eps").value_or(1e-5);
  spec.qkv_bias = bias_if(config.boolean("attention_bias").value_or(false));
  spec.output_bias = spec.qkv_bias;
  spec.activation = activation_from_config(config, "hidden_act", "silu");
  spec.tied_head = tied_from_config(config, true);
  spec.logit_scale = positive(config, "logit_scale", 0.0625);
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  set_block(spec, rope_from_gguf(gguf, rotary_dim(gguf, spec.head_dim)));
  if (gguf.tensors().find("blk.0.attn_q_norm.weight") != nullptr) {
    spec.names.query_norm = "blk.{}.attn_q_norm";
    spec.names.key_norm = "blk.{}.attn_k_norm";
  }
  spec.logit_scale = positive(gguf, "logit_scale", 1.0);
  return spec;
}

}  // namespace

extern const TextFamily kCohere;
const TextFamily kCohere = {"cohere", kHfArchitectures, kGgufArchitectures, from_config, from_gguf};

}  // namespace mistral::models
