// Phi 3 and 4: Llama with fused projections, long rope and a sliding window.
#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"Phi3ForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"phi3"};

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config);
  nn::TensorNames& names = spec.names;
  const std::string layer = "model.layers.{}.";
  names.query.clear();
  names.qkv = layer + "self_attn.qkv_proj";
  names.gate_up = layer + "mlp.gate_up_proj";
  spec.activation = activation_from_config(config, "hidden_act", "silu");
  spec.tied_head = tied_from_config(config, false);
  spec.ropes = {
      rope_from_config(config, rotary_dim(config, "partial_rotary_factor", 1.0, spec.head_dim))};
  set_window(spec, window_of(config, "sliding_window"));
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  spec.names.gate_up = spec.names.up;  // "ffn_up" holds both
  spec.ropes = {rope_from_gguf(gguf, rotary_dim(gguf, spec.head_dim))};
  set_window(spec, window_of(gguf, "attention.sliding_window"));
  return spec;
}

}  // namespace

extern const TextFamily kPhi3;
const TextFamily kPhi3 = {"phi3", kHfArchitectures, kGgufArchitectures, from_config, from_gguf};

}  // namespace mistral::models
