#include "text/grammar/lr_table.h"

#include <algorithm>
#include <map>
#include <utility>

namespace mistral::grammar {
namespace {

// A set of terminals and the end of the text.
using Lookahead = std::vector<std::uint64_t>;

bool unite(Lookahead& into, const Lookahead& from) {
  bool changed = false;
  for (std::size_t i = 0; i < into.size(); ++i) {
    const std::uint64_t before = into[i];
    into[i] |= from[i];
    changed = changed || into[i] != before;
  }
  return changed;
}
void add(Lookahead& set, std::uint32_t terminal) {
  set[terminal / 64] |= std::uint64_t{1} << (terminal % 64);
}
bool has(const Lookahead& set, std::uint32_t terminal) {
  return (set[terminal / 64] >> (terminal % 64) & 1U) != 0;
}

// A production with a dot in it: the number of the production and the place of the dot.
using Item = std::pair<std::uint32_t, std::uint32_t>;
using Kernel = std::map<Item, Lookahead>;

}  // namespace

class LrTableBuilder {
 public:
  LrTableBuilder(const LrGrammar& grammar, Budget& budget)
      : grammar_(grammar), budget_(budget), words_(grammar.terminal_count / 64 + 1) {
    // The last production is the text as a whole.
    productions_ = grammar.productions;
    productions_.push_back({.rule = grammar.rule_count,
                            .symbols = {first_rule() + grammar.start_rule},
                            .precedence = std::nullopt});
    by_rule_.resize(grammar.rule_count + 1);
    for (std::uint32_t p = 0; p < productions_.size(); ++p) {
      by_rule_[productions_[p].rule].push_back(p);
    }
    find_first();
  }

  LrTable build() {
    make_states(/*merge=*/true);
    LrTable table = fill();
    if (reduce_conflict_) {
      // Different states of LR(1) may have become one here that does not know which to take.
      make_states(/*merge=*/false);
      table = fill();
    }
    return table;
  }

 private:
  struct State {
    Kernel kernel;
    std::map<std::uint32_t, std::uint32_t> next;  // by symbol
  };

  [[nodiscard]] std::uint32_t first_rule() const { return grammar_.terminal_count + 1; }
  [[nodiscard]] bool is_rule(std::uint32_t symbol) const { return symbol >= first_rule(); }

  void find_first() {
    nullable_.assign(grammar_.rule_count + 1, false);
    first_.assign(grammar_.rule_count + 1, Lookahead(words_, 0));
    budget_.add_bytes(first_.size() * words_ * sizeof(std::uint64_t));
    for (bool changed = true; changed;) {
      changed = false;
      for (const LrGrammar::Production& production : productions_) {
        Lookahead found(words_, 0);
        const bool empty = add_first(production.symbols, 0, found);
        changed = unite(first_[production.rule], found) || changed;
        if (empty && !nullable_[production.rule]) {
          nullable_[production.rule] = true;
          changed = true;
        }
      }
    }
  }

  // The terminals that what stands from `from` on may begin with; true if it may be empty.
  bool add_first(const std::vector<std::uint32_t>& symbols, std::size_t from, Lookahead& set) {
    for (std::size_t i = from; i < symbols.size(); ++i) {
      budget_.tick();
      if (!is_rule(symbols[i])) {
        add(set, symbols[i]);
        return false;
      }
      const std::uint32_t rule = symbols[i] - first_rule();
      unite(set, first_[rule]);
      if (!nullable_[rule]) return false;
    }
    return true;
  }

  // The items of a state and what may follow each.
  Kernel close(const Kernel& kernel) {
    Kernel items = kernel;
    std::vector<Item> work;
    for (const auto& [item, lookahead] : kernel) work.push_back(item);
    while (!work.empty()) {
      budget_.tick();
      const Item item = work.back();
      work.pop_back();
      const auto& symbols = productions_[item.first].symbols;
      if (item.second >= symbols.size() || !is_rule(symbols[item.second])) continue;
      Lookahead follow(words_, 0);
      if (add_first(symbols, item.second + 1, follow)) unite(follow, items[item]);
      for (const std::uint32_t p : by_rule_[symbols[item.second] - first_rule()]) {
        const auto [found, added] = items.try_emplace(Item{p, 0}, Lookahead(words_, 0));
        if (unite(found->second, follow) || added) work.push_back(found->first);
      }
    }
    return items;
  }

  void make_states(bool merge) {
    states_.clear();
    std::map<std::vector<Item>, std::uint32_t> by_core;
    std::map<Kernel, std::uint32_t> by_kernel;
    std::vector<std::uint32_t> work;
    std::vector<bool> waiting;
    const auto enter = [&](Kernel kernel) {
      std::uint32_t id = 0;
      bool added = false;
      const auto next = static_cast<std::uint32_t>(states_.size());
      if (merge) {
        std::vector<Item> core;
        for (const auto& [item, lookahead] : kernel) core.push_back(item);
        const auto [found, is_new] = by_core.try_emplace(std::move(core), next);
        id = found->second;
        added = is_new;
      } else {
        const auto [found, is_new] = by_kernel.try_emplace(kernel, next);
        id = found->second;
        added = is_new;
      }
      bool changed = added;
      if (added) {
        budget_.check_automaton(states_.size());
        budget_.add_states(1);
        budget_.add_bytes(kernel.size() * (words_ * sizeof(std::uint64_t) + 96) +
                          (std::size_t{grammar_.terminal_count} + 1) * sizeof(LrAction) +
                          std::size_t{grammar_.rule_count} * sizeof(std::uint32_t));
        states_.push_back({.kernel = std::move(kernel), .next = {}});
        waiting.push_back(false);
      } else {
        for (auto& [item, lookahead] : states_[id].kernel) {
          changed = unite(lookahead, kernel[item]) || changed;
        }
      }
      if (changed && !waiting[id]) {
        waiting[id] = true;
        work.push_back(id);
      }
      return id;
    };
    Lookahead end(words_, 0);
    add(end, grammar_.terminal_count);
    enter({{Item{static_cast<std::uint32_t>(productions_.size() - 1), 0}, end}});
    while (!work.empty()) {
      const std::uint32_t id = work.back();
      work.pop_back();
      waiting[id] = false;
      std::map<std::uint32_t, Kernel> moves;
      for (const auto& [item, lookahead] : close(states_[id].kernel)) {
        const auto& symbols = productions_[item.first].symbols;
        if (item.second < symbols.size()) {
          moves[symbols[item.second]].emplace(Item{item.first, item.second + 1}, lookahead);
        }
      }
      for (auto& [symbol, kernel] : moves) {
        const std::uint32_t target = enter(std::move(kernel));
        states_[id].next[symbol] = target;
      }
    }
  }

  LrTable fill() {
    LrTable table;
    reduce_conflict_ = false;
    table.terminal_count_ = grammar_.terminal_count;
    table.rule_count_ = grammar_.rule_count;
    const std::size_t columns = std::size_t{grammar_.terminal_count} + 1;
    table.actions_.resize(states_.size() * columns);
    table.gotos_.resize(states_.size() * grammar_.rule_count, 0);
    for (const LrGrammar::Production& production : productions_) {
      table.reductions_.push_back(
          {.rule = production.rule,
           .length = static_cast<std::uint32_t>(production.symbols.size())});
      table.symbols_.insert(table.symbols_.end(), production.symbols.begin(),
                            production.symbols.end());
      table.first_symbol_.push_back(table.symbols_.size());
    }
    for (std::size_t id = 0; id < states_.size(); ++id) {
      for (const auto& [item, lookahead] : states_[id].kernel) {
        table.kernels_.push_back({.production = item.first, .read = item.second});
      }
      table.first_kernel_.push_back(table.kernels_.size());
      LrAction* row = &table.actions_[id * columns];
      for (const auto& [symbol, target] : states_[id].next) {
        if (is_rule(symbol)) {
          table.gotos_[id * grammar_.rule_count + symbol - first_rule()] = target;
        } else {
          row[symbol] = {.kind = LrAction::Kind::kShift, .target = target};
        }
      }
      for (const auto& [item, lookahead] : close(states_[id].kernel)) {
        if (item.second < productions_[item.first].symbols.size()) continue;
        for (std::uint32_t t = 0; t < columns; ++t) {
          if (has(lookahead, t)) reduce(row[t], item.first, t);
        }
      }
    }
    return table;
  }

  void reduce(LrAction& action, std::uint32_t production, std::uint32_t terminal) {
    using Kind = LrAction::Kind;
    if (production + 1 == productions_.size()) {
      action = {.kind = Kind::kAccept, .target = 0};
      return;
    }
    switch (action.kind) {
      case Kind::kError:
        // Either nothing was here, or a terminal that does not associate: then it stays forbidden.
        if (action.target == 0) action = {.kind = Kind::kReduce, .target = production};
        return;
      case Kind::kAccept:
        return;
      case Kind::kReduce:
        reduce_conflict_ = true;
        action.target = std::min(action.target, production);
        return;
      case Kind::kShift:
        break;
    }
    const auto& left = productions_[production].precedence;
    const auto& right =
        terminal < grammar_.precedence.size() ? grammar_.precedence[terminal] : std::nullopt;
    if (!left || !right) return;
    const bool reduces = left->level != right->level ? left->level > right->level
                                                     : right->side == LrGrammar::Side::kLeft;
    if (left->level == right->level && right->side == LrGrammar::Side::kNone) {
      action = {.kind = Kind::kError, .target = 1};
    } else if (reduces) {
      action = {.kind = Kind::kReduce, .target = production};
    }
  }

  const LrGrammar& grammar_;
  Budget& budget_;
  std::size_t words_;
  std::vector<LrGrammar::Production> productions_;
  std::vector<std::vector<std::uint32_t>> by_rule_;
  std::vector<bool> nullable_;
  std::vector<Lookahead> first_;
  std::vector<State> states_;
  bool reduce_conflict_ = false;
};

LrTable make_lr_table(const LrGrammar& grammar, Budget& budget) {
  return LrTableBuilder(grammar, budget).build();
}

}  // namespace mistral::grammar
