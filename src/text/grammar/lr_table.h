// LR parsing tables: LALR(1), or LR(1) where merging states would make conflicts.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "text/grammar/limits.h"

namespace mistral::grammar {

// Terminals are 0 to terminal_count - 1; the end of the text is terminal_count. Rules follow after
// that: rule r is the symbol terminal_count + 1 + r.
struct LrGrammar {
  enum class Side : std::uint8_t { kLeft, kRight, kNone };
  struct Precedence {
    std::uint32_t level = 0;  // higher binds tighter
    Side side = Side::kLeft;
  };
  struct Production {
    std::uint32_t rule = 0;
    std::vector<std::uint32_t> symbols = {};
    std::optional<Precedence> precedence = {};
  };
  std::uint32_t terminal_count = 0;
  std::uint32_t rule_count = 0;
  std::vector<Production> productions = {};
  std::vector<std::optional<Precedence>> precedence = {};  // of terminals
  std::uint32_t start_rule = 0;
};

struct LrAction {
  enum class Kind : std::uint8_t { kError, kShift, kReduce, kAccept };
  Kind kind = Kind::kError;
  std::uint32_t target = 0;  // state or production
};

class LrTable {
 public:
  struct Reduction {
    std::uint32_t rule = 0;
    std::uint32_t length = 0;
  };

  // A production of which so many symbols have been read.
  struct Item {
    std::uint32_t production = 0;
    std::uint32_t read = 0;
  };

  // The start state is 0.
  [[nodiscard]] LrAction action(std::uint32_t state, std::uint32_t terminal) const {
    return actions_[std::size_t{state} * (terminal_count_ + 1) + terminal];
  }
  [[nodiscard]] std::uint32_t go_to(std::uint32_t state, std::uint32_t rule) const {
    return gotos_[std::size_t{state} * rule_count_ + rule];
  }
  [[nodiscard]] const Reduction& reduction(std::uint32_t production) const {
    return reductions_[production];
  }
  // What a state is in the middle of, without what could only begin there. The last production is
  // the text as a whole; its rule is rule_count().
  [[nodiscard]] std::span<const Item> kernel(std::uint32_t state) const {
    return std::span(kernels_).subspan(first_kernel_[state],
                                       first_kernel_[state + 1] - first_kernel_[state]);
  }
  [[nodiscard]] std::span<const std::uint32_t> symbols(std::uint32_t production) const {
    return std::span(symbols_).subspan(first_symbol_[production],
                                       first_symbol_[production + 1] - first_symbol_[production]);
  }
  [[nodiscard]] std::uint32_t productions() const {
    return static_cast<std::uint32_t>(reductions_.size());
  }
  [[nodiscard]] std::uint32_t rule_count() const { return rule_count_; }
  [[nodiscard]] std::uint32_t terminal_count() const { return terminal_count_; }
  [[nodiscard]] std::uint32_t end_of_text() const { return terminal_count_; }
  [[nodiscard]] std::size_t states() const {
    return actions_.size() / (std::size_t{terminal_count_} + 1);
  }

 private:
  friend class LrTableBuilder;
  std::uint32_t terminal_count_ = 0;
  std::uint32_t rule_count_ = 0;
  std::vector<LrAction> actions_;
  std::vector<std::uint32_t> gotos_;
  std::vector<Reduction> reductions_;
  std::vector<std::size_t> first_symbol_ = {0};  // of each production, and of the end
  std::vector<std::uint32_t> symbols_;
  std::vector<std::size_t> first_kernel_ = {0};
  std::vector<Item> kernels_;
};

// Conflicts are decided as yacc does: by precedence, else shift before reduce, else the production
// that was written first. Requires that every rule has texts.
[[nodiscard]] LrTable make_lr_table(const LrGrammar& grammar, Budget& budget);

}  // namespace mistral::grammar
