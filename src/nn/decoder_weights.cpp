#include "nn/decoder_weights.h"

#include "core/error.h"
#include "nn/weight_reader.h"

namespace mistral::nn {

void complete_spec(DecoderSpec& spec, const WeightLoader& loader) {
  if (spec.vocab_size == 0) {
    spec.vocab_size = loader.matrix_info(spec.names.embedding + ".weight").view.shape[0];
  }
}

DecoderWeights load_weights(const DecoderSpec& spec, WeightLoader& loader) {
  WeightReader reader(spec, loader);
  const TensorNames& names = spec.names;
  DecoderWeights weights;
  // The largest matrices first, so that their mapped source is gone before the rest is resident.
  const std::string embedding = names.embedding + ".weight";
  weights.embedding.weight = loader.matrix(embedding, spec.vocab_size, spec.hidden_size);
  const bool tied =
      spec.tied_head == DecoderSpec::Tied::kYes ||
      (spec.tied_head == DecoderSpec::Tied::kOptional && !loader.has(names.head + ".weight"));
  weights.head = tied
                     ? weights.embedding
                     : reader.linear(names.head, spec.vocab_size, spec.hidden_size, spec.head_bias);
  weights.final_norm = reader.norm(names.final_norm, spec.hidden_size);
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const auto norm = [&](const std::string& pattern) {
      return reader.norm(layer_name(pattern, i), spec.hidden_size);
    };
    DecoderWeights::Layer layer;
    layer.attention_norm = norm(names.attention_norm);
    if (spec.latent) {
      reader.latent_attention(i, layer);
    } else {
      reader.attention(i, layer);
    }
    layer.post_attention_norm = norm(names.post_attention_norm);
    layer.ffn_norm = norm(names.ffn_norm);
    if (spec.layers[i].experts) {
      reader.moe(i, layer.moe);
    } else {
      reader.mlp(i, layer.mlp);
    }
    layer.post_ffn_norm = norm(names.post_ffn_norm);
    weights.layers.push_back(std::move(layer));
  }
  return weights;
}

}  // namespace mistral::nn
