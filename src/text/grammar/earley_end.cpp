// The shortest way from what has been read to the end of the text.
#include <functional>
#include <queue>
#include <unordered_map>
#include <utility>

#include "text/grammar/earley.h"

namespace mistral::grammar {
namespace {

// Items looked at; more is left alone (some milliseconds).
constexpr std::size_t kMostWork = 400'000;

// A symbol that began at the end of a set and is complete now: what then has to follow.
struct Completion {
  std::uint32_t symbol = 0;
  std::uint32_t origin = 0;
  std::uint32_t length = kEndless;
  std::uint32_t state = 0;  // the rule that asked for the symbol goes on from here
  std::uint32_t next = 0;   // and is this completion when it is through
};
// What a completion leads to.
struct Way {
  std::uint32_t from = 0;
  std::uint32_t state = 0;
};

}  // namespace

std::optional<std::string> EarleyMachine::shortest_end(std::size_t most) {
  if (accepts()) return std::string();
  const ShortestTexts& shortest = grammar_->shortest;
  std::vector<Completion> nodes;
  std::unordered_map<std::uint64_t, std::uint32_t> numbers;
  const auto number_of = [&](std::uint32_t symbol, std::uint32_t origin) {
    const std::uint64_t key = std::uint64_t{symbol} << 32U | origin;
    const auto [found, added] = numbers.try_emplace(key, static_cast<std::uint32_t>(nodes.size()));
    if (added) nodes.push_back({.symbol = symbol, .origin = origin});
    return found->second;
  };
  const auto is_text = [&](const Completion& node) {
    return node.symbol == grammar_->start_rule && node.origin == 0;
  };
  const std::size_t first_flight = sets_.back().first_flight;
  for (std::size_t i = first_flight; i < flights_.size(); ++i) {
    number_of(Grammar::kTerminalBit | flights_[i].terminal, flights_[i].origin);
  }
  std::vector<std::vector<Way>> into(1);
  std::size_t work = 0;
  std::optional<std::uint32_t> text;  // the completion of all
  for (std::uint32_t at = 0; at < nodes.size(); ++at) {
    const Completion node = nodes[at];
    if (is_text(node)) {
      text = at;
      continue;
    }
    work += 1 + each_waiting(node.symbol, node.origin, [&](const Waiting& one) {
              const std::uint32_t to = number_of(grammar_->states[one.target].rule, one.origin);
              if (into.size() < nodes.size()) into.resize(nodes.size());
              into[to].push_back({.from = at, .state = one.target});
            });
    if (work > kMostWork) return std::nullopt;
  }
  if (!text) return std::nullopt;
  // Dijkstra, backwards from the end of the text.
  using Entry = std::pair<std::uint32_t, std::uint32_t>;  // length, completion
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
  nodes[*text].length = 0;
  queue.emplace(0U, *text);
  while (!queue.empty()) {
    const auto [length, at] = queue.top();
    queue.pop();
    if (length != nodes[at].length || at >= into.size()) continue;
    for (const Way& way : into[at]) {
      const std::uint32_t longer = add_lengths(length, shortest.length(way.state));
      Completion& from = nodes[way.from];
      if (longer >= from.length) continue;
      from.length = longer;
      from.state = way.state;
      from.next = at;
      queue.emplace(longer, way.from);
    }
  }
  std::uint32_t best = kEndless;
  const Flight* chosen = nullptr;
  for (std::size_t i = first_flight; i < flights_.size(); ++i) {
    const Flight& flight = flights_[i];
    const std::uint32_t after =
        nodes[number_of(Grammar::kTerminalBit | flight.terminal, flight.origin)].length;
    const std::uint32_t length =
        add_lengths(grammar_->terminals[flight.terminal]->shortest().length(flight.state), after);
    if (length >= best) continue;
    best = length;
    chosen = &flight;
  }
  if (chosen == nullptr || best > most) return std::nullopt;
  std::string out;
  const Terminal& terminal = *grammar_->terminals[chosen->terminal];
  terminal.shortest().append(terminal.dfa(), chosen->state, out);
  std::uint32_t at = number_of(Grammar::kTerminalBit | chosen->terminal, chosen->origin);
  for (; at != *text; at = nodes[at].next) shortest.append(*grammar_, nodes[at].state, out);
  return out;
}

}  // namespace mistral::grammar
