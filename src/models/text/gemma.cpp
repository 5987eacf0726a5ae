// Gemma: norms of weight + 1, embeddings scaled by sqrt(hidden), the head is the embedding.
#include <cmath>

#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"GemmaForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"gemma"};
constexpr std::int32_t kHeadDim = 256;  // where the config does not say

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config, kHeadDim);
  spec.norm_weight_offset = 1.0F;
  spec.qkv_bias = bias_if(config.boolean("attention_bias").value_or(false));
  spec.output_bias = spec.qkv_bias;
  spec.activation = activation_from_config(
      config, config.has("hidden_act") ? "hidden_act" : "hidden_activation", "gelu_pytorch_tanh");
  spec.tied_head = tied_from_config(config, true);
  spec.ropes = {rope_from_config(config, spec.head_dim)};
  spec.embedding_scale = std::sqrt(static_cast<double>(spec.hidden_size));
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);  // the weights of norms include the 1
  spec.activation = ops::Activation::kGeluTanh;
  spec.ropes = {rope_from_gguf(gguf, rotary_dim(gguf, spec.head_dim))};
  spec.embedding_scale = std::sqrt(static_cast<double>(spec.hidden_size));
  return spec;
}

}  // namespace

extern const TextFamily kGemma;
const TextFamily kGemma = {"gemma", kHfArchitectures, kGgufArchitectures, from_config, from_gguf};

}  // namespace mistral::models
