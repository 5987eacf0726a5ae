// The shortest words of automata and rules: what brings an answer to its end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/grammar/automaton.h"
#include "text/grammar/limits.h"

namespace mistral::grammar {

struct Grammar;

// Lengths in bytes; what is this long or longer is as good as endless.
constexpr std::uint32_t kEndless = 1U << 30U;

[[nodiscard]] constexpr std::uint32_t add_lengths(std::uint32_t a, std::uint32_t b) {
  return a + b < kEndless ? a + b : kEndless;
}

// How far the states of an automaton are from accepting.
class ShortestWords {
 public:
  explicit ShortestWords(const Dfa& dfa);

  // Bytes from the state to the nearest one that accepts.
  [[nodiscard]] std::uint32_t length(StateId state) const { return lengths_[state]; }
  // Appends as many bytes that lead there; letters and digits where there is a choice.
  void append(const Dfa& dfa, StateId state, std::string& out) const;

 private:
  std::vector<std::uint32_t> lengths_;
};

// How far the states of a grammar's rules are from the ends of their rules.
class ShortestTexts {
 public:
  ShortestTexts() = default;
  // Of a grammar whose states, edges, rules and terminals are known.
  ShortestTexts(const Grammar& grammar, Budget& budget);

  [[nodiscard]] std::uint32_t length(std::uint32_t state) const { return lengths_[state]; }
  // Appends that text, which should have been found to be short enough.
  void append(const Grammar& grammar, std::uint32_t state, std::string& out) const;

 private:
  static constexpr std::uint32_t kNoEdge = 0xFFFFFFFFU;
  std::vector<std::uint32_t> lengths_;
  std::vector<std::uint32_t> edges_;  // to be taken from each state; kNoEdge: the rule ends there
};

}  // namespace mistral::grammar
