// DeepSeek V2 and V3: latent attention; after some dense layers experts in groups, beside shared
// ones that every token uses.
#include <cmath>

#include "core/error.h"
#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"deepseek2"};

// Sizes of the cache and the scale of scores, once `latent` is known.
void set_latent(nn::DecoderSpec& spec, nn::LatentSpec latent, double scale_factor) {
  spec.attention_scale =
      scale_factor / std::sqrt(static_cast<double>(latent.plain_dim + latent.rope_dim));
  spec.kv_heads = 1;
  spec.head_dim = latent.rank + latent.rope_dim;
  spec.value_dim = latent.rank;
  spec.latent = std::move(latent);
}

// Experts from layer `dense` on, in every `step`-th.
void set_experts(nn::DecoderSpec& spec, std::int64_t dense, std::int64_t step) {
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    spec.layers[i].experts = index >= dense && index % step == 0;
  }
}

// By these the groups of experts are told apart: the sum of the two best (V3) or the best (V2).
void set_groups(ops::RoutingParams& routing, std::int64_t groups, std::int64_t used) {
  routing.groups = static_cast<std::int32_t>(groups);
  routing.used_groups = static_cast<std::int32_t>(used);
  routing.group_score = routing.score == ops::RoutingParams::Score::kSigmoid
                            ? ops::RoutingParams::GroupScore::kTwoBest
                            : ops::RoutingParams::GroupScore::kBest;
}

nn::MoeSpec experts_from_config(const Config& config, bool v3) {
  nn::MoeSpec moe = moe_from_config(config, "n_routed_experts", "num_experts_per_tok");
  moe.intermediate_size = size_of(config, "moe_intermediate_size");
  moe.shared_intermediate_size =
      moe.intermediate_size * integer_in(config, "n_shared_experts", v3 ? 1 : 2, 0, 64);
  const std::string score = config.string("scoring_func").value_or(v3 ? "sigmoid" : "softmax");
  if (score != "sigmoid" && score != "softmax") {
    throw config.problem("scoring_func",
                         fmt::format("'{}' is not known; expected softmax or sigmoid", score));
  }
  moe.routing.score = score == "sigmoid" ? ops::RoutingParams::Score::kSigmoid
                                         : ops::RoutingParams::Score::kSoftmax;
  moe.routing.scale = static_cast<float>(positive(config, "routed_scaling_factor", v3 ? 2.5 : 1.0));
  moe.routing.normalize = v3 && config.boolean("norm_topk_prob").value_or(true);
  const std::string method = config.string("topk_method").value_or(v3 ? "noaux_tc" : "greedy");
  if (method != "greedy" && method != "group_limited_greedy" && method != "noaux_tc") {
    throw config.problem("topk_method",
                         fmt::format("'{}' is not known; expected greedy, group_limited_greedy or "
                                     "noaux_tc",
                                     method));
  }
  if (method != "greedy") {
    const std::int64_t groups = integer_in(config, "n_group", v3 ? 8 : 1, 1, moe.experts);
    set_groups(moe.routing, groups, integer_in(config, "topk_group", v3 ? 4 : 1, 1, groups));
  }
  const std::string block = "model.layers.{}.mlp.";
  moe.names.router = block + "gate";
  if (method == "noaux_tc") moe.names.selection_bias = block + "gate.e_score_correction_bias";
  moe.names.gate = block + "experts.{}.gate_proj";
  moe.names.up = block + "experts.{}.up_proj";
  moe.names.down = block + "experts.{}.down_proj";
  moe.names.shared_gate = block + "shared_experts.gate_proj";
  moe.names.shared_up = block + "shared_experts.up_proj";
  moe.names.shared_down = block + "shared_experts.down_proj";
  return moe;
}

nn::DecoderSpec from_config(const Config& config) {
  const bool v3 = config.string("model_type").value_or("deepseek_v3") == "deepseek_v3";
  nn::DecoderSpec spec = common_spec(config);
  nn::LatentSpec latent;
  const auto size = [&](std::string_view key, std::int64_t fallback) {
    return static_cast<std::int32_t>(size_of(config, key, fallback));
  };
  latent.query_rank = config.has("q_lora_rank") ? size("q_lora_rank", 0) : 0;
  latent.rank = size("kv_lora_rank", 512);
  latent.plain_dim = size("qk_nope_head_dim", 128);
  latent.rope_dim = size("qk_rope_head_dim", 64);
  latent.value_dim = size("v_head_dim", 128);
  const std::string attention = "model.layers.{}.self_attn.";
  latent.query_down = attention + "q_a_proj";
  latent.query_down_norm = attention + "q_a_layernorm";
  latent.query_up = attention + (latent.query_rank > 0 ? "q_b_proj" : "q_proj");
  latent.latent = attention + "kv_a_proj_with_mqa";
  latent.latent_norm = attention + "kv_a_layernorm";
  latent.key_value_up = attention + "kv_b_proj";
  spec.qkv_bias = bias_if(config.boolean("attention_bias").value_or(false));
  spec.output_bias = spec.qkv_bias;
  spec.activation = activation_from_config(config, "hidden_act", "silu");
  spec.tied_head = tied_from_config(config, false);

  nn::RopeSpec rope = rope_from_config(config, latent.rope_dim);
  rope.interleaved = config.boolean("rope_interleave").value_or(true);
  double scale_factor = 1.0;
  if (const auto scaling = config.object("rope_scaling");
      scaling && rope.scaling != nn::RopeScaling::kNone) {
    const double mscale =
        nn::yarn_attention_factor(rope.factor, scaling->number("mscale_all_dim").value_or(0.0));
    scale_factor = mscale * mscale;
  }
  spec.ropes = {rope};
  set_latent(spec, latent, scale_factor);
  spec.moe = experts_from_config(config, v3);
  set_experts(spec, integer_in(config, "first_k_dense_replace", v3 ? 3 : 0, 0, 1024),
              integer_in(config, "moe_layer_freq", 1, 1, 1024));
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  // Newer files give the sizes of a head apart from those of the cache.
  const bool absorbed = gguf.integer("attention.key_length_mla").value_or(0) > 0;
  nn::LatentSpec latent;
  latent.rope_dim = static_cast<std::int32_t>(size_of(gguf, "rope.dimension_count"));
  latent.rank = static_cast<std::int32_t>(size_of(gguf, "attention.kv_lora_rank"));
  const std::int64_t key_dim = absorbed ? size_of(gguf, "attention.key_length_mla") : spec.head_dim;
  if (key_dim <= latent.rope_dim) {
    throw gguf.problem("rope.dimension_count",
                       fmt::format("{} leaves nothing of keys of {}", latent.rope_dim, key_dim));
  }
  latent.plain_dim = static_cast<std::int32_t>(key_dim) - latent.rope_dim;
  latent.value_dim = static_cast<std::int32_t>(
      absorbed ? size_of(gguf, "attention.value_length_mla") : spec.value_dim);
  latent.query_rank = static_cast<std::int32_t>(
      integer_in(gguf, "attention.q_lora_rank", 0, 0, std::int64_t{1} << 24));
  const std::string layer = "blk.{}.";
  latent.query_down = layer + "attn_q_a";
  latent.query_down_norm = layer + "attn_q_a_norm";
  latent.query_up = layer + (latent.query_rank > 0 ? "attn_q_b" : "attn_q");
  latent.latent = layer + "attn_kv_a_mqa";
  latent.latent_norm = layer + "attn_kv_a_norm";
  latent.key_value_up = layer + "attn_kv_b";
  latent.key_up = layer + "attn_k_b";
  latent.value_up = layer + "attn_v_b";

  nn::RopeSpec rope = rope_from_gguf(gguf, latent.rope_dim);
  rope.interleaved = true;
  double scale_factor = 1.0;
  if (rope.scaling == nn::RopeScaling::kYarn) {
    // A tenth of the model's mscale_all_dim, to which mscale is equal in all that exist.
    const double log_multiplier = gguf.number("rope.scaling.yarn_log_multiplier").value_or(0.0);
    if (log_multiplier != 0.0) {
      const double mscale = nn::yarn_attention_factor(rope.factor, 10.0 * log_multiplier);
      scale_factor = mscale * mscale;
      rope.attention_factor = 1.0;
    }
  }
  spec.ropes = {rope};
  set_latent(spec, latent, scale_factor);

  nn::MoeSpec moe = moe_from_gguf(gguf, spec.intermediate_size);
  moe.shared_intermediate_size =
      moe.intermediate_size * integer_in(gguf, "expert_shared_count", 0, 0, 64);
  const std::int64_t gating = integer_in(gguf, "expert_gating_func", 1, 0, 2);
  moe.routing.score =
      gating == 2 ? ops::RoutingParams::Score::kSigmoid : ops::RoutingParams::Score::kSoftmax;
  moe.routing.normalize = gguf.boolean("expert_weights_norm").value_or(false);
  const double scale = gguf.number("expert_weights_scale").value_or(0.0);
  moe.routing.scale = scale == 0.0 ? 1.0F : static_cast<float>(scale);
  const std::int64_t groups = integer_in(gguf, "expert_group_count", 1, 0, moe.experts);
  if (groups > 1) {
    set_groups(moe.routing, groups, integer_in(gguf, "expert_group_used_count", groups, 1, groups));
  }
  moe.names.selection_bias = layer + "exp_probs_b.bias";
  spec.moe = moe;
  set_experts(spec, integer_in(gguf, "leading_dense_block_count", 0, 0, 1024), 1);
  return spec;
}

}  // namespace

extern const TextFamily kDeepseek;
const TextFamily kDeepseek = {"deepseek", kHfArchitectures, kGgufArchitectures, from_config,
                              from_gguf};

}  // namespace mistral::models
