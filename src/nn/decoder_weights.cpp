#include <fmt/format.h>

#include "core/error.h"
#include "nn/decoder.h"

namespace mistral::nn {
namespace {

class Reader {
 public:
  Reader(const DecoderSpec& spec, WeightLoader& loader) : spec_(spec), loader_(loader) {}

  Linear linear(const std::string& name, std::int64_t out, std::int64_t in,
                DecoderSpec::Bias bias) {
    Linear result;
    result.weight = loader_.matrix(name + ".weight", out, in);
    const std::string bias_name = name + ".bias";
    if (bias == DecoderSpec::Bias::kYes ||
        (bias == DecoderSpec::Bias::kOptional && loader_.has(bias_name))) {
      result.bias = loader_.vector(bias_name, out);
    }
    return result;
  }

  Norm norm(const std::string& name, std::int64_t size) {
    Norm result{spec_.norm_kind, static_cast<float>(spec_.norm_epsilon), {}, {}};
    if (name.empty()) return result;
    result.weight = loader_.vector(name + ".weight", size, spec_.norm_weight_offset);
    if (spec_.norm_kind == ops::NormParams::Kind::kLayer && loader_.has(name + ".bias")) {
      result.bias = loader_.vector(name + ".bias", size);
    }
    return result;
  }

 private:
  const DecoderSpec& spec_;
  WeightLoader& loader_;
};

std::string layer_name(const std::string& pattern, std::size_t layer) {
  return pattern.empty() ? pattern : fmt::format(fmt::runtime(pattern), layer);
}

}  // namespace

void complete_spec(DecoderSpec& spec, const WeightLoader& loader) {
  if (spec.vocab_size == 0) {
    spec.vocab_size = loader.matrix_info(spec.names.embedding + ".weight").view.shape[0];
  }
}

DecoderWeights load_weights(const DecoderSpec& spec, WeightLoader& loader) {
  Reader reader(spec, loader);
  const TensorNames& names = spec.names;
  DecoderWeights weights;
  // The largest matrices first, so that their mapped source is gone before the rest is resident.
  const std::string embedding = names.embedding + ".weight";
  weights.embedding.weight = loader.matrix(embedding, spec.vocab_size, spec.hidden_size);
  const bool tied =
      spec.tied_head == DecoderSpec::Tied::kYes ||
      (spec.tied_head == DecoderSpec::Tied::kOptional && !loader.has(names.head + ".weight"));
  weights.head =
      tied ? weights.embedding
           : reader.linear(names.head, spec.vocab_size, spec.hidden_size, DecoderSpec::Bias::kNo);
  weights.final_norm = reader.norm(names.final_norm, spec.hidden_size);

  const std::int64_t query_size = static_cast<std::int64_t>(spec.heads) * spec.head_dim;
  const std::int64_t key_size = static_cast<std::int64_t>(spec.kv_heads) * spec.head_dim;
  const std::int64_t value_size = static_cast<std::int64_t>(spec.kv_heads) * spec.value_dim;
  const std::int64_t attended_size = static_cast<std::int64_t>(spec.heads) * spec.value_dim;
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const auto name = [&](const std::string& pattern) { return layer_name(pattern, i); };
    DecoderWeights::Layer layer;
    layer.attention_norm = reader.norm(name(names.attention_norm), spec.hidden_size);
    layer.query = reader.linear(name(names.query), query_size, spec.hidden_size, spec.qkv_bias);
    layer.key = reader.linear(name(names.key), key_size, spec.hidden_size, spec.qkv_bias);
    layer.value = reader.linear(name(names.value), value_size, spec.hidden_size, spec.qkv_bias);
    layer.output =
        reader.linear(name(names.output), spec.hidden_size, attended_size, spec.output_bias);
    layer.query_norm = reader.norm(name(names.query_norm), spec.head_dim);
    layer.key_norm = reader.norm(name(names.key_norm), spec.head_dim);
    layer.post_attention_norm = reader.norm(name(names.post_attention_norm), spec.hidden_size);
    layer.ffn_norm = reader.norm(name(names.ffn_norm), spec.hidden_size);
    layer.gate =
        reader.linear(name(names.gate), spec.intermediate_size, spec.hidden_size, spec.mlp_bias);
    layer.up =
        reader.linear(name(names.up), spec.intermediate_size, spec.hidden_size, spec.mlp_bias);
    layer.down =
        reader.linear(name(names.down), spec.hidden_size, spec.intermediate_size, spec.mlp_bias);
    layer.post_ffn_norm = reader.norm(name(names.post_ffn_norm), spec.hidden_size);
    weights.layers.push_back(std::move(layer));
  }
  return weights;
}

}  // namespace mistral::nn
