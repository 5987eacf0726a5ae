// Granite: Llama with factors on embeddings, scores, residual branches and logits.
#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"GraniteForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"granite"};

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config);
  spec.qkv_bias = bias_if(config.boolean("attention_bias").value_or(false));
  spec.output_bias = spec.qkv_bias;
  spec.mlp_bias = bias_if(config.boolean("mlp_bias").value_or(false));
  spec.activation = activation_from_config(config, "hidden_act", "silu");
  spec.tied_head = tied_from_config(config, false);
  spec.ropes = {rope_from_config(config, spec.head_dim)};
  spec.embedding_scale = positive(config, "embedding_multiplier", 1.0);
  spec.attention_scale = positive(config, "attention_multiplier", 1.0);
  spec.residual_scale = positive(config, "residual_multiplier", 1.0);
  spec.logit_scale = 1.0 / positive(config, "logits_scaling", 1.0);
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  nn::RopeSpec rope = rope_from_gguf(gguf, rotary_dim(gguf, spec.head_dim));
  rope.interleaved = true;  // rows of q and k are stored permuted for adjacent pairs
  spec.ropes = {rope};
  // 0 stands for a factor that the model does not have.
  const auto factor = [&](std::string_view key, double fallback) {
    return gguf.number(key).value_or(0.0) == 0.0 ? fallback : positive(gguf, key, fallback);
  };
  spec.embedding_scale = factor("embedding_scale", 1.0);
  spec.attention_scale = factor("attention.scale", spec.attention_scale);
  spec.residual_scale = factor("residual_scale", 1.0);
  spec.logit_scale = 1.0 / factor("logit_scale", 1.0);
  return spec;
}

}  // namespace

extern const TextFamily kGranite;
const TextFamily kGranite = {"granite", kHfArchitectures, kGgufArchitectures, from_config,
                             from_gguf};

}  // namespace mistral::models
