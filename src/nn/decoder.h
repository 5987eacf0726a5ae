// The one decoder: runs any text model that a DecoderSpec describes over the paged cache.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/page_buffer.h"
#include "nn/decoder_spec.h"
#include "nn/decoder_weights.h"
#include "nn/kv_cache.h"
#include "nn/sequence_model.h"
#include "ops/activation_buffer.h"

namespace mistral::nn {

[[nodiscard]] inline std::size_t float_bytes(std::int64_t rows, std::int64_t cols) {
  return static_cast<std::size_t>(rows * cols) * sizeof(float);
}

struct DecoderOptions {
  std::int32_t context_length = 0;  // most positions of a sequence
  std::int32_t max_batch_rows = 512;
  std::int32_t block_size = 32;
  ops::CacheDType cache_dtype = ops::CacheDType::kF32;
  std::int64_t cache_bytes = 0;
};

class Decoder final : public SequenceModel {
 public:
  // `backend` must outlive the decoder.
  Decoder(DecoderSpec spec, DecoderWeights weights, ops::Backend& backend, DecoderOptions options);

  [[nodiscard]] const DecoderSpec& spec() const { return spec_; }
  [[nodiscard]] std::uint64_t weight_bytes() const { return memory_bytes(weights_); }
  // Memory of the buffers between the layers, the backend's and the tables of positions.
  [[nodiscard]] std::uint64_t activation_bytes() const;
  // What that grows to with steps of `rows` rows and tables of `positions`, when matrices want
  // their inputs in the forms of `forms`; more where not every matrix wants all of them. Throws
  // Error when it is beyond any machine.
  [[nodiscard]] static std::uint64_t activation_bytes(const DecoderSpec& spec, std::int64_t rows,
                                                      std::int64_t positions, unsigned forms);

  [[nodiscard]] std::int32_t vocab_size() const override {
    return static_cast<std::int32_t>(spec_.vocab_size);
  }
  [[nodiscard]] std::int32_t context_length() const override { return options_.context_length; }
  [[nodiscard]] std::int32_t max_batch_rows() const override { return options_.max_batch_rows; }
  [[nodiscard]] std::int32_t block_size() const override { return options_.block_size; }
  [[nodiscard]] std::span<const CacheGroup> cache_groups() const override {
    return cache_.groups();
  }
  [[nodiscard]] std::int64_t cache_bytes() const override { return cache_.bytes(); }
  [[nodiscard]] std::int64_t rope_key(std::int32_t rope_length) const override;

  void forward(const Batch& batch, std::span<float> logits) override { forward(batch, logits, {}); }
  [[nodiscard]] std::int32_t hidden_size() const override {
    return static_cast<std::int32_t>(spec_.hidden_size);
  }
  void forward(const Batch& batch, std::span<float> logits, std::span<float> states) override;

 private:
  using Layer = DecoderWeights::Layer;

  [[nodiscard]] ops::Rows rows_of(const PageBuffer& memory, std::int64_t rows,
                                  std::int64_t cols) const {
    return {memory.as<float>(), rows, cols, cols};
  }
  void prepare_sequences(const Batch& batch);
  // Buffers are reserved once, for max_batch_rows.
  // `norm` of the rows, or the rows themselves when it is not present, in the forms of `forms`.
  [[nodiscard]] ops::Activations normalise(const Norm& norm, ops::ConstRows rows,
                                           ops::ActivationBuffer& buffer, unsigned forms);

  // decoder_attention.cpp
  void reserve_attention();
  // Projections and attention of layer `index`, up to the output matrix. `wanted`: the rows whose
  // result is needed, when these are not all; then only they come out, and stand in front in
  // `hidden`, whose other rows are dropped.
  [[nodiscard]] ops::Activations attention(const Layer& layer, std::size_t index, ops::Rows& hidden,
                                           const std::vector<std::int32_t>* wanted);
  // Queries, and keys and values into the cache; what attention() begins with.
  [[nodiscard]] ops::Rows project(const Layer& layer, std::size_t index, ops::ConstRows hidden);
  [[nodiscard]] ops::Rows project_latent(const Layer& layer, std::size_t index,
                                         ops::ConstRows hidden);
  [[nodiscard]] ops::CacheWriteParams cache_write(const Layer& layer, std::size_t index) const;

  // decoder_ffn.cpp
  void reserve_ffn();
  // An MLP up to its down matrix; the result lies in `buffer`.
  [[nodiscard]] ops::Activations mlp(const MlpWeights& weights, const ops::Activations& in,
                                     ops::ActivationBuffer& buffer);
  void ffn(const Layer& layer, ops::Rows hidden);
  // out += mixture of experts of `in`, with or without the shared one.
  void experts(const MoeWeights& weights, const ops::Activations& in, ops::Rows out);

  // hidden += norm(linear(in)), or hidden += linear(in) when there is no norm.
  void add_to_residual(const ops::Activations& in, const Linear& linear, const Norm& norm,
                       ops::Rows hidden);
  void compute_logits(ops::Rows hidden, std::span<float> logits);
  // Writes the normed states of batch.hidden_rows and leaves the rows with logits in front of
  // `hidden`, whose rows are those of `wanted_`.
  void take_states(const Batch& batch, ops::Rows& hidden, std::span<float> states);

  DecoderSpec spec_;
  DecoderWeights weights_;
  ops::Backend& backend_;
  DecoderOptions options_;
  KvCache cache_;
  std::vector<RopeRows> ropes_;

  PageBuffer hidden_;  // the residual stream
  PageBuffer branch_;  // output of a block before its norm
  ops::ActivationBuffer normed_;

  PageBuffer query_;
  PageBuffer key_;
  PageBuffer value_;
  ops::ActivationBuffer attended_;
  std::vector<float> query_scales_;  // [rows], when the model has query scaling
  // Latent attention.
  PageBuffer query_down_;
  ops::ActivationBuffer query_down_normed_;
  PageBuffer latent_query_;
  ops::ActivationBuffer latent_attended_;

  ops::ActivationBuffer gated_;
  ops::ActivationBuffer shared_gated_;
  PageBuffer router_logits_;
  std::vector<std::int32_t> chosen_;
  std::vector<float> chosen_weights_;

  std::vector<std::int32_t> wanted_;  // rows with logits or states, when some want states

  // Per cache group the step's sequences, reused.
  std::vector<std::vector<ops::AttentionSequence>> sequences_;
};

}  // namespace mistral::nn
