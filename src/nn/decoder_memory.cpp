// How much memory a decoder takes: its weights, counted one by one, and the buffers that
// reserve_attention(), reserve_ffn() and the backend make.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <vector>

#include "core/error.h"
#include "core/memory.h"
#include "nn/decoder.h"

namespace mistral::nn {
namespace {

// Matrices and vectors, each matrix once.
class Sum {
 public:
  void add(const std::shared_ptr<const ops::Weight>& weight) {
    if (weight != nullptr && seen_.insert(weight.get()).second) bytes_ += weight->bytes();
  }
  void add(const std::vector<float>& vector) { bytes_ += vector.size() * sizeof(float); }
  void add(const Linear& linear) {
    add(linear.weight);
    add(linear.bias);
  }
  void add(const Norm& norm) {
    add(norm.weight);
    add(norm.bias);
  }
  void add(const MlpWeights& mlp) {
    for (const Linear* linear : {&mlp.gate, &mlp.up, &mlp.down}) add(*linear);
  }
  void add(const LatentWeights& latent) {
    for (const Linear* linear : {&latent.query_down, &latent.query_up, &latent.latent}) {
      add(*linear);
    }
    add(latent.query_down_norm);
    add(latent.latent_norm);
    for (const auto* matrices : {&latent.key, &latent.value}) {
      for (const auto& matrix : *matrices) add(matrix);
    }
  }
  void add(const DecoderWeights::Layer& layer) {
    for (const Norm* norm : {&layer.attention_norm, &layer.query_norm, &layer.key_norm,
                             &layer.post_attention_norm, &layer.ffn_norm, &layer.post_ffn_norm}) {
      add(*norm);
    }
    for (const Linear* linear : {&layer.query, &layer.key, &layer.value, &layer.output}) {
      add(*linear);
    }
    add(layer.latent);
    add(layer.sinks);
    add(layer.mlp);
    add(layer.moe.router);
    add(layer.moe.selection_bias);
    for (const MlpWeights& expert : layer.moe.experts) add(expert);
    add(layer.moe.shared);
  }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  std::set<const ops::Weight*> seen_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

std::uint64_t memory_bytes(const DecoderWeights& weights) {
  Sum sum;
  sum.add(weights.embedding);
  for (const DecoderWeights::Layer& layer : weights.layers) sum.add(layer);
  sum.add(weights.final_norm);
  sum.add(weights.head);
  return sum.bytes();
}

std::uint64_t Decoder::activation_bytes() const {
  std::uint64_t bytes = backend_.workspace_bytes();
  for (const PageBuffer* buffer : {&hidden_, &branch_, &query_, &key_, &value_, &query_down_,
                                   &latent_query_, &router_logits_}) {
    bytes += buffer->size();
  }
  for (const ops::ActivationBuffer* buffer :
       {&normed_, &attended_, &query_down_normed_, &latent_attended_, &gated_, &shared_gated_}) {
    bytes += buffer->bytes();
  }
  bytes += query_scales_.size() * sizeof(float) + chosen_.size() * sizeof(std::int32_t) +
           chosen_weights_.size() * sizeof(float);
  for (const RopeRows& rope : ropes_) bytes += rope.bytes();
  return bytes;
}

std::uint64_t Decoder::activation_bytes(const DecoderSpec& spec, std::int64_t rows,
                                        std::int64_t positions, unsigned forms) {
  if (rows > 1) {
    // What a row takes is rounded up, so that many rows take less than as often as much.
    const std::uint64_t one = activation_bytes(spec, 1, 0, forms);
    if (one > static_cast<std::uint64_t>(kBeyondAnyMachine / rows)) {
      throw make_error(ErrorKind::kInvalidArgument,
                       "steps of {} rows need more memory than any machine has: {} bytes for each",
                       rows, one);
    }
  }
  const auto in_forms = [rows](std::int64_t cols, unsigned wanted) {
    return ops::ActivationBuffer::bytes_for(rows, cols, wanted);
  };
  const std::int64_t heads = spec.heads;
  std::uint64_t bytes = 2 * float_bytes(rows, spec.hidden_size) +
                        in_forms(spec.hidden_size, forms) +
                        float_bytes(rows, std::int64_t{spec.kv_heads} * spec.head_dim) +
                        in_forms(spec.intermediate_size, forms);
  if (spec.query_scaling) bytes += float_bytes(rows, 1);
  for (const RopeSpec& rope : spec.ropes) bytes += RopeRows::bytes_for(rope, rows, positions);
  std::uint64_t gathered = 0;  // the backend's, for heads or experts
  if (spec.latent) {
    const LatentSpec& latent = *spec.latent;
    bytes += float_bytes(rows, heads * (latent.plain_dim + latent.rope_dim)) +
             float_bytes(rows, heads * spec.head_dim) +
             in_forms(heads * latent.rank, ops::kFormF32) +
             in_forms(heads * latent.value_dim, forms);
    if (latent.query_rank > 0) {
      bytes += float_bytes(rows, latent.query_rank) + in_forms(latent.query_rank, forms);
    }
    gathered = ops::ActivationBuffer::bytes_for(rows * heads,
                                                std::max(latent.plain_dim, latent.rank), forms);
  } else {
    bytes += float_bytes(rows, heads * spec.head_dim) +
             float_bytes(rows, std::int64_t{spec.kv_heads} * spec.value_dim) +
             in_forms(heads * spec.value_dim, forms);
  }
  if (spec.moe) {
    const MoeSpec& moe = *spec.moe;
    const std::int64_t pairs = rows * moe.routing.used;
    bytes += in_forms(moe.shared_intermediate_size, forms) + float_bytes(rows, moe.experts) +
             float_bytes(pairs, 2) +
             ops::ActivationBuffer::bytes_for(pairs, moe.intermediate_size, forms) +
             ops::ActivationBuffer::bytes_for(pairs, spec.hidden_size, ops::kFormF32);
    gathered = std::max<std::uint64_t>(
        gathered, ops::ActivationBuffer::bytes_for(pairs, spec.hidden_size, forms));
  }
  return bytes + gathered;
}

}  // namespace mistral::nn
