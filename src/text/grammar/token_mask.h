// Which tokens may come next: a bit for each id of the vocabulary.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "mistral/types.h"

namespace mistral::grammar {

class TokenMask {
 public:
  // Nothing is allowed.
  void reset(std::size_t vocab_size) { words_.assign((vocab_size + 31) / 32, 0); }
  void allow(TokenId id) {
    words_[static_cast<std::size_t>(id) / 32] |= 1U << (static_cast<std::uint32_t>(id) % 32U);
  }
  // False for ids outside of the vocabulary.
  [[nodiscard]] bool allows(TokenId id) const {
    const auto word = static_cast<std::size_t>(id) / 32;
    return id >= 0 && word < words_.size() &&
           (words_[word] >> (static_cast<std::uint32_t>(id) % 32U) & 1U) != 0;
  }
  void add(const std::vector<std::uint32_t>& words) {
    const std::size_t count = std::min(words.size(), words_.size());
    for (std::size_t i = 0; i < count; ++i) words_[i] |= words[i];
  }
  [[nodiscard]] bool empty() const {
    return std::all_of(words_.begin(), words_.end(), [](std::uint32_t word) { return word == 0; });
  }
  // Bit id % 32 of word id / 32.
  [[nodiscard]] const std::vector<std::uint32_t>& words() const { return words_; }

 private:
  std::vector<std::uint32_t> words_;
};

}  // namespace mistral::grammar
