// Mixtral: Mistral with a mixture of experts in every layer. Its GGUF files say "llama".
#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"MixtralForCausalLM"};

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config);
  spec.activation = activation_from_config(config, "hidden_act", "silu");
  spec.tied_head = tied_from_config(config, false);
  spec.ropes = {rope_from_config(config, spec.head_dim)};
  set_window(spec, window_of(config, "sliding_window"));

  nn::MoeSpec moe = moe_from_config(config, "num_local_experts", "num_experts_per_tok");
  moe.routing.normalize = true;
  moe.intermediate_size = spec.intermediate_size;
  const std::string block = "model.layers.{}.block_sparse_moe.";
  moe.names.router = block + "gate";
  moe.names.gate = block + "experts.{}.w1";
  moe.names.down = block + "experts.{}.w2";
  moe.names.up = block + "experts.{}.w3";
  spec.moe = moe;
  for (nn::LayerSpec& layer : spec.layers) layer.experts = true;
  return spec;
}

}  // namespace

extern const TextFamily kMixtral;
const TextFamily kMixtral = {"mixtral", kHfArchitectures, {}, from_config, nullptr};

}  // namespace mistral::models
