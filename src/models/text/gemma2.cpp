// Gemma 2: Gemma with norms around both blocks, soft caps on scores and logits, and a sliding
// window in every other layer.
#include <cmath>

#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"Gemma2ForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"gemma2"};
constexpr std::int32_t kHeadDim = 256;  // where the config does not say
constexpr std::int64_t kPattern = 2;    // every second layer is global
constexpr std::size_t kLayersOf27B = 46;

void set_windows(nn::DecoderSpec& spec, const std::vector<bool>& sliding, std::int32_t window) {
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    spec.layers[i].window = sliding[i] ? window : 0;
  }
}

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config, kHeadDim);
  nn::TensorNames& names = spec.names;
  const std::string layer = "model.layers.{}.";
  names.post_attention_norm = layer + "post_attention_layernorm";
  names.ffn_norm = layer + "pre_feedforward_layernorm";
  names.post_ffn_norm = layer + "post_feedforward_layernorm";
  spec.norm_weight_offset = 1.0F;
  spec.qkv_bias = bias_if(config.boolean("attention_bias").value_or(false));
  spec.output_bias = spec.qkv_bias;
  // Both may be there; Transformers reads this one.
  spec.activation = activation_from_config(
      config, config.has("hidden_activation") ? "hidden_activation" : "hidden_act",
      "gelu_pytorch_tanh");
  spec.tied_head = tied_from_config(config, true);
  spec.attention_scale = 1.0 / std::sqrt(positive(config, "query_pre_attn_scalar", kHeadDim));
  spec.attention_softcap = config.number("attn_logit_softcapping").value_or(0.0);
  spec.logit_softcap = config.number("final_logit_softcapping").value_or(0.0);
  spec.ropes = {rope_from_config(config, spec.head_dim)};
  spec.embedding_scale = std::sqrt(static_cast<double>(spec.hidden_size));
  set_windows(spec, sliding_layers(config, spec.layers.size(), kPattern),
              window_of(config, "sliding_window"));
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  nn::TensorNames& names = spec.names;
  names.post_attention_norm = "blk.{}.post_attention_norm";
  names.post_ffn_norm = "blk.{}.post_ffw_norm";
  spec.activation = ops::Activation::kGeluTanh;
  // No key tells what the scores are scaled by: only the 27B model, the one of 46 layers, does not
  // use the head's size.
  if (spec.layers.size() == kLayersOf27B) {
    spec.attention_scale = 1.0 / std::sqrt(static_cast<double>(spec.hidden_size) / spec.heads);
  }
  spec.attention_softcap = gguf.number("attn_logit_softcapping").value_or(50.0);
  spec.logit_softcap = gguf.number("final_logit_softcapping").value_or(30.0);
  spec.ropes = {rope_from_gguf(gguf, rotary_dim(gguf, spec.head_dim))};
  spec.embedding_scale = std::sqrt(static_cast<double>(spec.hidden_size));
  std::int32_t window = window_of(gguf, "attention.sliding_window");
  if (!gguf.integer("attention.sliding_window")) window = 4096;
  std::vector<bool> sliding;
  for (std::size_t i = 0; i < spec.layers.size(); ++i) sliding.push_back(i % 2 == 0);
  set_windows(spec, sliding, window);
  return spec;
}

}  // namespace

extern const TextFamily kGemma2;
const TextFamily kGemma2 = {"gemma2", kHfArchitectures, kGgufArchitectures, from_config, from_gguf};

}  // namespace mistral::models
