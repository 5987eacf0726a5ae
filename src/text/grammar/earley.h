// Follows a text through a grammar with Earley's algorithm: any context-free grammar, ambiguous or
// left-recursive. Terminals are followed byte by byte, so a place inside of one is as good as any.
#pragma once

#include <algorithm>
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
  [[nodiscard]] std::optional<std::string> shortest_end(std::size_t most) override;

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
  // Where an item goes when a symbol is complete.
  struct Waiting {
    std::uint32_t symbol = 0;
    std::uint32_t target = 0;
    std::uint32_t origin = 0;
  };
  // What is known after so many bytes. Items and flights of all sets stand behind each other.
  struct Set {
    std::size_t first_item = 0;
    std::size_t first_flight = 0;
    bool accepts = false;
    std::vector<Waiting> waiting = {};  // by symbol; of large sets, once they are asked
  };

  void open_set();
  void spend(std::size_t work);
  [[nodiscard]] bool push_byte(std::uint8_t byte);
  void add_item(std::uint32_t state, std::uint32_t origin);
  void add_flight(std::uint32_t terminal, StateId state, std::uint32_t origin);
  void complete(std::uint32_t symbol, std::uint32_t origin);
  void finish_items();
  // Calls `found` with what waits at the end of the set, which is finished, for the symbol.
  // Returns how many entries were looked at.
  template <typename Found>
  std::size_t each_waiting(std::uint32_t symbol, std::uint32_t set, const Found& found);
  std::size_t sort_waiting(std::uint32_t set);
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

template <typename Found>
std::size_t EarleyMachine::each_waiting(std::uint32_t symbol, std::uint32_t set,
                                        const Found& found) {
  constexpr std::size_t kFewItems = 48;
  const std::size_t first = sets_[set].first_item;
  const std::size_t end = item_end(set);
  if (end - first <= kFewItems) {
    for (std::size_t i = first; i < end; ++i) {
      const Item item = items_[i];
      const Grammar::State& state = grammar_->states[item.state];
      for (std::uint32_t e = 0; e < state.edge_count; ++e) {
        const Grammar::Edge& edge = grammar_->edges[state.first_edge + e];
        if (edge.symbol != symbol) continue;
        found(Waiting{.symbol = symbol, .target = edge.target, .origin = item.origin});
      }
    }
    return end - first;
  }
  std::size_t looked_at = sets_[set].waiting.empty() ? sort_waiting(set) : 0;
  const std::vector<Waiting>& waiting = sets_[set].waiting;
  auto at = std::lower_bound(waiting.begin(), waiting.end(), symbol,
                             [](const Waiting& one, std::uint32_t s) { return one.symbol < s; });
  for (; at != waiting.end() && at->symbol == symbol; ++at, ++looked_at) found(*at);
  return looked_at;
}

}  // namespace mistral::grammar
