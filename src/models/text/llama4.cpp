// Llama 4 (text): most layers attend within chunks, rotate positions and normalise q and k; the
// others see everything, do not rotate, and scale queries by their position. Experts that the
// router's weight enters before, beside a shared one.
#include <algorithm>

#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"Llama4ForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"llama4"};
constexpr std::int32_t kHeadDim = 128;  // where the config does not say
constexpr std::int64_t kInterval = 4;   // every fourth layer sees everything
constexpr std::int32_t kChunk = 8192;   // no GGUF key tells these three
constexpr double kScalingFloor = 8192;
constexpr double kScaling = 0.1;
constexpr std::int32_t kExpertsOfMaverick = 128;  // which does not normalise q and k

void set_experts(nn::DecoderSpec& spec, nn::MoeSpec moe) {
  moe.routing.score = ops::RoutingParams::Score::kSigmoid;
  moe.routing.normalize = false;
  moe.scale_input = true;
  moe.shared_intermediate_size = moe.intermediate_size;
  spec.moe = std::move(moe);
}

// Layers that rotate attend in chunks; the others scale their queries.
void set_layers(nn::DecoderSpec& spec, std::int32_t chunk, bool scale_queries) {
  for (nn::LayerSpec& layer : spec.layers) {
    if (layer.rope >= 0) {
      layer.chunk = chunk;
    } else {
      layer.scale_queries = scale_queries;
    }
  }
}

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config, kHeadDim);
  const std::int64_t expert_size = spec.intermediate_size;
  spec.intermediate_size = size_of(config, "intermediate_size_mlp");
  const std::string block = "model.layers.{}.feed_forward.";
  spec.names.gate = block + "gate_proj";
  spec.names.up = block + "up_proj";
  spec.names.down = block + "down_proj";
  spec.qkv_bias = bias_if(config.boolean("attention_bias").value_or(false));
  spec.output_bias = spec.qkv_bias;
  spec.norm_epsilon = config.number("rms_norm_eps").value_or(1e-5);
  spec.activation = activation_from_config(config, "hidden_act", "silu");
  spec.tied_head = tied_from_config(config, false);
  nn::RopeSpec rope = rope_from_config(config, spec.head_dim);
  rope.interleaved = true;
  if (!config.has("rope_theta") && !config.has("rope_parameters")) rope.base = 500000.0;
  spec.ropes = {rope};
  if (config.boolean("use_qk_norm").value_or(true)) {
    spec.query_key_norm = nn::DecoderSpec::QueryKeyNorm::kUnweighted;
  }
  set_unrotated_layers(config, kInterval, spec);
  // 4.0 writes a number here.
  const bool tuned = config.flag("attn_temperature_tuning").value_or(true);
  if (tuned) {
    spec.query_scaling = nn::QueryScaling{positive(config, "attn_scale", kScaling),
                                          positive(config, "floor_scale", kScalingFloor)};
  }
  set_layers(spec,
             static_cast<std::int32_t>(
                 integer_in(config, "attention_chunk_size", kChunk, 1, std::int64_t{1} << 30)),
             tuned);

  nn::MoeSpec moe = moe_from_config(config, "num_local_experts", "num_experts_per_tok");
  moe.intermediate_size = expert_size;
  moe.names.router = block + "router";
  moe.names.transposed_gate_up = block + "experts.gate_up_proj";
  moe.names.transposed_down = block + "experts.down_proj";
  moe.names.shared_gate = block + "shared_expert.gate_proj";
  moe.names.shared_up = block + "shared_expert.up_proj";
  moe.names.shared_down = block + "shared_expert.down_proj";
  set_experts(spec, std::move(moe));
  const std::vector<std::int64_t> listed = config.integers("moe_layers");
  const std::int64_t step = integer_in(config, "interleave_moe_layer_step", 1, 1, 1 << 20);
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    spec.layers[i].experts = config.has("moe_layers")
                                 ? std::find(listed.begin(), listed.end(), index) != listed.end()
                                 : (index + 1) % step == 0;
  }
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  nn::RopeSpec rope = rope_from_gguf(gguf, rotary_dim(gguf, spec.head_dim));
  rope.interleaved = true;
  spec.ropes = {rope};
  nn::MoeSpec moe = moe_from_gguf(gguf, spec.intermediate_size);
  if (moe.experts != kExpertsOfMaverick) {
    spec.query_key_norm = nn::DecoderSpec::QueryKeyNorm::kUnweighted;
  }
  set_experts(spec, std::move(moe));
  const std::int64_t step =
      integer_in(gguf, "interleave_moe_layer_step", std::nullopt, 0, std::int64_t{1} << 20);
  // A window of 0 stands for a model without chunks, all of whose layers rotate.
  const bool chunks = gguf.integer("attention.sliding_window").value_or(kChunk) != 0;
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const auto number = static_cast<std::int64_t>(i) + 1;
    spec.layers[i].experts = step > 0 && number % step == 0;
    if (chunks && number % kInterval == 0) spec.layers[i].rope = -1;
  }
  if (chunks) {
    spec.query_scaling = nn::QueryScaling{kScaling, kScalingFloor};
    set_layers(spec, kChunk, true);
  }
  return spec;
}

}  // namespace

extern const TextFamily kLlama4;
const TextFamily kLlama4 = {"llama4", kHfArchitectures, kGgufArchitectures, from_config, from_gguf};

}  // namespace mistral::models
