// Qwen 3: norms on the heads of q and k instead of biases.
#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"Qwen3ForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"qwen3"};
constexpr std::int32_t kHeadDim = 128;  // where the config does not say

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config, kHeadDim);
  spec.names.query_norm = "model.layers.{}.self_attn.q_norm";
  spec.names.key_norm = "model.layers.{}.self_attn.k_norm";
  spec.qkv_bias = bias_if(config.boolean("attention_bias").value_or(false));
  spec.output_bias = spec.qkv_bias;
  spec.activation = activation_from_config(config, "hidden_act", "silu");
  spec.tied_head = tied_from_config(config, false);
  spec.ropes = {rope_from_config(config, spec.head_dim)};
  set_qwen_windows(config, spec);
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  spec.names.query_norm = "blk.{}.attn_q_norm";
  spec.names.key_norm = "blk.{}.attn_k_norm";
  spec.ropes = {rope_from_gguf(gguf, spec.head_dim)};
  return spec;
}

}  // namespace

extern const TextFamily kQwen3;
const TextFamily kQwen3 = {"qwen3", kHfArchitectures, kGgufArchitectures, from_config, from_gguf};

}  // namespace mistral::models
