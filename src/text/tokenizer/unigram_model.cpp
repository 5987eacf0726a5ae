#include "text/tokenizer/unigram_model.h"

#include <algorithm>
#include <limits>

#include "text/tokenizer/utf8.h"

namespace mistral::text {

UnigramModel::UnigramModel(const std::vector<Piece>& pieces, double unknown_score)
    : unknown_score_(unknown_score) {
  std::vector<PrefixTrie::Key> keys;
  keys.reserve(pieces.size());
  for (const Piece& piece : pieces) {
    keys.push_back({piece.text, static_cast<std::int32_t>(entries_.size())});
    entries_.push_back({piece.score, piece.value});
  }
  trie_ = PrefixTrie(std::move(keys));
}

std::vector<UnigramModel::Part> UnigramModel::segment(std::string_view text) const {
  struct Best {
    double score = 0;
    std::size_t begin = std::numeric_limits<std::size_t>::max();  // unset
    std::int32_t value = kUnknown;
  };
  std::vector<Best> best(text.size() + 1);
  const auto offer = [&](std::size_t begin, std::size_t end, double score, std::int32_t value) {
    Best& target = best[end];
    const double total = best[begin].score + score;
    if (target.begin == std::numeric_limits<std::size_t>::max() || total > target.score) {
      target = {total, begin, value};
    }
  };
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t character = utf8::length_of(text[begin]);
    bool covered = false;
    trie_.for_each_prefix(text.substr(begin), [&](std::size_t length, std::int32_t entry) {
      const Entry& piece = entries_[static_cast<std::size_t>(entry)];
      offer(begin, begin + length, piece.score, piece.value);
      covered = covered || length == character;
    });
    if (!covered) offer(begin, begin + character, unknown_score_, kUnknown);
    begin += character;
  }
  std::vector<Part> parts;
  for (std::size_t end = text.size(); end > 0; end = parts.back().begin) {
    parts.push_back({best[end].begin, end, best[end].value});
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

}  // namespace mistral::text
