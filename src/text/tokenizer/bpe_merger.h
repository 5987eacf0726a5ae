// Byte-pair encoding: merges neighbouring symbols, the pair of the lowest rank first, of equal
// ranks the leftmost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "mistral/types.h"

namespace mistral::text {

class BpeMerger {
 public:
  struct Symbol {
    TokenId id;            // -1: merges with nothing
    std::uint32_t length;  // bytes of the text that it stands for
  };
  enum class Repeated { kFirstWins, kLastWins };

  void reserve(std::size_t merges);
  // The pair (left, right) becomes `merged`; ids are >= 0.
  void add(TokenId left, TokenId right, std::uint32_t rank, TokenId merged, Repeated repeated);

  // Says that the pair will be added soon.
  void prefetch(TokenId left, TokenId right) const;

  // Merges in place until no pair of neighbours has a rank. O(n log n).
  void merge(std::vector<Symbol>& symbols) const;

 private:
  static constexpr std::uint32_t kNoRank = ~0U;
  struct Slot {
    std::uint64_t pair = kFree;
    std::uint32_t rank = kNoRank;
    TokenId merged = -1;
  };
  static constexpr std::uint64_t kFree = ~0ULL;

  [[nodiscard]] const Slot* find(TokenId left, TokenId right) const;
  [[nodiscard]] std::size_t slot_of(std::uint64_t pair) const;
  void grow(std::size_t slots);
  void merge_few(std::vector<Symbol>& symbols) const;
  void merge_many(std::vector<Symbol>& symbols) const;

  std::vector<Slot> slots_;
  std::size_t count_ = 0;
};

}  // namespace mistral::text
