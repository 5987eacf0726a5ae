// Qwen 2 and 2.5: biases on q, k and v; windows only when switched on, and only in upper layers.
#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"Qwen2ForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"qwen2"};

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config);
  spec.qkv_bias = bias_if(true);
  spec.activation = activation_from_config(config, "hidden_act", "silu");
  spec.tied_head = tied_from_config(config, false);
  spec.ropes = {rope_from_config(config, spec.head_dim)};
  set_qwen_windows(config, spec);
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  spec.qkv_bias = bias_if(true);
  spec.ropes = {rope_from_gguf(gguf, spec.head_dim)};
  return spec;
}

}  // namespace

extern const TextFamily kQwen2;
const TextFamily kQwen2 = {"qwen2", kHfArchitectures, kGgufArchitectures, from_config, from_gguf};

}  // namespace mistral::models
