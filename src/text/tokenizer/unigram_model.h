// Unigram segmentation: the sequence of tokens with the largest sum of scores (Viterbi).
#pragma once

#include <string_view>
#include <vector>

#include "text/tokenizer/prefix_trie.h"

namespace mistral::text {

// How much worse than the worst piece text without a piece is, as SentencePiece has it.
inline constexpr double kUnknownPenalty = 10.0;

class UnigramModel {
 public:
  static constexpr std::int32_t kUnknown = -1;
  struct Piece {
    std::string_view text;
    double score;
    std::int32_t value;
  };
  struct Part {
    std::size_t begin;
    std::size_t end;
    std::int32_t value;  // kUnknown: one character that no piece covers
  };

  UnigramModel() = default;
  // `unknown_score` is the score of a character without a piece of its own.
  UnigramModel(const std::vector<Piece>& pieces, double unknown_score);

  // Parts from left to right; `text` is valid UTF-8. Time is text length times longest piece.
  [[nodiscard]] std::vector<Part> segment(std::string_view text) const;

 private:
  struct Entry {
    double score;
    std::int32_t value;
  };
  PrefixTrie trie_;
  std::vector<Entry> entries_;
  double unknown_score_ = 0;
};

}  // namespace mistral::text
