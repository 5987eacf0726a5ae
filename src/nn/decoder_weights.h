// The weights of a decoder, as the names of a DecoderSpec find them.
#pragma once

#include <vector>

#include "nn/decoder_spec.h"
#include "nn/linear.h"
#include "nn/weight_loader.h"

namespace mistral::nn {

// gate is empty for an MLP of two matrices.
struct MlpWeights {
  Linear gate;
  Linear up;
  Linear down;
  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(up); }
};

struct MoeWeights {
  Linear router;
  std::vector<float> selection_bias;  // [experts] or empty
  std::vector<MlpWeights> experts;
  std::vector<ops::ExpertWeights> views;  // of `experts`, whose addresses they hold
  MlpWeights shared;
};

struct LatentWeights {
  Linear query_down;  // empty: `query_up` reads the layer's input
  Norm query_down_norm;
  Linear query_up;
  Linear latent;
  Norm latent_norm;
  // Per head: key part of queries -> latent, latent -> value.
  std::vector<std::shared_ptr<const ops::Weight>> key;
  std::vector<std::shared_ptr<const ops::Weight>> value;
  std::vector<const ops::Weight*> key_views;
  std::vector<const ops::Weight*> value_views;
};

struct DecoderWeights {
  struct Layer {
    Norm attention_norm;
    Linear query;  // query, key and value are empty in latent attention
    Linear key;
    Linear value;
    LatentWeights latent;
    Linear output;
    Norm query_norm;
    Norm key_norm;
    std::vector<float> sinks;  // [heads] or empty
    Norm post_attention_norm;
    Norm ffn_norm;
    MlpWeights mlp;  // empty in a layer of experts
    MoeWeights moe;
    Norm post_ffn_norm;
  };
  Linear embedding;
  std::vector<Layer> layers;
  Norm final_norm;
  Linear head;
};

// Memory of all matrices and vectors, those that are shared once.
[[nodiscard]] std::uint64_t memory_bytes(const DecoderWeights& weights);

// Sets what only the weights tell: spec.vocab_size, when it is 0. Throws Error.
void complete_spec(DecoderSpec& spec, const WeightLoader& loader);
// Reads everything that the completed `spec` names, or only checks it when the loader has no
// backend. Throws Error.
[[nodiscard]] DecoderWeights load_weights(const DecoderSpec& spec, WeightLoader& loader);

}  // namespace mistral::nn
