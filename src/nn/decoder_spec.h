// What tells one text model from another, as data. A model family turns a Hugging Face config or
// GGUF metadata into this; one Decoder runs it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/rope.h"
#include "ops/ops.h"

namespace mistral::nn {

struct LayerSpec {
  std::int32_t window = 0;  // sliding window; 0: full attention
  std::int32_t rope = 0;    // index into DecoderSpec::ropes; -1: positions are not rotated
};

// Names of a model's tensors without ".weight"; "{}" stands for the layer. An empty name: the model
// has no such tensor.
struct TensorNames {
  std::string embedding;
  std::string final_norm;
  std::string head;
  std::string attention_norm;
  std::string query;
  std::string key;
  std::string value;
  std::string output;
  std::string query_norm;
  std::string key_norm;
  std::string post_attention_norm;  // on the attention's output, before the residual
  std::string ffn_norm;
  std::string gate;
  std::string up;
  std::string down;
  std::string post_ffn_norm;  // on the MLP's output, before the residual
};

struct DecoderSpec {
  std::int64_t vocab_size = 0;  // 0: as many as the embedding has rows
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int32_t heads = 0;
  std::int32_t kv_heads = 0;
  std::int32_t head_dim = 0;   // of queries and keys
  std::int32_t value_dim = 0;  // of values
  std::int32_t context_length = 0;

  std::vector<RopeSpec> ropes;
  std::vector<LayerSpec> layers;

  ops::NormParams::Kind norm_kind = ops::NormParams::Kind::kRms;
  double norm_epsilon = 1e-6;
  float norm_weight_offset = 0.0F;  // added to stored norm weights (1 for gemma's folders)
  ops::Activation activation = ops::Activation::kSilu;
  double attention_scale = 0;    // multiplies the scores
  double attention_softcap = 0;  // 0: none
  double logit_softcap = 0;
  double embedding_scale = 1;

  // Whether linear layers have biases. kOptional: taken when the file has them (GGUF).
  enum class Bias { kNo, kYes, kOptional };
  Bias qkv_bias = Bias::kNo;
  Bias output_bias = Bias::kNo;
  Bias mlp_bias = Bias::kNo;

  // Whether the head is the embedding. kOptional: when the file has no head (GGUF).
  enum class Tied { kNo, kYes, kOptional };
  Tied tied_head = Tied::kNo;

  TensorNames names;
};

}  // namespace mistral::nn
