// What tells one text model from another, as data. A model family turns a Hugging Face config or
// GGUF metadata into this; one Decoder runs it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nn/rope.h"
#include "ops/ops.h"

namespace mistral::nn {

struct LayerSpec {
  std::int32_t window = 0;     // sliding window; 0: full attention
  std::int32_t chunk = 0;      // attention within chunks of so many positions; 0: across all
  std::int32_t rope = 0;       // index into DecoderSpec::ropes; -1: positions are not rotated
  bool experts = false;        // the MLP is a mixture of experts (DecoderSpec::moe)
  bool scale_queries = false;  // by position (DecoderSpec::query_scaling)
};

// Names of a model's tensors without ".weight"; "{}" stands for the layer. An empty name: the model
// has no such tensor. Where two forms of one thing are named, the file decides.
struct TensorNames {
  std::string embedding;
  std::string final_norm;
  std::string head;
  std::string attention_norm;
  std::string query;
  std::string key;
  std::string value;
  std::string qkv;  // query, key and value in one matrix (DecoderSpec::qkv_layout)
  std::string output;
  std::string query_norm;
  std::string key_norm;
  std::string sinks;                // [heads], without ".weight" in the file
  std::string post_attention_norm;  // on the attention's output, before the residual
  std::string ffn_norm;
  std::string gate;
  std::string up;
  std::string gate_up;  // rows of gate, then those of up
  std::string down;
  std::string post_ffn_norm;  // on the MLP's output, before the residual
};

// Multi-head latent attention (DeepSeek): keys and values are products of one small vector per
// token, which is all that the cache holds. The products are absorbed into queries and outputs.
struct LatentSpec {
  std::int32_t query_rank = 0;  // queries come through a vector of this size; 0: directly
  std::int32_t rank = 0;        // of keys and values
  std::int32_t plain_dim = 0;   // dims of a head's key made from the latent vector
  std::int32_t rope_dim = 0;    // dims of a key that rotate and that all heads share
  std::int32_t value_dim = 0;   // of a head
  std::string query_down;
  std::string query_down_norm;
  std::string query_up;
  std::string latent;  // [rank + rope_dim, hidden]
  std::string latent_norm;
  std::string key_value_up;  // [heads * (plain_dim + value_dim), rank], or as two:
  std::string key_up;        // [heads, rank, plain_dim]
  std::string value_up;      // [heads, value_dim, rank]
};

// How the experts of a layer lie in the file. In the separate form a second "{}" stands for the
// expert; the file decides where both are named.
struct MoeNames {
  std::string router;
  std::string selection_bias;                          // whole name, no ".weight"
  std::string gate, up, down;                          // one matrix per expert
  std::string stacked_gate, stacked_up, stacked_down;  // [experts, out, in]
  // [experts, in, out], out of the first being gate and up: their halves, or in turns. Whole names.
  std::string transposed_gate_up, transposed_down;
  std::string gate_up_bias, down_bias;  // [experts, out], whole names
  std::string shared_gate, shared_up, shared_down;
};

struct MoeSpec {
  std::int32_t experts = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t shared_intermediate_size = 0;  // of an expert that every token uses; 0: none
  ops::RoutingParams routing;                 // selection_bias is filled in by the decoder
  bool scale_input = false;                   // see ops::MoeParams
  bool router_bias = false;
  bool expert_bias = false;
  bool gate_up_in_turns = false;  // of transposed_gate_up and its bias
  MoeNames names;
};

// Queries of some layers grow with the logarithm of their position (Llama 4).
struct QueryScaling {
  double scale = 0;
  double floor = 1;  // positions per step
  [[nodiscard]] float at(std::int32_t position) const;
};

struct DecoderSpec {
  std::int64_t vocab_size = 0;  // 0: as many as the embedding has rows
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int32_t heads = 0;
  std::int32_t kv_heads = 0;
  std::int32_t head_dim = 0;   // of queries and keys, as the cache holds them
  std::int32_t value_dim = 0;  // of values, as the cache holds them
  std::int32_t context_length = 0;

  std::vector<RopeSpec> ropes;
  std::vector<LayerSpec> layers;
  std::optional<LatentSpec> latent;
  std::optional<MoeSpec> moe;
  std::optional<QueryScaling> query_scaling;

  ops::NormParams::Kind norm_kind = ops::NormParams::Kind::kRms;
  double norm_epsilon = 1e-6;
  float norm_weight_offset = 0.0F;  // added to stored norm weights (1 for gemma's folders)
  ops::Activation activation = ops::Activation::kSilu;
  double attention_scale = 0;    // multiplies the scores
  double attention_softcap = 0;  // 0: none
  double logit_softcap = 0;
  double embedding_scale = 1;
  double residual_scale = 1;  // multiplies what a block adds to the residual stream
  double logit_scale = 1;
  // Attention and MLP both read the layer's input; the MLP has a norm of its own or shares the
  // attention's.
  bool parallel_residual = false;

  // What norms of queries and keys run over.
  enum class QueryKeyNorm {
    kHead,        // each head, all with the same weights
    kOwnWeights,  // each head with weights of its own
    kAllHeads,    // all heads together
    kUnweighted,  // each head after rotation, without weights, in layers that rotate
  };
  QueryKeyNorm query_key_norm = QueryKeyNorm::kHead;

  enum class QkvLayout {
    kStacked,  // rows of all queries, of all keys, of all values
    kByHead,   // head by head its query, key and value
  };
  QkvLayout qkv_layout = QkvLayout::kStacked;

  // Whether linear layers have biases. kOptional: taken when the file has them (GGUF).
  enum class Bias { kNo, kYes, kOptional };
  Bias qkv_bias = Bias::kNo;
  Bias output_bias = Bias::kNo;
  Bias mlp_bias = Bias::kNo;
  Bias head_bias = Bias::kNo;

  // Whether the head is the embedding. kOptional: when the file has no head (GGUF).
  enum class Tied { kNo, kYes, kOptional };
  Tied tied_head = Tied::kNo;

  TensorNames names;
};

}  // namespace mistral::nn
