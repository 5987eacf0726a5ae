// Follows a text through a grammar with Earley's algorithm: any context-free grammar, ambiguous or
// left-recursive. Terminals are followed byte by byte, so a place inside of one is as good as any.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_set>
#include <vector>

#include "text/grammar/grammar.h"
#include "text/grammar/machine.h"

namespace mistral::grammar {

class EarleyMachine : public Machine {
 public:
  explicit EarleyMachine(std::shared_ptr<const Grammar> grammar);

  [[nodiscard]] bool push(std::uint8_t byte) override;
  void pop(std::size_t count) override;
  [[nodiscard]] bool accepts() const override { return sets_.back().accepts; }
  [[nodiscard]] ByteSet next_bytes() override;
  void allow_tokens(const TokenTrie& trie, int which, TokenMask& mask) override;

 private:
  // A terminal that began at the end of set `origin` and is in `state` now.
  struct Flight {
    std::uint32_t terminal = 0;
    StateId state = 0;
    std::uint32_t origin = 0;
  };
  // A rule that began at the end of set `origin` and is in `state` now.
  struct Item {
    std::uint32_t state = 0;
    std::uint32_t origin = 0;
  };
  // What is known after so many bytes. Items and flights of all sets stand behind each other.
  struct Set {
    std::size_t first_item = 0;
    std::size_t first_flight = 0;
    bool accepts = false;
  };

  void open_set();
  void spend(std::size_t work);
  [[nodiscard]] bool push_byte(std::uint8_t byte);
  void add_item(std::uint32_t state, std::uint32_t origin);
  void add_flight(std::uint32_t terminal, StateId state, std::uint32_t origin);
  void complete(std::uint32_t symbol, std::uint32_t origin);
  void finish_items();
  void remove_last_set();
  [[nodiscard]] std::uint32_t current() const {
    return static_cast<std::uint32_t>(sets_.size() - 1);
  }
  [[nodiscard]] std::size_t item_end(std::uint32_t set) const {
    return set + 1 < sets_.size() ? sets_[set + 1].first_item : items_.size();
  }

  // The walk over tokens. The last set is what is known at `node`.
  struct Walk {
    const TokenTrie& trie;
    int which;
    TokenMask& mask;
  };
  void allow_below(const Walk& walk, TrieNode node);
  void allow_after(const Walk& walk, const Flight& flight, const TokenFates& fates);
  void try_below(const Walk& walk, TrieNode node);

  std::shared_ptr<const Grammar> grammar_;
  std::vector<Item> items_;
  std::vector<Flight> flights_;
  std::vector<Set> sets_;
  std::size_t work_left_ = 0;   // of this call
  std::size_t done_items_ = 0;  // of the last set: they are completed and predicted
  // Items of the last set, once there are many of them.
  std::unordered_set<std::uint64_t> known_;
};

}  // namespace mistral::grammar
