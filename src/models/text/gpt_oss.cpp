// gpt-oss: experts with biases and a clamped gate, attention sinks, a window in every other layer,
// yarn over fractions of dims.
#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"GptOssForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"gpt-oss"};
constexpr std::int32_t kHeadDim = 64;  // where the config does not say
constexpr double kGateLimit = 7.0;     // what the activation clamps to

void set_experts(nn::DecoderSpec& spec, nn::MoeSpec moe) {
  spec.activation = ops::Activation::kClampedSwiglu;
  moe.routing.score = ops::RoutingParams::Score::kSelected;
  moe.router_bias = true;
  moe.expert_bias = true;
  spec.moe = std::move(moe);
  for (nn::LayerSpec& layer : spec.layers) layer.experts = true;
}

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config, kHeadDim);
  const std::string layer = "model.layers.{}.";
  spec.names.sinks = layer + "self_attn.sinks";
  spec.qkv_bias = bias_if(config.boolean("attention_bias").value_or(true));
  spec.output_bias = spec.qkv_bias;
  spec.tied_head = tied_from_config(config, false);
  spec.ropes = {rope_from_config(config, spec.head_dim)};
  const std::int32_t window = window_of(config, "sliding_window");
  // Without a list the first of two slides.
  const std::vector<bool> sliding = sliding_layers(config, spec.layers.size(), 2);
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    spec.layers[i].window = sliding[i] ? window : 0;
  }
  if (const double limit = positive(config, "swiglu_limit", kGateLimit); limit != kGateLimit) {
    throw config.problem("swiglu_limit",
                         fmt::format("{} is not supported; expected {}", limit, kGateLimit));
  }
  nn::MoeSpec moe = moe_from_config(
      config, "num_local_experts",
      config.has("num_experts_per_tok") ? "num_experts_per_tok" : "experts_per_token");
  moe.intermediate_size = spec.intermediate_size;
  moe.gate_up_in_turns = true;
  moe.names.router = layer + "mlp.router";
  moe.names.transposed_gate_up = layer + "mlp.experts.gate_up_proj";
  moe.names.transposed_down = layer + "mlp.experts.down_proj";
  moe.names.gate_up_bias = layer + "mlp.experts.gate_up_proj_bias";
  moe.names.down_bias = layer + "mlp.experts.down_proj_bias";
  set_experts(spec, std::move(moe));
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  const std::string layer = "blk.{}.";
  spec.names.sinks = layer + "attn_sinks";
  spec.names.ffn_norm = layer + "post_attention_norm";
  nn::RopeSpec rope = rope_from_gguf(gguf, rotary_dim(gguf, spec.head_dim));
  rope.whole_dims = false;
  spec.ropes = {rope};
  const std::int32_t window = window_of(gguf, "attention.sliding_window");
  for (std::size_t i = 0; i < spec.layers.size(); i += 2) spec.layers[i].window = window;
  nn::MoeSpec moe = moe_from_gguf(gguf, spec.intermediate_size);
  moe.names.down_bias = layer + "ffn_down_exps.bias";
  set_experts(spec, std::move(moe));
  return spec;
}

}  // namespace

extern const TextFamily kGptOss;
const TextFamily kGptOss = {"gpt_oss", kHfArchitectures, kGgufArchitectures, from_config,
                            from_gguf};

}  // namespace mistral::models
