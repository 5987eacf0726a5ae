// SmolLM 3: Llama in which some layers, every fourth as a rule, do not rotate positions.
#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"SmolLM3ForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"smollm3"};
constexpr std::int64_t kInterval = 4;
constexpr double kBase = 2e6;  // where the config does not say

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config);
  spec.qkv_bias = bias_if(config.boolean("attention_bias").value_or(false));
  spec.output_bias = spec.qkv_bias;
  spec.mlp_bias = bias_if(config.boolean("mlp_bias").value_or(false));
  spec.activation = activation_from_config(config, "hidden_act", "silu");
  spec.tied_head = tied_from_config(config, true);
  nn::RopeSpec rope = rope_from_config(config, spec.head_dim);
  if (!config.has("rope_theta") && !config.has("rope_parameters")) rope.base = kBase;
  spec.ropes = {rope};
  set_unrotated_layers(config, kInterval, spec);
  if (!config.boolean("use_sliding_window").value_or(false)) return spec;
  const std::int32_t window = window_of(config, "sliding_window");
  // Without a list the layers that do not rotate are those that slide.
  std::vector<bool> sliding;
  if (config.has("layer_types")) sliding = sliding_layers(config, spec.layers.size(), 0);
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    nn::LayerSpec& layer = spec.layers[i];
    if (sliding.empty() ? layer.rope < 0 : sliding[i]) layer.window = window;
  }
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  nn::RopeSpec rope = rope_from_gguf(gguf, rotary_dim(gguf, spec.head_dim));
  rope.interleaved = true;  // rows of q and k are stored permuted for adjacent pairs
  spec.ropes = {rope};
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    if ((i + 1) % kInterval == 0) spec.layers[i].rope = -1;
  }
  return spec;
}

}  // namespace

extern const TextFamily kSmolLm3;
const TextFamily kSmolLm3 = {"smollm3", kHfArchitectures, kGgufArchitectures, from_config,
                             from_gguf};

}  // namespace mistral::models
