// Mistral: Llama with a sliding window. Its GGUF files say "llama".
#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"MistralForCausalLM"};

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config);
  spec.activation = activation_from_config(config, "hidden_act", "silu");
  spec.tied_head = tied_from_config(config, false);
  spec.ropes = {rope_from_config(config, spec.head_dim)};
  set_window(spec, window_of(config, "sliding_window"));
  return spec;
}

}  // namespace

extern const TextFamily kMistral;
const TextFamily kMistral = {"mistral", kHfArchitectures, {}, from_config, nullptr};

}  // namespace mistral::models
