// Phi 3.5 MoE: LayerNorm and biases, experts that a sparse mixer chooses, long rope.
#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"PhiMoEForCausalLM", "PhimoeForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"phimoe"};
constexpr double kJitter = 0.01;  // of the published model; its GGUF files do not tell

void set_block(nn::DecoderSpec& spec, nn::MoeSpec moe) {
  spec.norm_kind = ops::NormParams::Kind::kLayer;
  moe.routing.score = ops::RoutingParams::Score::kSparseMixer;
  moe.routing.normalize = false;
  spec.moe = std::move(moe);
  for (nn::LayerSpec& layer : spec.layers) layer.experts = true;
}

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config);
  nn::MoeSpec moe = moe_from_config(config, "num_local_experts", "num_experts_per_tok");
  moe.intermediate_size = spec.intermediate_size;
  moe.routing.jitter = static_cast<float>(config.number("router_jitter_noise").value_or(kJitter));
  const std::string block = "model.layers.{}.block_sparse_moe.";
  moe.names.router = block + "gate";
  moe.names.gate = block + "experts.{}.w1";
  moe.names.down = block + "experts.{}.w2";
  moe.names.up = block + "experts.{}.w3";
  set_block(spec, std::move(moe));
  spec.norm_epsilon = config.number("rms_norm_eps").value_or(1e-5);
  spec.qkv_bias = bias_if(config.boolean("attention_bias").value_or(false));
  spec.output_bias = spec.qkv_bias;
  spec.head_bias = bias_if(config.boolean("lm_head_bias").value_or(false));
  spec.activation = activation_from_config(config, "hidden_act", "silu");
  spec.tied_head = tied_from_config(config, false);
  spec.ropes = {rope_from_config(config, spec.head_dim)};
  set_window(spec, window_of(config, "sliding_window"));
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  nn::MoeSpec moe = moe_from_gguf(gguf, spec.intermediate_size);
  moe.routing.jitter = static_cast<float>(kJitter);
  set_block(spec, std::move(moe));
  spec.head_bias = nn::DecoderSpec::Bias::kOptional;
  spec.ropes = {rope_from_gguf(gguf, rotary_dim(gguf, spec.head_dim))};
  set_window(spec, window_of(gguf, "attention.sliding_window"));
  return spec;
}

}  // namespace

extern const TextFamily kPhiMoe;
const TextFamily kPhiMoe = {"phi3.5moe", kHfArchitectures, kGgufArchitectures, from_config,
                            from_gguf};

}  // namespace mistral::models
