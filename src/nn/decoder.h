// The one decoder: runs any text model that a DecoderSpec describes over the paged cache.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/page_buffer.h"
#include "nn/decoder_spec.h"
#include "nn/kv_cache.h"
#include "nn/linear.h"
#include "nn/sequence_model.h"
#include "nn/weight_loader.h"

namespace mistral::nn {

// The weights of a decoder, as the names of a DecoderSpec find them.
struct DecoderWeights {
  struct Layer {
    Norm attention_norm;
    Linear query;
    Linear key;
    Linear value;
    Linear output;
    Norm query_norm;
    Norm key_norm;
    Norm post_attention_norm;
    Norm ffn_norm;
    Linear gate;
    Linear up;
    Linear down;
    Norm post_ffn_norm;
  };
  Linear embedding;
  std::vector<Layer> layers;
  Norm final_norm;
  Linear head;
};

// Sets what only the weights tell: spec.vocab_size, when it is 0. Throws Error.
void complete_spec(DecoderSpec& spec, const WeightLoader& loader);
// Reads everything that the completed `spec` names, or only checks it when the loader has no
// backend. Throws Error.
[[nodiscard]] DecoderWeights load_weights(const DecoderSpec& spec, WeightLoader& loader);

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

  void forward(const Batch& batch, std::span<float> logits) override;

 private:
  // Buffers for the rows of a step, reserved once for max_batch_rows.
  class ActivationBuffer {
   public:
    ActivationBuffer() = default;
    ActivationBuffer(std::int64_t max_rows, std::int64_t cols, unsigned forms);
    [[nodiscard]] ops::Activations view(std::int64_t rows, unsigned forms) const;

   private:
    std::int64_t cols_ = 0;
    ops::Activations full_;
    PageBuffer memory_;
  };
  [[nodiscard]] ops::Rows rows_of(const PageBuffer& memory, std::int64_t rows,
                                  std::int64_t cols) const {
    return {memory.as<float>(), rows, cols, cols};
  }
  void prepare_sequences(const Batch& batch);
  // Returns the rows that go on: all, or those in `wanted`, moved to the front, when it is given.
  [[nodiscard]] ops::Rows attention_block(const DecoderWeights::Layer& layer, std::size_t index,
                                          ops::Rows hidden,
                                          const std::vector<std::int32_t>* wanted);
  void ffn_block(const DecoderWeights::Layer& layer, ops::Rows hidden);
  // hidden += norm(linear(in)), or hidden += linear(in) when there is no norm.
  void add_to_residual(const ops::Activations& in, const Linear& linear, const Norm& norm,
                       ops::Rows hidden);
  void compute_logits(ops::Rows hidden, std::span<float> logits);

  DecoderSpec spec_;
  DecoderWeights weights_;
  ops::Backend& backend_;
  DecoderOptions options_;
  KvCache cache_;
  std::vector<RopeRows> ropes_;

  PageBuffer hidden_;  // the residual stream
  PageBuffer branch_;  // output of a block before its norm
  PageBuffer query_;
  PageBuffer key_;
  PageBuffer value_;
  ActivationBuffer normed_;
  ActivationBuffer attended_;
  ActivationBuffer gated_;
  // Per cache group the step's sequences, reused.
  std::vector<std::vector<ops::AttentionSequence>> sequences_;
};

}  // namespace mistral::nn
