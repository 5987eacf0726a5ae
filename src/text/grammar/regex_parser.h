// Turns a regular expression into a part of an automaton while reading it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar/automaton.h"
#include "text/grammar/regex.h"

namespace mistral::grammar {

// An expression as a tree. Lazy and greedy repetitions have the same language.
struct RegexNode {
  enum class Kind : std::uint8_t { kEmpty, kClass, kSequence, kChoice, kRepeat, kStart, kEnd };
  static constexpr std::uint32_t kUnbounded = 0xFFFFFFFFU;

  Kind kind = Kind::kEmpty;
  CodePointSet set = {};                 // of kClass
  std::vector<RegexNode> children = {};  // kRepeat has one
  std::uint32_t least = 0;               // of kRepeat
  std::uint32_t most = kUnbounded;
};

[[nodiscard]] RegexNode parse_regex(std::string_view pattern, const RegexOptions& options,
                                    Budget& budget);

// Adds a way from `from` to `to` that spells the expression.
void add_regex(const RegexNode& node, Nfa& nfa, StateId from, StateId to, bool bytes);

}  // namespace mistral::grammar
