// Finite automata over bytes: nondeterministic ones are built of expressions, deterministic ones
// are combined (and, or, not) and walked.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar/code_points.h"
#include "text/grammar/limits.h"
#include "text/grammar/state_groups.h"

namespace mistral::grammar {

using StateId = std::uint32_t;
constexpr StateId kDead = 0xFFFFFFFFU;

// States are numbers; edges cost a byte or nothing. An edge that costs nothing may hold only at the
// beginning or only at the end of the text.
class Nfa {
 public:
  enum class When : std::uint8_t { kAlways, kAtStart, kAtEnd };
  struct Edge {
    StateId target = kDead;
    std::uint8_t low = 0;
    std::uint8_t high = 0;
    bool free = false;  // costs nothing
    When when = When::kAlways;
  };

  explicit Nfa(Budget& budget) : budget_(budget) {}

  StateId add_state();
  void add_edge(StateId from, std::uint8_t low, std::uint8_t high, StateId to);
  void add_free_edge(StateId from, StateId to, When when = When::kAlways);

  [[nodiscard]] const std::vector<Edge>& edges(StateId state) const { return edges_[state]; }
  [[nodiscard]] std::size_t size() const { return edges_.size(); }
  [[nodiscard]] Budget& budget() const { return budget_; }

 private:
  Budget& budget_;
  std::vector<std::vector<Edge>> edges_;
};

// Every state leads to an accepting one; where no way does, next() is kDead. Bytes that no state
// tells apart share a class. `label` says which of several accepting states of the Nfa won (the
// lowest index); it is 0 in automata with one.
class Dfa {
 public:
  [[nodiscard]] StateId start() const { return start_; }  // kDead: the language is empty
  [[nodiscard]] StateId next(StateId state, std::uint8_t byte) const {
    return next_[static_cast<std::size_t>(state) * class_count_ + classes_[byte]];
  }
  [[nodiscard]] bool accepts(StateId state) const { return label_[state] >= 0; }
  [[nodiscard]] std::int32_t label(StateId state) const { return label_[state]; }
  [[nodiscard]] std::size_t size() const { return label_.size(); }
  [[nodiscard]] bool empty() const { return start_ == kDead; }
  [[nodiscard]] bool matches(std::string_view text) const;
  [[nodiscard]] std::size_t bytes() const {
    return next_.size() * sizeof(StateId) + label_.size() * sizeof(std::int32_t) + sizeof(Dfa);
  }
  [[nodiscard]] const std::array<std::uint8_t, 256>& classes() const { return classes_; }
  [[nodiscard]] std::size_t class_count() const { return class_count_; }
  [[nodiscard]] StateId next_of_class(StateId state, std::size_t byte_class) const {
    return next_[static_cast<std::size_t>(state) * class_count_ + byte_class];
  }

  [[nodiscard]] TransitionTable table() const {
    return {.next = next_, .class_count = class_count_, .labels = label_};
  }

  // The words of the language in order of length and bytes; nothing when there are more than
  // `limit` of them.
  [[nodiscard]] std::optional<std::vector<std::string>> words(std::size_t limit) const;

  friend bool operator==(const Dfa& a, const Dfa& b) = default;

 private:
  friend class DfaBuilder;
  std::array<std::uint8_t, 256> classes_{};
  std::size_t class_count_ = 1;
  std::vector<StateId> next_;
  std::vector<std::int32_t> label_;
  StateId start_ = kDead;
};

// `accepting` in order of preference: where several accept, the first one's index is the label.
[[nodiscard]] Dfa determinise(const Nfa& nfa, StateId start, const std::vector<StateId>& accepting,
                              Budget& budget);
[[nodiscard]] Dfa intersect(const Dfa& a, const Dfa& b, Budget& budget);
[[nodiscard]] Dfa unite(const Dfa& a, const Dfa& b, Budget& budget);
[[nodiscard]] Dfa subtract(const Dfa& a, const Dfa& b, Budget& budget);
// Exactly these bytes.
[[nodiscard]] Dfa literal_dfa(std::string_view text, Budget& budget);

// Bytes in rising order that share a class; each of them is a way out of every state.
[[nodiscard]] std::vector<ByteRange> class_runs(const Dfa& dfa);

// Copies the automaton into `nfa`, between two of its states.
void embed(const Dfa& dfa, Nfa& nfa, StateId from, StateId to);

// Adds a way from `from` to `to` that spells a character of the set: in UTF-8, or as a byte (the
// set then has no more than 0xFF).
void add_characters(Nfa& nfa, StateId from, StateId to, const CodePointSet& set, bool bytes);

}  // namespace mistral::grammar
