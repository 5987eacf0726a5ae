// Which states of an automaton are alike: what makes automata small, and what lets states share
// what was worked out about one of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "text/grammar/limits.h"

namespace mistral::grammar {

// An automaton's table: next[state * class_count + byte_class], where 0xFFFFFFFF leads nowhere.
struct TransitionTable {
  std::span<const std::uint32_t> next;
  std::size_t class_count = 1;
  std::span<const std::int32_t> labels;  // of each state
};

constexpr std::size_t kUntilStable = SIZE_MAX;

// The group of each state; states are in one group when no text of at most `rounds` bytes leads
// from them to states with different labels. Groups are numbered in the order of their first
// states. Throws Error (kInvalidArgument) when the budget's time is over.
[[nodiscard]] std::vector<std::uint32_t> groups_of_states(const TransitionTable& table,
                                                          std::size_t rounds, Budget& budget);

}  // namespace mistral::grammar
