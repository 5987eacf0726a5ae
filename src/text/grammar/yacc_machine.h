// Follows a text through a lexer and an LR parser.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "text/grammar/machine.h"
#include "text/grammar/yacc.h"

namespace mistral::grammar {

class YaccMachine : public Machine {
 public:
  explicit YaccMachine(std::shared_ptr<const YaccTables> tables);

  [[nodiscard]] bool push(std::uint8_t byte) override;
  void pop(std::size_t count) override { places_.resize(places_.size() - count); }
  [[nodiscard]] bool accepts() const override;
  [[nodiscard]] ByteSet next_bytes() override;
  void allow_tokens(const TokenTrie& trie, int which, TokenMask& mask) override;
  [[nodiscard]] std::optional<std::string> shortest_end(std::size_t most) override;

 private:
  using Stack = std::uint32_t;  // the uppermost node
  struct Node {
    std::uint32_t state = 0;
    Stack below = 0;
  };
  struct Place {
    StateId lexer = 0;
    bool fresh = true;  // nothing of a terminal has been read
    Stack stack = 0;
  };
  // The terminals that a stack can take, or that are dropped.
  struct Allowed {
    TerminalSet set = {};
    std::uint32_t number = 0;  // see LexerMemory
  };
  struct Walk {
    const TokenTrie& trie;
    int which;
    TokenMask& mask;
  };

  [[nodiscard]] std::optional<Place> step(const Place& place, std::uint8_t byte);
  [[nodiscard]] std::optional<Place> begin(Stack stack, std::uint8_t byte);
  // The stack after reading a terminal that is not dropped, or nothing where it may not come.
  [[nodiscard]] std::optional<Stack> shift(Stack stack, std::uint32_t terminal);
  [[nodiscard]] std::optional<Stack> after(Stack stack, std::uint32_t terminal);
  [[nodiscard]] bool may_end(Stack stack, std::optional<std::uint32_t> terminal) const;
  [[nodiscard]] const Allowed& allowed(Stack stack);
  [[nodiscard]] bool skips(std::uint32_t terminal) const {
    return (tables_->skipped[terminal / 64] >> (terminal % 64) & 1U) != 0;
  }
  [[nodiscard]] std::shared_ptr<const LexerFates> fates(const Walk& walk, const Place& place,
                                                        TrieNode node);
  // The bytes that the rules lack which are open on the stack; counts what it looks at.
  [[nodiscard]] std::uint32_t lacks(Stack stack, std::size_t& looks);
  void allow_below(const Walk& walk, const Place& place, TrieNode node);
  void try_below(const Walk& walk, const Place& place, TrieNode node);

  std::shared_ptr<const YaccTables> tables_;
  std::vector<Place> places_;  // after each byte
  // Stacks share what is below them. None is ever changed.
  std::vector<Node> nodes_;
  std::unordered_map<std::uint64_t, std::optional<Stack>> shifted_;  // by stack and terminal
  std::unordered_map<Stack, Allowed> allowed_;
  std::unordered_map<std::uint64_t, std::uint32_t> lacks_;  // by the stack and a rule on top of it
};

}  // namespace mistral::grammar
