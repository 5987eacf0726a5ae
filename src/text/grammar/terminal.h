// A regular part of a grammar, and what each of its states means for the tokens of a vocabulary.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "text/grammar/automaton.h"
#include "text/grammar/shortest.h"
#include "text/grammar/token_mask.h"
#include "text/grammar/token_trie.h"

namespace mistral::grammar {

using ByteSet = std::bitset<256>;

// What the tokens below a node of the tree do to an automaton in some state. Those that it takes
// whole are known for good; the others may leave it where it accepts, and the rest of their text is
// a matter of what follows.
struct TokenFates {
  std::vector<std::uint32_t> many = {};  // a bit each, or
  std::vector<TokenId> few = {};         // a list of what is taken whole
  struct Exit {
    std::uint8_t byte = 0;
    TrieNode node = 0;  // reached by this byte, which is the first one of what follows
  };
  std::vector<Exit> exits = {};  // in rising order of bytes

  [[nodiscard]] std::size_t bytes() const {
    return sizeof(TokenFates) + many.size() * sizeof(many[0]) + few.size() * sizeof(few[0]) +
           exits.size() * sizeof(exits[0]);
  }
  void allow(TokenMask& mask) const {
    if (!many.empty()) mask.add(many);
    for (const TokenId id : few) mask.allow(id);
  }
  // Packs a list of tokens.
  void keep(std::vector<TokenId> tokens);
};

// Keeps a number of answers within a bound of memory. Thread safe.
template <typename Fates>
class FateCache {
 public:
  [[nodiscard]] std::shared_ptr<const Fates> find(std::uint64_t key) const {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    return found == entries_.end() ? nullptr : found->second;
  }
  void add(std::uint64_t key, std::shared_ptr<const Fates> fates) {
    const std::lock_guard lock(mutex_);
    const std::size_t bytes = fates->bytes();
    if (bytes_ + bytes > kMostBytes) {
      entries_.clear();
      bytes_ = 0;
    }
    if (entries_.emplace(key, std::move(fates)).second) bytes_ += bytes;
  }

 private:
  static constexpr std::size_t kMostBytes = std::size_t{16} << 20U;
  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::shared_ptr<const Fates>> entries_;
  std::size_t bytes_ = 0;
};

// Immutable but for what it remembers. Thread safe. One trie only is used with it.
class Terminal {
 public:
  // No token has more than `longest_token` bytes. Throws Error (kInvalidArgument) when the budget's
  // time is over.
  Terminal(Dfa dfa, std::size_t longest_token, Budget& budget);

  [[nodiscard]] const Dfa& dfa() const { return dfa_; }
  // The bytes that lead on from a state.
  [[nodiscard]] const ByteSet& bytes(StateId state) const { return bytes_[state]; }
  [[nodiscard]] const ShortestWords& shortest() const { return shortest_; }
  // `which` tells tries apart.
  [[nodiscard]] std::shared_ptr<const TokenFates> fates(const TokenTrie& trie, int which,
                                                        StateId state, TrieNode node) const;

 private:
  Dfa dfa_;
  std::vector<ByteSet> bytes_;
  ShortestWords shortest_;
  // A state that no token tells apart from this one. A string that may have up to a thousand
  // characters has as many states, and all but the last look alike.
  std::vector<StateId> alike_;
  mutable FateCache<TokenFates> cache_;
};

}  // namespace mistral::grammar
