// Qwen 3 MoE: Qwen 3 with experts in all layers or in some.
#include <algorithm>

#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"Qwen3MoeForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"qwen3moe"};

nn::DecoderSpec from_config(const Config& config) {
  nn::DecoderSpec spec = common_spec(config);
  spec.names.query_norm = "model.layers.{}.self_attn.q_norm";
  spec.names.key_norm = "model.layers.{}.self_attn.k_norm";
  spec.qkv_bias = bias_if(config.boolean("attention_bias").value_or(false));
  spec.output_bias = spec.qkv_bias;
  spec.activation = activation_from_config(config, "hidden_act", "silu");
  spec.tied_head = tied_from_config(config, false);
  spec.ropes = {rope_from_config(config, spec.head_dim)};
  set_qwen_windows(config, spec);

  nn::MoeSpec moe = moe_from_config(config, "num_experts", "num_experts_per_tok");
  moe.intermediate_size = size_of(config, "moe_intermediate_size");
  moe.routing.normalize = config.boolean("norm_topk_prob").value_or(false);
  const std::string block = "model.layers.{}.mlp.";
  moe.names.router = block + "gate";
  moe.names.gate = block + "experts.{}.gate_proj";
  moe.names.up = block + "experts.{}.up_proj";
  moe.names.down = block + "experts.{}.down_proj";
  spec.moe = moe;
  const std::int64_t step = integer_in(config, "decoder_sparse_step", 1, 1, 1 << 20);
  const std::vector<std::int64_t> dense = config.integers("mlp_only_layers");
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    spec.layers[i].experts =
        (index + 1) % step == 0 && std::find(dense.begin(), dense.end(), index) == dense.end();
  }
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  spec.names.query_norm = "blk.{}.attn_q_norm";
  spec.names.key_norm = "blk.{}.attn_k_norm";
  spec.ropes = {rope_from_gguf(gguf, spec.head_dim)};
  const std::int64_t used = gguf.integer("expert_used_count").value_or(1);
  spec.moe = moe_from_gguf(gguf, spec.intermediate_size / std::max<std::int64_t>(used, 1));
  for (nn::LayerSpec& layer : spec.layers) layer.experts = true;
  return spec;
}

}  // namespace

extern const TextFamily kQwen3Moe;
const TextFamily kQwen3Moe = {"qwen3_moe", kHfArchitectures, kGgufArchitectures, from_config,
                              from_gguf};

}  // namespace mistral::models
