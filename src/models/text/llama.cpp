// Llama 1 to 3 and everything that shares its layout (SmolLM, TinyLlama, …); in GGUF files Mistral
// too.
#include "core/error.h"
#include "models/text/family.h"

namespace mistral::models {
namespace {

constexpr std::string_view kHfArchitectures[] = {"LlamaForCausalLM"};
constexpr std::string_view kGgufArchitectures[] = {"llama"};

nn::DecoderSpec from_config(const Config& config) {
  using Bias = nn::DecoderSpec::Bias;
  nn::DecoderSpec spec = common_spec(config);
  const bool attention_bias = config.boolean("attention_bias").value_or(false);
  spec.qkv_bias = attention_bias ? Bias::kYes : Bias::kNo;
  spec.output_bias = spec.qkv_bias;
  spec.mlp_bias = config.boolean("mlp_bias").value_or(false) ? Bias::kYes : Bias::kNo;
  spec.activation = activation_from_config(config, "hidden_act", "silu");
  spec.tied_head = config.boolean("tie_word_embeddings").value_or(false)
                       ? nn::DecoderSpec::Tied::kYes
                       : nn::DecoderSpec::Tied::kNo;
  spec.ropes = {rope_from_config(config, spec.head_dim)};
  return spec;
}

nn::DecoderSpec from_gguf(const GgufParameters& gguf) {
  nn::DecoderSpec spec = common_spec(gguf);
  if (const auto experts = gguf.integer("expert_count").value_or(0); experts > 0) {
    throw make_error(ErrorKind::kUnsupported,
                     "{}: a mixture of {} experts; expected a model without experts", gguf.file(),
                     experts);
  }
  const std::int64_t rotary = gguf.integer("rope.dimension_count").value_or(spec.head_dim);
  if (rotary < 2 || rotary > spec.head_dim) {
    throw gguf.problem("rope.dimension_count",
                       fmt::format("{} is outside 2 to {}", rotary, spec.head_dim));
  }
  nn::RopeSpec rope = rope_from_gguf(gguf, static_cast<std::int32_t>(rotary));
  rope.interleaved = true;  // rows of q and k are stored permuted for adjacent pairs
  spec.ropes = {rope};
  return spec;
}

}  // namespace

const TextFamily kLlama = {"llama", kHfArchitectures, kGgufArchitectures, from_config, from_gguf};

}  // namespace mistral::models
