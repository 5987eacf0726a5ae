// SentencePiece's BPE by score: merges the neighbours whose union is the best-scored token, of
// equal scores the leftmost, until no union is a token.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "text/tokenizer/vocabulary.h"

namespace mistral::text {

// Calls `emit(std::string_view part)` for the final parts from left to right; a part is a token
// or one character. `text` is valid UTF-8. O(n log n).
class SentencePieceMerger {
 public:
  // `scores` has one entry for each id.
  SentencePieceMerger(const Vocabulary& vocabulary, std::span<const float> scores)
      : vocabulary_(vocabulary), scores_(scores) {}

  struct Part {
    std::size_t begin;
    std::size_t length;
  };
  [[nodiscard]] std::vector<Part> merge(std::string_view text) const;

 private:
  const Vocabulary& vocabulary_;
  std::span<const float> scores_;
};

}  // namespace mistral::text
