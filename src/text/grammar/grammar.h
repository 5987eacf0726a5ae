// A context-free grammar as a network: each rule is an automaton over symbols, a symbol is a rule
// or a terminal, and a terminal is an automaton over bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "text/grammar/shortest.h"
#include "text/grammar/terminal.h"
#include "text/grammar/vocabulary.h"

namespace mistral::grammar {

// What grammars are written in, before they become networks.
struct Expression {
  enum class Kind : std::uint8_t { kRegular, kRule, kSequence, kChoice, kRepeat };
  static constexpr std::uint32_t kUnbounded = 0xFFFFFFFFU;

  Kind kind = Kind::kSequence;  // an empty sequence is the empty text
  Dfa dfa = {};                 // kRegular
  std::uint32_t rule = 0;       // kRule
  std::vector<Expression> children = {};
  std::uint32_t least = 0;  // kRepeat, which has one child
  std::uint32_t most = kUnbounded;
};

[[nodiscard]] Expression regular(Dfa dfa);
[[nodiscard]] Expression rule_reference(std::uint32_t rule);
[[nodiscard]] Expression sequence(std::vector<Expression> parts);
[[nodiscard]] Expression choice(std::vector<Expression> parts);
[[nodiscard]] Expression repeat(Expression part, std::uint32_t least, std::uint32_t most);

// Immutable. Every state leads to the end of its rule, every rule has texts.
struct Grammar {
  static constexpr std::uint32_t kTerminalBit = 0x80000000U;
  struct Edge {
    std::uint32_t symbol = 0;  // of a rule, or kTerminalBit | index
    std::uint32_t target = 0;
  };
  struct State {
    std::uint32_t first_edge = 0;
    std::uint32_t edge_count = 0;
    std::uint32_t rule = 0;
    bool accepts = false;
  };
  std::vector<State> states;
  std::vector<Edge> edges;
  std::vector<std::uint32_t> rule_start;
  std::vector<bool> rule_nullable;
  std::vector<std::shared_ptr<const Terminal>> terminals;
  ShortestTexts shortest;
  std::uint32_t start_rule = 0;
};

// Rules are numbered from 0. Throws Error (kInvalidArgument) when the start rule has no texts, or
// the grammar is too large.
class GrammarBuilder {
 public:
  // With `fold`, regular parts of rules are joined into larger terminals.
  GrammarBuilder(const ConstraintVocabulary& vocabulary, Budget& budget, bool fold)
      : vocabulary_(vocabulary), budget_(budget), fold_(fold) {}

  std::uint32_t add_rule() {
    bodies_.emplace_back();
    return static_cast<std::uint32_t>(bodies_.size() - 1);
  }
  void set_body(std::uint32_t rule, Expression body) { bodies_[rule] = std::move(body); }
  [[nodiscard]] std::shared_ptr<const Grammar> build(std::uint32_t start_rule);
  [[nodiscard]] Budget& budget() const { return budget_; }

 private:
  const ConstraintVocabulary& vocabulary_;
  Budget& budget_;
  bool fold_;
  std::vector<Expression> bodies_;
};

}  // namespace mistral::grammar
