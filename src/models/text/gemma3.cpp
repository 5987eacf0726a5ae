// Gemma 3 (text): five sliding layers to one global, each kind with rope of its own; norms around
// both blocks and on q and k; embeddings scaled by sqrt(hidden).
#include <cmath>

#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"Gemma3ForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"gemma3"};
constexpr std::int64_t kPattern = 6;    // every sixth layer is global
constexpr std::int32_t kHeadDim = 256;  // where the config does not say
constexpr std::int32_t kGlobalRope = 0;
constexpr std::int32_t kLocalRope = 1;

void finish(nn::DecoderSpec& spec, const std::vector<bool>& sliding, std::int32_t window) {
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    spec.layers[i].window = sliding[i] ? window : 0;
    spec.layers[i].rope = sliding[i] ? kLocalRope : kGlobalRope;
  }
  spec.embedding_scale = std::sqrt(static_cast<double>(spec.hidden_size));
}

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config, kHeadDim);
  nn::TensorNames& names = spec.names;
  const std::string layer = "model.layers.{}.";
  names.query_norm = layer + "self_attn.q_norm";
  names.key_norm = layer + "self_attn.k_norm";
  names.post_attention_norm = layer + "post_attention_layernorm";
  names.ffn_norm = layer + "pre_feedforward_layernorm";
  names.post_ffn_norm = layer + "post_feedforward_layernorm";
  spec.norm_weight_offset = 1.0F;
  spec.qkv_bias = bias_if(config.boolean("attention_bias").value_or(false));
  spec.output_bias = spec.qkv_bias;
  spec.activation = activation_from_config(config, "hidden_activation", "gelu_pytorch_tanh");
  spec.tied_head = tied_from_config(config, true);
  spec.attention_scale = 1.0 / std::sqrt(positive(config, "query_pre_attn_scalar", kHeadDim));
  spec.attention_softcap = config.number("attn_logit_softcapping").value_or(0.0);
  spec.logit_softcap = config.number("final_logit_softcapping").value_or(0.0);

  nn::RopeSpec global = rope_from_config(config, spec.head_dim);
  if (!config.has("rope_theta")) global.base = 1e6;
  nn::RopeSpec local;  // never scaled
  local.rotary_dim = spec.head_dim;
  local.base = config.number("rope_local_base_freq").value_or(10000.0);
  if (!(local.base > 1)) {
    throw config.problem("rope_local_base_freq", fmt::format("{} is not above 1", local.base));
  }
  spec.ropes = {global, local};
  const std::int64_t pattern = config.integer("sliding_window_pattern").value_or(kPattern);
  const std::int32_t window =
      config.has("sliding_window") ? window_of(config, "sliding_window") : 4096;
  finish(spec, sliding_layers(config, spec.layers.size(), pattern), window);
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  nn::TensorNames& names = spec.names;
  const std::string layer = "blk.{}.";
  names.query_norm = layer + "attn_q_norm";
  names.key_norm = layer + "attn_k_norm";
  names.post_attention_norm = layer + "post_attention_norm";
  names.post_ffn_norm = layer + "post_ffw_norm";
  spec.activation = ops::Activation::kGeluTanh;
  // The 27B model, the only one of 62 layers, scales by hidden / heads instead of the head's size.
  if (spec.layers.size() == 62) {
    spec.attention_scale = 1.0 / std::sqrt(static_cast<double>(spec.hidden_size) / spec.heads);
  }
  spec.logit_softcap = gguf.number("final_logit_softcapping").value_or(0.0);
  nn::RopeSpec local;
  local.rotary_dim = spec.head_dim;
  local.base = gguf.number("rope.freq_base_swa").value_or(10000.0);
  if (!(local.base > 1)) {
    throw gguf.problem("rope.freq_base_swa", fmt::format("{} is not above 1", local.base));
  }
  nn::RopeSpec global = rope_from_gguf(gguf, spec.head_dim);
  if (!gguf.number("rope.freq_base")) global.base = 1e6;
  spec.ropes = {global, local};
  (void)gguf.require_integer("attention.sliding_window");
  const std::int32_t window = window_of(gguf, "attention.sliding_window");
  std::vector<bool> sliding;
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    sliding.push_back((static_cast<std::int64_t>(i) + 1) % kPattern != 0);
  }
  finish(spec, sliding, window);
  return spec;
}

}  // namespace

extern const TextFamily kGemma3;
const TextFamily kGemma3 = {"gemma3", kHfArchitectures, kGgufArchitectures, from_config, from_gguf};

}  // namespace mistral::models
