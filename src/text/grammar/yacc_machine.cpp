#include "text/grammar/yacc_machine.h"

#include <algorithm>

#include "core/error.h"

namespace mistral::grammar {
namespace {

// More reductions in a row without reading anything mean that a rule produces itself.
constexpr int kMostReductions = 1 << 20;
// What was worked out about stacks is forgotten when it grows beyond this.
constexpr std::size_t kMostRemembered = std::size_t{1} << 18U;
// Subtrees of fewer nodes are walked byte by byte.
constexpr TrieNode kSmallTree = 48;

bool meet(const TerminalSet& a, const TerminalSet& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if ((a[i] & b[i]) != 0) return true;
  }
  return false;
}

bool has(const TerminalSet& set, std::uint32_t terminal) {
  return (set[terminal / 64] >> (terminal % 64) & 1U) != 0;
}

// The states that reductions and a shift leave on top of an unchanged part of the stack.
class StackTop {
 public:
  StackTop(std::uint32_t base) : base_(base) {}

  template <typename Nodes>
  [[nodiscard]] std::uint32_t state(const Nodes& nodes) const {
    return pushed_.empty() ? nodes[base_].state : pushed_.back();
  }
  template <typename Nodes>
  void drop(const Nodes& nodes, std::uint32_t count) {
    for (; count > 0 && !pushed_.empty(); --count) pushed_.pop_back();
    for (; count > 0; --count) base_ = nodes[base_].below;
  }
  void push(std::uint32_t state) { pushed_.push_back(state); }
  [[nodiscard]] std::uint32_t base() const { return base_; }
  [[nodiscard]] const std::vector<std::uint32_t>& pushed() const { return pushed_; }

 private:
  std::uint32_t base_;
  std::vector<std::uint32_t> pushed_;
};

// Reduces until the terminal can be shifted, or accepted as the end; says what came of it.
template <typename Nodes>
LrAction reduce(const LrTable& parser, const Nodes& nodes, StackTop& top, std::uint32_t terminal) {
  for (int i = 0; i < kMostReductions; ++i) {
    const LrAction action = parser.action(top.state(nodes), terminal);
    if (action.kind != LrAction::Kind::kReduce) return action;
    const LrTable::Reduction& reduction = parser.reduction(action.target);
    top.drop(nodes, reduction.length);
    top.push(parser.go_to(top.state(nodes), reduction.rule));
  }
  return {};
}

}  // namespace

YaccMachine::YaccMachine(std::shared_ptr<const YaccTables> tables) : tables_(std::move(tables)) {
  nodes_.push_back({});
  places_.push_back({});
}

std::optional<YaccMachine::Stack> YaccMachine::shift(Stack stack, std::uint32_t terminal) {
  const std::uint64_t key = std::uint64_t{stack} << 32U | terminal;
  const auto known = shifted_.find(key);
  if (known != shifted_.end()) return known->second;
  if (shifted_.size() > kMostRemembered) shifted_.clear();
  std::optional<Stack> result;
  StackTop top(stack);
  const LrAction action = reduce(tables_->parser, nodes_, top, terminal);
  if (action.kind == LrAction::Kind::kShift) {
    top.push(action.target);
    Stack at = top.base();
    for (const std::uint32_t state : top.pushed()) {
      nodes_.push_back({.state = state, .below = at});
      at = static_cast<Stack>(nodes_.size() - 1);
    }
    result = at;
  }
  shifted_.emplace(key, result);
  return result;
}

std::optional<YaccMachine::Stack> YaccMachine::after(Stack stack, std::uint32_t terminal) {
  if (skips(terminal)) return stack;
  return shift(stack, terminal);
}

bool YaccMachine::may_end(Stack stack, std::optional<std::uint32_t> terminal) const {
  StackTop top(stack);
  if (terminal && !skips(*terminal)) {
    const LrAction action = reduce(tables_->parser, nodes_, top, *terminal);
    if (action.kind != LrAction::Kind::kShift) return false;
    top.push(action.target);
  }
  return reduce(tables_->parser, nodes_, top, tables_->parser.end_of_text()).kind ==
         LrAction::Kind::kAccept;
}

const YaccMachine::Allowed& YaccMachine::allowed(Stack stack) {
  const auto known = allowed_.find(stack);
  if (known != allowed_.end()) return known->second;
  if (allowed_.size() > kMostRemembered) allowed_.clear();
  Allowed made{.set = tables_->skipped};
  for (std::uint32_t t = 0; t < tables_->parser.terminal_count(); ++t) {
    if (tables_->parser.action(nodes_[stack].state, t).kind == LrAction::Kind::kError) continue;
    StackTop top(stack);
    if (reduce(tables_->parser, nodes_, top, t).kind == LrAction::Kind::kShift) {
      made.set[t / 64] |= std::uint64_t{1} << (t % 64);
    }
  }
  made.number = tables_->memory->number_of(made.set);
  return allowed_.emplace(stack, std::move(made)).first->second;
}

std::optional<YaccMachine::Place> YaccMachine::begin(Stack stack, std::uint8_t byte) {
  const StateId next = tables_->lexer.next(tables_->lexer.start(), byte);
  if (next == kDead || !meet(tables_->reach[next], allowed(stack).set)) return std::nullopt;
  return Place{.lexer = next, .fresh = false, .stack = stack};
}

std::optional<YaccMachine::Place> YaccMachine::step(const Place& place, std::uint8_t byte) {
  if (place.fresh) return begin(place.stack, byte);
  const StateId next = tables_->lexer.next(place.lexer, byte);
  if (next != kDead) {
    // The lexer takes what is longest, so nothing has ended here.
    if (!meet(tables_->reach[next], allowed(place.stack).set)) return std::nullopt;
    return Place{.lexer = next, .fresh = false, .stack = place.stack};
  }
  const std::int32_t label = tables_->lexer.label(place.lexer);
  if (label < 0) return std::nullopt;
  const auto stack = after(place.stack, static_cast<std::uint32_t>(label));
  if (!stack) return std::nullopt;
  return begin(*stack, byte);
}

bool YaccMachine::push(std::uint8_t byte) {
  if (tables_->lexer.empty()) return false;
  const auto next = step(places_.back(), byte);
  if (!next) return false;
  places_.push_back(*next);
  return true;
}

bool YaccMachine::accepts() const {
  const Place& place = places_.back();
  if (place.fresh) return may_end(place.stack, std::nullopt);
  const std::int32_t label = tables_->lexer.label(place.lexer);
  return label >= 0 && may_end(place.stack, static_cast<std::uint32_t>(label));
}

ByteSet YaccMachine::next_bytes() {
  ByteSet out;
  if (tables_->lexer.empty()) return out;
  const Place place = places_.back();
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (step(place, static_cast<std::uint8_t>(byte))) out.set(byte);
  }
  return out;
}

void YaccMachine::allow_tokens(const TokenTrie& trie, int which, TokenMask& mask) {
  if (tables_->lexer.empty()) return;
  const Place place = places_.back();
  allow_below({.trie = trie, .which = which, .mask = mask}, place, 0);
}

std::shared_ptr<const LexerFates> YaccMachine::fates(const Walk& walk, const Place& place,
                                                     TrieNode node) {
  const Allowed& allow = allowed(place.stack);
  // The numbers share one key of 64 bits.
  constexpr std::uint32_t kMostSets = 1U << 16U;
  constexpr TrieNode kMostNodes = 1U << 24U;
  constexpr StateId kMostStates = 1U << 23U;
  const StateId from = place.fresh ? 0 : place.lexer + 1;
  const bool keeps = allow.number < kMostSets && node < kMostNodes && from < kMostStates;
  const std::uint64_t key = std::uint64_t{from} << 41U | std::uint64_t{allow.number} << 25U |
                            std::uint64_t{node} << 1U | static_cast<std::uint64_t>(walk.which != 0);
  if (keeps) {
    if (auto known = tables_->memory->fates.find(key)) return known;
  }
  const Dfa& lexer = tables_->lexer;
  const TokenTrie& trie = walk.trie;
  auto made = std::make_shared<LexerFates>();
  std::vector<TokenId> taken;
  struct Level {
    TrieNode end = 0;
    StateId state = 0;
  };
  std::vector<Level> levels;
  levels.push_back({.end = trie.end(node), .state = place.fresh ? lexer.start() : place.lexer});
  bool at_fresh = place.fresh;
  for (TrieNode at = node + 1; at < trie.end(node);) {
    while (at >= levels.back().end) levels.pop_back();
    const StateId state = levels.back().state;
    const StateId next = lexer.next(state, trie.byte(at));
    if (next == kDead) {
      const std::int32_t label = lexer.label(state);
      const bool fresh = at_fresh && levels.size() == 1;
      if (label >= 0 && !fresh && has(allow.set, static_cast<std::uint32_t>(label))) {
        made->exits.push_back(
            {.terminal = static_cast<std::uint32_t>(label), .byte = trie.byte(at), .node = at});
      }
      at = trie.end(at);
    } else if (!meet(tables_->reach[next], allow.set)) {
      at = trie.end(at);
    } else {
      levels.push_back({.end = trie.end(at), .state = next});
      for (const TokenId id : trie.tokens(at)) taken.push_back(id);
      ++at;
    }
  }
  std::sort(made->exits.begin(), made->exits.end(),
            [](const LexerFates::Exit& a, const LexerFates::Exit& b) {
              if (a.terminal != b.terminal) return a.terminal < b.terminal;
              return a.byte != b.byte ? a.byte < b.byte : a.node < b.node;
            });
  made->exits.shrink_to_fit();
  made->taken.keep(std::move(taken));
  if (keeps) tables_->memory->fates.add(key, made);
  return made;
}

void YaccMachine::allow_below(const Walk& walk, const Place& place, TrieNode node) {
  const auto known = fates(walk, place, node);
  known->taken.allow(walk.mask);
  for (auto at = known->exits.begin(); at != known->exits.end();) {
    const std::uint32_t terminal = at->terminal;
    const std::uint8_t byte = at->byte;
    const auto end = std::find_if(at, known->exits.end(), [&](const LexerFates::Exit& exit) {
      return exit.terminal != terminal || exit.byte != byte;
    });
    const auto stack = after(place.stack, terminal);
    const auto next = stack ? begin(*stack, byte) : std::nullopt;
    for (; next && at != end; ++at) {
      for (const TokenId id : walk.trie.tokens(at->node)) walk.mask.allow(id);
      if (walk.trie.end(at->node) - at->node <= kSmallTree) {
        try_below(walk, *next, at->node);
      } else {
        allow_below(walk, *next, at->node);
      }
    }
    at = end;
  }
}

void YaccMachine::try_below(const Walk& walk, const Place& place, TrieNode node) {
  for (TrieNode at = node + 1; at < walk.trie.end(node); at = walk.trie.end(at)) {
    const auto next = step(place, walk.trie.byte(at));
    if (!next) continue;
    for (const TokenId id : walk.trie.tokens(at)) walk.mask.allow(id);
    try_below(walk, *next, at);
  }
}

}  // namespace mistral::grammar
