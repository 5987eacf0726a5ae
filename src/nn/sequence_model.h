// What the engine needs of a model: run a batch over a paged cache. Decoder implements it; tests
// of the engine use a fake.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nn/batch.h"

namespace mistral::nn {

// Layers that see the same part of the past share block tables.
struct CacheGroup {
  std::int32_t window = 0;           // a query sees itself and window-1 tokens before; 0: all
  std::int32_t chunk = 0;            // a query sees its own chunk of so many positions; 0: all
  std::int64_t bytes_per_block = 0;  // over all layers of the group
};

class SequenceModel {
 public:
  virtual ~SequenceModel() = default;

  [[nodiscard]] virtual std::int32_t vocab_size() const = 0;
  [[nodiscard]] virtual std::int32_t context_length() const = 0;  // most positions of a sequence
  [[nodiscard]] virtual std::int32_t max_batch_rows() const = 0;  // most rows of one step
  [[nodiscard]] virtual std::int32_t block_size() const = 0;      // tokens per block
  [[nodiscard]] virtual std::span<const CacheGroup> cache_groups() const = 0;
  // Bytes that the cache may hold over all groups. Block ids of group g run from 0 to
  // cache_bytes / bytes_per_block(g) - 1; memory is taken when a block is first written, so low ids
  // should be reused first.
  [[nodiscard]] virtual std::int64_t cache_bytes() const = 0;

  // How positions rotate in a sequence of that length, as a number: equal numbers, equal rotations.
  // Where rope scaling does not depend on a length, it is the same for all.
  [[nodiscard]] virtual std::int64_t rope_key(std::int32_t /*rope_length*/) const { return 0; }

  // Computes the batch and writes logits [logit_rows.size(), vocab_size] row by row. Called by one
  // thread at a time. A row's logits depend only on its sequence, never on its batch mates.
  virtual void forward(const Batch& batch, std::span<float> logits) = 0;

  // Length of a row's last hidden state, after the final norm; 0: the model does not hand it out,
  // and no batch has hidden_rows.
  [[nodiscard]] virtual std::int32_t hidden_size() const { return 0; }
  // As forward(); also writes the states of batch.hidden_rows, [hidden_rows.size(), hidden_size].
  virtual void forward(const Batch& batch, std::span<float> logits, std::span<float> /*hidden*/) {
    forward(batch, logits);
  }
};

}  // namespace mistral::nn
