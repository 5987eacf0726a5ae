// Qwen 2 and 2.5: biases on q, k and v; windows only when switched on, and only in upper layers.
#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"Qwen2ForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"qwen2"};

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config);
  spec.qkv_bias = nn::DecoderSpec::Bias::kYes;
  spec.activation = activation_from_config(config, "hidden_act", "silu");
  spec.tied_head = config.boolean("tie_word_embeddings").value_or(false)
                       ? nn::DecoderSpec::Tied::kYes
                       : nn::DecoderSpec::Tied::kNo;
  spec.ropes = {rope_from_config(config, spec.head_dim)};

  const auto window = config.integer("sliding_window");
  if (config.boolean("use_sliding_window").value_or(false) && window) {
    if (*window < 1 || *window > (std::int64_t{1} << 30)) {
      throw config.problem("sliding_window", fmt::format("{} is not a window", *window));
    }
    const std::int64_t first = config.integer("max_window_layers").value_or(28);
    std::vector<bool> sliding;
    if (config.has("layer_types")) sliding = sliding_layers(config, spec.layers.size(), 0);
    for (std::size_t i = 0; i < spec.layers.size(); ++i) {
      const bool slides = sliding.empty() ? static_cast<std::int64_t>(i) >= first : sliding[i];
      if (slides) spec.layers[i].window = static_cast<std::int32_t>(*window);
    }
  }
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  spec.qkv_bias = nn::DecoderSpec::Bias::kYes;
  spec.ropes = {rope_from_gguf(gguf, spec.head_dim)};
  return spec;
}

}  // namespace

const TextFamily kQwen2 = {"qwen2", kHfArchitectures, kGgufArchitectures, from_config, from_gguf};

}  // namespace mistral::models
