// What is still to come when an LR parser is in some state: how many bytes its rules lack at least.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "text/grammar/automaton.h"
#include "text/grammar/limits.h"
#include "text/grammar/lr_table.h"

namespace mistral::grammar {

class LrEnds {
 public:
  // A rule that a state is in the middle of.
  struct Open {
    std::uint32_t rule = 0;   // the number of rules: the text as a whole
    std::uint32_t read = 0;   // symbols that are on the stack
    std::uint32_t lacks = 0;  // bytes, without what stands between terminals
  };

  LrEnds() = default;
  LrEnds(const LrTable& parser, const Dfa& lexer, Budget& budget);

  [[nodiscard]] std::span<const Open> open(std::uint32_t state) const {
    return std::span(open_).subspan(first_[state], first_[state + 1] - first_[state]);
  }
  // The shortest text that the lexer takes for the terminal; empty: there is none.
  [[nodiscard]] const std::string& word(std::uint32_t terminal) const { return words_[terminal]; }

 private:
  std::vector<std::string> words_;
  std::vector<Open> open_;  // of all states behind each other
  std::vector<std::size_t> first_;
};

// The shortest way from a state of the lexer to each terminal; nothing where there is none.
[[nodiscard]] std::vector<std::optional<std::string>> shortest_words(const Dfa& lexer, StateId from,
                                                                     std::uint32_t terminals);

}  // namespace mistral::grammar
