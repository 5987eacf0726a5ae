#include "text/grammar/shortest.h"

#include <array>
#include <functional>
#include <queue>
#include <utility>

#include "text/grammar/grammar.h"
#include "text/grammar/number_lists.h"

namespace mistral::grammar {
namespace {

// Which bytes are written first where any will do.
constexpr std::array<std::uint8_t, 256> kByLiking = [] {
  std::array<std::uint8_t, 256> out{};
  std::array<bool, 256> taken{};
  std::size_t count = 0;
  const auto take = [&](unsigned from, unsigned to) {
    for (unsigned byte = from; byte <= to; ++byte) {
      if (taken[byte]) continue;
      taken[byte] = true;
      out[count++] = static_cast<std::uint8_t>(byte);
    }
  };
  take('a', 'z');
  take('0', '9');
  take('A', 'Z');
  take(' ', '~');
  take(0, 255);
  return out;
}();

}  // namespace

ShortestWords::ShortestWords(const Dfa& dfa) : lengths_(dfa.size(), kEndless) {
  std::vector<StateId> work;
  for (StateId state = 0; state < dfa.size(); ++state) {
    if (!dfa.accepts(state)) continue;
    lengths_[state] = 0;
    work.push_back(state);
  }
  if (work.size() == dfa.size()) return;
  const NumberLists before(dfa.size(), [&](const auto& add) {
    for (StateId state = 0; state < dfa.size(); ++state) {
      StateId last = kDead;
      for (std::size_t c = 0; c < dfa.class_count(); ++c) {
        const StateId next = dfa.next_of_class(state, c);
        if (next != kDead && next != last) add(next, state);
        last = next;
      }
    }
  });
  for (std::size_t at = 0; at < work.size(); ++at) {
    for (const StateId state : before[work[at]]) {
      if (lengths_[state] != kEndless) continue;
      lengths_[state] = lengths_[work[at]] + 1;
      work.push_back(state);
    }
  }
}

void ShortestWords::append(const Dfa& dfa, StateId state, std::string& out) const {
  while (lengths_[state] > 0) {
    StateId next = kDead;
    for (const std::uint8_t byte : kByLiking) {
      next = dfa.next(state, byte);
      if (next == kDead || lengths_[next] + 1 != lengths_[state]) continue;
      out += static_cast<char>(byte);
      break;
    }
    state = next;
  }
}

// Knuth's generalisation of Dijkstra's algorithm: states are finished in the order of their
// lengths, and an edge counts when what it spells and where it leads are both finished.
ShortestTexts::ShortestTexts(const Grammar& grammar, Budget& budget)
    : lengths_(grammar.states.size(), kEndless), edges_(grammar.states.size(), kNoEdge) {
  const auto& edges = grammar.edges;
  std::vector<std::uint32_t> source(edges.size());
  for (std::uint32_t state = 0; state < grammar.states.size(); ++state) {
    const Grammar::State& from = grammar.states[state];
    for (std::uint32_t e = 0; e < from.edge_count; ++e) source[from.first_edge + e] = state;
  }
  const NumberLists into(grammar.states.size(), [&](const auto& add) {
    for (std::uint32_t e = 0; e < edges.size(); ++e) add(edges[e].target, e);
  });
  const NumberLists users(grammar.rule_start.size(), [&](const auto& add) {
    for (std::uint32_t e = 0; e < edges.size(); ++e) {
      if ((edges[e].symbol & Grammar::kTerminalBit) == 0) add(edges[e].symbol, e);
    }
  });
  std::vector<bool> finished(grammar.states.size(), false);
  // Of what an edge spells; kEndless while that is not known.
  const auto spelled = [&](std::uint32_t symbol) {
    if ((symbol & Grammar::kTerminalBit) != 0) {
      const Terminal& terminal = *grammar.terminals[symbol & ~Grammar::kTerminalBit];
      return terminal.shortest().length(terminal.dfa().start());
    }
    const std::uint32_t start = grammar.rule_start[symbol];
    return finished[start] ? lengths_[start] : kEndless;
  };
  using Entry = std::pair<std::uint32_t, std::uint32_t>;  // length, state
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
  const auto try_edge = [&](std::uint32_t e) {
    if (!finished[edges[e].target]) return;
    const std::uint32_t length = add_lengths(spelled(edges[e].symbol), lengths_[edges[e].target]);
    if (length >= lengths_[source[e]]) return;
    lengths_[source[e]] = length;
    edges_[source[e]] = e;
    queue.emplace(length, source[e]);
  };
  for (std::uint32_t state = 0; state < grammar.states.size(); ++state) {
    if (!grammar.states[state].accepts) continue;
    lengths_[state] = 0;
    queue.emplace(0U, state);
  }
  while (!queue.empty()) {
    budget.tick();
    const std::uint32_t state = queue.top().second;
    queue.pop();
    if (finished[state]) continue;
    finished[state] = true;
    for (const std::uint32_t e : into[state]) try_edge(e);
    const std::uint32_t rule = grammar.states[state].rule;
    if (grammar.rule_start[rule] != state) continue;
    for (const std::uint32_t e : users[rule]) try_edge(e);
  }
}

void ShortestTexts::append(const Grammar& grammar, std::uint32_t state, std::string& out) const {
  std::vector<std::uint32_t> work = {state};
  while (!work.empty()) {
    const std::uint32_t at = work.back();
    work.pop_back();
    if (edges_[at] == kNoEdge) continue;
    const Grammar::Edge& edge = grammar.edges[edges_[at]];
    work.push_back(edge.target);
    if ((edge.symbol & Grammar::kTerminalBit) == 0) {
      work.push_back(grammar.rule_start[edge.symbol]);
      continue;
    }
    const Terminal& terminal = *grammar.terminals[edge.symbol & ~Grammar::kTerminalBit];
    terminal.shortest().append(terminal.dfa(), terminal.dfa().start(), out);
  }
}

}  // namespace mistral::grammar
