// Makes deterministic automata state by state. Of use to what knows how its automaton looks;
// everything else writes an Nfa.
#pragma once

#include <bitset>
#include <cstdint>
#include <vector>

#include "text/grammar/automaton.h"
#include "text/grammar/limits.h"

namespace mistral::grammar {

// First all cuts, then states and transitions, then finish(). Throws Error (kInvalidArgument) where
// the budget ends.
class DfaBuilder {
 public:
  explicit DfaBuilder(Budget& budget) : budget_(budget) {}

  // Marks where classes of bytes begin.
  void cut(std::uint8_t low, std::uint8_t high) {
    cuts_.set(low);
    if (high < 255) cuts_.set(high + 1U);
  }
  void cut(const Dfa& dfa);
  void finish_classes();
  [[nodiscard]] const std::vector<std::uint8_t>& first_bytes() const { return first_byte_; }
  [[nodiscard]] std::size_t class_of(std::uint8_t byte) const { return dfa_.classes_[byte]; }

  // States are numbered from 0; a label below 0 does not accept.
  StateId add(std::int32_t label) {
    budget_.tick();
    budget_.check_automaton(dfa_.label_.size() + 1);
    if (dfa_.next_.size() + dfa_.class_count_ > charged_) {
      // In larger steps, as this is called for every state; small automata are free.
      budget_.add_bytes(kStep * sizeof(StateId));
      charged_ += kStep;
    }
    dfa_.label_.push_back(label);
    dfa_.next_.resize(dfa_.next_.size() + dfa_.class_count_, kDead);
    return static_cast<StateId>(dfa_.label_.size() - 1);
  }
  void set(StateId from, std::size_t byte_class, StateId to) {
    dfa_.next_[from * dfa_.class_count_ + byte_class] = to;
  }

  // The automaton, as small as it can be, or nearly so where it is very large.
  [[nodiscard]] Dfa finish(StateId start);
  // For what is small already: only states that lead nowhere are left out.
  [[nodiscard]] Dfa finish_as_it_is(StateId start);

 private:
  static constexpr std::size_t kStep = std::size_t{1} << 14U;

  void remove_useless();
  // False where it was as small as it can be.
  [[nodiscard]] bool minimise();
  void merge_classes();
  // new_id maps every state to its new number or kDead; states with the same number are equal.
  void renumber(const std::vector<StateId>& new_id, StateId new_count);

  Budget& budget_;
  std::bitset<256> cuts_;
  std::vector<std::uint8_t> first_byte_;
  std::size_t charged_ = kStep;
  Dfa dfa_;
};

}  // namespace mistral::grammar
