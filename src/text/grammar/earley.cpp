#include "text/grammar/earley.h"

#include <algorithm>

#include "core/error.h"

namespace mistral::grammar {
namespace {

// More than this means that the text can be understood in absurdly many ways: items in a set and in
// all sets, and entries looked at for one byte and for the tokens that may follow (some 20 ms).
constexpr std::size_t kMostItems = 20'000;
constexpr std::size_t kMostItemsInAll = 4'000'000;
constexpr std::size_t kMostWorkForByte = 1'000'000;
constexpr std::size_t kMostWorkForTokens = 8'000'000;
// So many entries are compared one by one before a table is made.
constexpr std::size_t kFewItems = 24;
// Subtrees of fewer nodes are walked byte by byte.
constexpr TrieNode kSmallTree = 48;

}  // namespace

EarleyMachine::EarleyMachine(std::shared_ptr<const Grammar> grammar)
    : grammar_(std::move(grammar)), work_left_(kMostWorkForByte) {
  open_set();
  add_item(grammar_->rule_start[grammar_->start_rule], 0);
  finish_items();
  // The empty text is no rule's end that completes anything.
  sets_.back().accepts = grammar_->rule_nullable[grammar_->start_rule];
}

void EarleyMachine::open_set() {
  sets_.push_back({.first_item = items_.size(), .first_flight = flights_.size()});
  done_items_ = items_.size();
  known_.clear();
}

void EarleyMachine::remove_last_set() {
  items_.resize(sets_.back().first_item);
  flights_.resize(sets_.back().first_flight);
  sets_.pop_back();
}

void EarleyMachine::add_item(std::uint32_t state, std::uint32_t origin) {
  const std::size_t first = sets_.back().first_item;
  const std::size_t count = items_.size() - first;
  const auto key = [](const Item& item) { return std::uint64_t{item.state} << 32U | item.origin; };
  if (count < kFewItems) {
    for (std::size_t i = first; i < items_.size(); ++i) {
      if (items_[i].state == state && items_[i].origin == origin) return;
    }
  } else {
    if (known_.empty()) {
      for (std::size_t i = first; i < items_.size(); ++i) known_.insert(key(items_[i]));
    }
    if (!known_.insert(key({state, origin})).second) return;
    if (count > kMostItems || items_.size() > kMostItemsInAll) work_left_ = 0;
  }
  items_.push_back({.state = state, .origin = origin});
}

void EarleyMachine::spend(std::size_t work) {
  if (work < work_left_) {
    work_left_ -= work;
    return;
  }
  const auto begun_here = static_cast<std::size_t>(
      std::count_if(items_.begin() + static_cast<std::ptrdiff_t>(sets_.back().first_item),
                    items_.end(), [this](const Item& item) { return item.origin == current(); }));
  if (begun_here > kMostItems / 2) {
    throw make_error(ErrorKind::kResource,
                     "the constraint is too complex: at least {} rules begin at one place of the "
                     "text",
                     begun_here);
  }
  throw Error(ErrorKind::kResource,
              "the constraint is too ambiguous: the text can be understood in too many ways");
}

void EarleyMachine::add_flight(std::uint32_t terminal, StateId state, std::uint32_t origin) {
  for (std::size_t i = sets_.back().first_flight; i < flights_.size(); ++i) {
    const Flight& flight = flights_[i];
    if (flight.terminal == terminal && flight.origin == origin) return;
  }
  flights_.push_back({.terminal = terminal, .state = state, .origin = origin});
}

void EarleyMachine::complete(std::uint32_t symbol, std::uint32_t origin) {
  const std::size_t looked_at = each_waiting(
      symbol, origin, [this](const Waiting& one) { add_item(one.target, one.origin); });
  spend(looked_at + 1);
}

// A set with thousands of rules in it would otherwise be read once for each of them.
std::size_t EarleyMachine::sort_waiting(std::uint32_t set) {
  std::vector<Waiting> waiting;
  const std::size_t end = item_end(set);
  for (std::size_t i = sets_[set].first_item; i < end; ++i) {
    const Grammar::State& state = grammar_->states[items_[i].state];
    for (std::uint32_t e = 0; e < state.edge_count; ++e) {
      const Grammar::Edge& edge = grammar_->edges[state.first_edge + e];
      waiting.push_back({.symbol = edge.symbol, .target = edge.target, .origin = items_[i].origin});
    }
  }
  std::stable_sort(waiting.begin(), waiting.end(),
                   [](const Waiting& a, const Waiting& b) { return a.symbol < b.symbol; });
  sets_[set].waiting = std::move(waiting);
  return sets_[set].waiting.size();
}

// Follows from the new items what else holds at this place.
void EarleyMachine::finish_items() {
  const std::uint32_t here = current();
  for (; done_items_ < items_.size(); ++done_items_) {
    spend(1 + (flights_.size() - sets_.back().first_flight) / 4);
    const Item item = items_[done_items_];
    const Grammar::State state = grammar_->states[item.state];
    if (state.accepts) {
      if (item.origin == 0 && state.rule == grammar_->start_rule) sets_.back().accepts = true;
      // A rule that began here is empty; whoever predicted it has gone on already.
      if (item.origin != here) complete(state.rule, item.origin);
    }
    for (std::uint32_t e = 0; e < state.edge_count; ++e) {
      const Grammar::Edge edge = grammar_->edges[state.first_edge + e];
      bool nullable = false;
      if ((edge.symbol & Grammar::kTerminalBit) != 0) {
        const std::uint32_t index = edge.symbol & ~Grammar::kTerminalBit;
        const Dfa& dfa = grammar_->terminals[index]->dfa();
        add_flight(index, dfa.start(), here);
        nullable = dfa.accepts(dfa.start());
      } else {
        add_item(grammar_->rule_start[edge.symbol], here);
        nullable = grammar_->rule_nullable[edge.symbol];
      }
      if (nullable) add_item(edge.target, item.origin);
    }
  }
}

bool EarleyMachine::push(std::uint8_t byte) {
  work_left_ = kMostWorkForByte;
  return push_byte(byte);
}

bool EarleyMachine::push_byte(std::uint8_t byte) {
  const std::size_t first = sets_.back().first_flight;
  const std::size_t end = flights_.size();
  open_set();
  try {
    for (std::size_t i = first; i < end; ++i) {
      const Flight flight = flights_[i];
      const Dfa& dfa = grammar_->terminals[flight.terminal]->dfa();
      const StateId next = dfa.next(flight.state, byte);
      if (next == kDead) continue;
      flights_.push_back({.terminal = flight.terminal, .state = next, .origin = flight.origin});
      if (dfa.accepts(next)) complete(Grammar::kTerminalBit | flight.terminal, flight.origin);
    }
    if (flights_.size() == end) {
      remove_last_set();
      return false;
    }
    finish_items();
  } catch (...) {
    remove_last_set();
    throw;
  }
  return true;
}

void EarleyMachine::pop(std::size_t count) {
  for (; count > 0; --count) remove_last_set();
}

ByteSet EarleyMachine::next_bytes() {
  ByteSet out;
  for (std::size_t i = sets_.back().first_flight; i < flights_.size(); ++i) {
    out |= grammar_->terminals[flights_[i].terminal]->bytes(flights_[i].state);
  }
  return out;
}

void EarleyMachine::allow_tokens(const TokenTrie& trie, int which, TokenMask& mask) {
  work_left_ = kMostWorkForTokens;
  const std::size_t depth = sets_.size();
  try {
    allow_below({.trie = trie, .which = which, .mask = mask}, 0);
  } catch (...) {
    pop(sets_.size() - depth);
    throw;
  }
}

void EarleyMachine::allow_below(const Walk& walk, TrieNode node) {
  const std::size_t first = sets_.back().first_flight;
  const std::size_t end = flights_.size();
  for (std::size_t i = first; i < end; ++i) {
    const Flight flight = flights_[i];
    const auto fates =
        grammar_->terminals[flight.terminal]->fates(walk.trie, walk.which, flight.state, node);
    fates->allow(walk.mask);
    if (!fates->exits.empty()) allow_after(walk, flight, *fates);
  }
}

// Tokens that leave a terminal before they end. What follows does not depend on where they do, so
// one set serves all of them; it stands for the end of the terminal, not for a byte.
void EarleyMachine::allow_after(const Walk& walk, const Flight& flight, const TokenFates& fates) {
  open_set();
  complete(Grammar::kTerminalBit | flight.terminal, flight.origin);
  finish_items();
  const ByteSet follow = next_bytes();
  for (auto at = fates.exits.begin(); at != fates.exits.end();) {
    const std::uint8_t byte = at->byte;
    const auto end = std::find_if(
        at, fates.exits.end(), [byte](const TokenFates::Exit& exit) { return exit.byte != byte; });
    if (follow.test(byte) && push_byte(byte)) {
      for (; at != end; ++at) {
        for (const TokenId id : walk.trie.tokens(at->node)) walk.mask.allow(id);
        if (walk.trie.end(at->node) - at->node <= kSmallTree) {
          try_below(walk, at->node);
        } else {
          allow_below(walk, at->node);
        }
      }
      pop(1);
    }
    at = end;
  }
  remove_last_set();
}

void EarleyMachine::try_below(const Walk& walk, TrieNode node) {
  for (TrieNode at = node + 1; at < walk.trie.end(node); at = walk.trie.end(at)) {
    spend(1);
    if (!push_byte(walk.trie.byte(at))) continue;
    for (const TokenId id : walk.trie.tokens(at)) walk.mask.allow(id);
    try_below(walk, at);
    pop(1);
  }
}

}  // namespace mistral::grammar
