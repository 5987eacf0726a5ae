// Llama 1 to 3 and everything that shares its layout (SmolLM, TinyLlama, …); in GGUF files also
// Mistral and Mixtral.
#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"LlamaForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"llama"};

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config);
  spec.qkv_bias = bias_if(config.boolean("attention_bias").value_or(false));
  spec.output_bias = spec.qkv_bias;
  spec.mlp_bias = bias_if(config.boolean("mlp_bias").value_or(false));
  spec.activation = activation_from_config(config, "hidden_act", "silu");
  spec.tied_head = tied_from_config(config, false);
  spec.ropes = {rope_from_config(config, spec.head_dim)};
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  if (gguf.integer("expert_count").value_or(0) > 0) {
    spec.moe = moe_from_gguf(gguf, spec.intermediate_size);
    for (nn::LayerSpec& layer : spec.layers) layer.experts = true;
  }
  set_window(spec, window_of(gguf, "attention.sliding_window"));
  nn::RopeSpec rope = rope_from_gguf(gguf, rotary_dim(gguf, spec.head_dim));
  rope.interleaved = true;  // rows of q and k are stored permuted for adjacent pairs
  spec.ropes = {rope};
  return spec;
}

}  // namespace

extern const TextFamily kLlama;
const TextFamily kLlama = {"llama", kHfArchitectures, kGgufArchitectures, from_config, from_gguf};

}  // namespace mistral::models
