// What one step computes: ragged token rows and a small table per sequence. A plain value.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "mistral/types.h"

namespace mistral::nn {

using BlockId = std::int32_t;
inline constexpr BlockId kNoBlock = -1;

// Consecutive rows of one sequence. Rows of a sequence stand together and in order of position.
struct BatchSequence {
  std::int32_t first_row = 0;
  std::int32_t row_count = 0;
  std::int32_t first_position = 0;  // position of the first row = tokens cached before this step
  // The prompt's length, decided before its first chunk and kept for the sequence's life: rows of
  // the prompt rotate by it where rope scaling depends on the length (see RopeRows::set).
  std::int32_t rope_length = 0;
  // Per cache group: the sequence's blocks in order of position, enough for all rows of this step.
  // kNoBlock stands for a block that fell out of the group's window.
  std::vector<std::vector<BlockId>> block_tables;
};

struct Batch {
  std::vector<TokenId> tokens;  // [rows]
  std::vector<BatchSequence> sequences;
  std::vector<std::int32_t> logit_rows;  // rows whose logits are wanted, rising
  // Rows whose last hidden state is wanted, rising; see SequenceModel::hidden_size().
  std::vector<std::int32_t> hidden_rows;

  [[nodiscard]] std::int32_t rows() const { return static_cast<std::int32_t>(tokens.size()); }
  void clear() {
    tokens.clear();
    sequences.clear();
    logit_rows.clear();
    hidden_rows.clear();
  }
};

}  // namespace mistral::nn
