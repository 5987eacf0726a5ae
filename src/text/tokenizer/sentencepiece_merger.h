// SentencePiece's BPE by score: merges the neighbours whose union is the best-scored token, of
// equal scores the leftmost, until no union is a token.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "text/tokenizer/vocabulary.h"

namespace mistral::text {

class SentencePieceMerger {
 public:
  // `scores` has one entry for each id, as has `unused` unless it is empty: a token that is not
  // used takes part in merging, but is taken apart in the end.
  SentencePieceMerger(const Vocabulary& vocabulary, std::span<const float> scores,
                      std::span<const std::uint8_t> unused = {});

  struct Part {
    std::size_t begin;
    std::size_t length;
    bool whole = false;  // merges with nothing
  };
  // The final parts from left to right; a part is a token or one character. `text` is valid
  // UTF-8. O(n log n). Where no token has a U+2581 behind another character, as in the models that
  // people train, words do not touch each other: they are merged one by one, which is much faster.
  [[nodiscard]] std::vector<Part> merge(std::string_view text) const;
  // As above, beginning with `parts`, which cover the text, instead of characters.
  [[nodiscard]] std::vector<Part> merge(std::string_view text, std::span<const Part> parts) const;

 private:
  // A word of few characters, by looking at all pairs again and again: no queue is needed.
  void merge_few(std::string_view text, std::size_t begin, std::size_t end,
                 std::vector<Part>& out) const;
  [[nodiscard]] std::vector<Part> characters(std::string_view text, std::size_t begin,
                                             std::size_t end) const;

  const Vocabulary& vocabulary_;
  std::span<const float> scores_;
  std::span<const std::uint8_t> unused_;
  bool words_ = false;  // can be merged one by one
};

}  // namespace mistral::text
