// A short way from what has been read to the end of the text: a search over what the parser may
// read next, led by how many bytes its open rules lack.
#include <functional>
#include <queue>
#include <unordered_set>
#include <utility>

#include "text/grammar/yacc_machine.h"

namespace mistral::grammar {
namespace {

// Terminals tried, and places on the stack looked at (some milliseconds).
constexpr std::size_t kMostTries = 20'000;
constexpr std::size_t kMostLooks = 400'000;
// What was worked out about stacks is forgotten when it grows beyond this.
constexpr std::size_t kMostLacksKept = std::size_t{1} << 18U;
// What a rule lacks does not count the white space between words, so that many ways look equally
// long. This leads to the end of one of them before all others are tried.
constexpr std::uint64_t kHaste = 4;

}  // namespace

// The shortest way over the rules that are open on the stack, from the inner to the outer ones. A
// node is a rule that is complete, and the stack below it.
std::uint32_t YaccMachine::lacks(Stack stack, std::size_t& looks) {
  const LrTable& parser = tables_->parser;
  const LrEnds& ends = tables_->ends;
  const std::uint32_t whole = parser.rule_count();
  struct Way {
    std::uint32_t from = 0;
    std::uint32_t length = 0;
  };
  struct Completion {
    std::uint64_t key = 0;
    std::uint32_t length = kEndless;
    std::vector<Way> from = {};
  };
  // The first two nodes: where the search begins, and the end of the text.
  std::vector<Completion> nodes(2);
  std::unordered_map<std::uint64_t, std::uint32_t> numbers;
  const auto add_ways = [&](std::uint32_t from, std::uint32_t state, Stack at, bool on_stack) {
    for (const LrEnds::Open& open : ends.open(state)) {
      ++looks;
      if (open.rule == whole) {
        nodes[1].from.push_back({.from = from, .length = open.lacks});
        continue;
      }
      Stack below = at;
      for (std::uint32_t i = on_stack ? 0 : 1; i < open.read; ++i) below = nodes_[below].below;
      looks += open.read;
      const std::uint64_t key = std::uint64_t{below} << 32U | open.rule;
      if (const auto known = lacks_.find(key); known != lacks_.end()) {
        nodes[1].from.push_back({.from = from, .length = add_lengths(open.lacks, known->second)});
        continue;
      }
      const auto [found, added] =
          numbers.try_emplace(key, static_cast<std::uint32_t>(nodes.size()));
      if (added) nodes.push_back({.key = key});
      nodes[found->second].from.push_back({.from = from, .length = open.lacks});
    }
  };
  add_ways(0, nodes_[stack].state, stack, /*on_stack=*/true);
  for (std::uint32_t at = 2; at < nodes.size(); ++at) {
    if (looks > kMostLooks) return kEndless;
    const auto below = static_cast<Stack>(nodes[at].key >> 32U);
    const auto rule = static_cast<std::uint32_t>(nodes[at].key & 0xFFFFFFFFU);
    add_ways(at, parser.go_to(nodes_[below].state, rule), below, /*on_stack=*/false);
  }
  using Entry = std::pair<std::uint32_t, std::uint32_t>;  // length, node
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
  nodes[1].length = 0;
  queue.emplace(0U, 1U);
  while (!queue.empty()) {
    const auto [length, at] = queue.top();
    queue.pop();
    if (length != nodes[at].length) continue;
    for (const Way& way : nodes[at].from) {
      const std::uint32_t longer = add_lengths(length, way.length);
      if (longer >= nodes[way.from].length) continue;
      nodes[way.from].length = longer;
      queue.emplace(longer, way.from);
    }
  }
  if (lacks_.size() > kMostLacksKept) lacks_.clear();
  for (std::size_t i = 2; i < nodes.size(); ++i) lacks_.emplace(nodes[i].key, nodes[i].length);
  return nodes[0].length;
}

std::optional<std::string> YaccMachine::shortest_end(std::size_t most) {
  if (accepts()) return std::string();
  const Dfa& lexer = tables_->lexer;
  if (lexer.empty()) return std::nullopt;
  const std::uint32_t terminals = tables_->parser.terminal_count();
  const LrEnds& ends = tables_->ends;

  // A text whose last terminal is whole, and the stack behind it.
  struct Try {
    Place place = {};
    Stack after = 0;
    std::uint32_t before = 0;
    std::string added = {};
    std::uint64_t length = 0;  // of all that was added
  };
  std::vector<Try> tries;
  using Entry = std::pair<std::uint64_t, std::uint32_t>;  // promise, try
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
  std::unordered_set<std::uint64_t> seen;
  std::size_t looks = 0;
  const auto add = [&](const Place& place, std::uint32_t terminal, std::uint32_t before,
                       std::string added) {
    const auto stack = after(place.stack, terminal);
    if (!stack) return;
    const std::uint64_t length = (tries.empty() ? 0 : tries[before].length) + added.size();
    const std::uint32_t rest = lacks(*stack, looks);
    if (rest >= kEndless || length + rest > most) return;
    if (!seen.insert(std::uint64_t{*stack} << 32U | place.lexer).second) return;
    tries.push_back({.place = place,
                     .after = *stack,
                     .before = before,
                     .added = std::move(added),
                     .length = length});
    queue.emplace(length + kHaste * rest, static_cast<std::uint32_t>(tries.size() - 1));
  };
  // The text reads as exactly these terminals: nothing joins what stands before it.
  const auto read = [&](Place place, const std::string& text) -> std::optional<Place> {
    for (const char c : text) {
      const auto next = step(place, static_cast<std::uint8_t>(c));
      if (!next) return std::nullopt;
      place = *next;
    }
    return place;
  };
  const auto reads_as = [&](const std::optional<Place>& place, Stack stack,
                            std::uint32_t terminal) {
    return place && !place->fresh && place->stack == stack &&
           lexer.label(place->lexer) == static_cast<std::int32_t>(terminal);
  };

  const Place here = places_.back();
  tries.push_back({.place = here, .after = here.stack});
  std::string separator;
  for (std::uint32_t t = 0; t < terminals; ++t) {
    const std::string& word = ends.word(t);
    if (!skips(t) || word.empty()) continue;
    if (separator.empty() || word.size() < separator.size()) separator = word;
  }
  if (here.fresh) {
    queue.emplace(0U, 0U);
  } else {
    const auto words = shortest_words(lexer, here.lexer, terminals);
    for (std::uint32_t t = 0; t < terminals; ++t) {
      if (!words[t]) continue;
      if (const auto place = read(here, *words[t]); reads_as(place, here.stack, t)) {
        add(*place, t, 0, *words[t]);
      }
    }
  }
  for (std::size_t tried = 0; !queue.empty();) {
    const std::uint32_t number = queue.top().second;
    queue.pop();
    const Place place = tries[number].place;
    const Stack stack = tries[number].after;
    if (may_end(stack, std::nullopt) && number != 0) {
      std::string out;
      for (std::uint32_t at = number; at != 0; at = tries[at].before) {
        out.insert(0, tries[at].added);
      }
      return out;
    }
    const TerminalSet possible = allowed(stack).set;
    for (std::uint32_t t = 0; t < terminals; ++t) {
      const std::string& word = ends.word(t);
      if ((possible[t / 64] >> (t % 64) & 1U) == 0 || skips(t) || word.empty()) continue;
      if (++tried > kMostTries || looks > kMostLooks) return std::nullopt;
      std::string added = word;
      auto next = read(place, added);
      if (!reads_as(next, stack, t) && !separator.empty()) {
        added.insert(0, separator);
        next = read(place, added);
      }
      if (reads_as(next, stack, t)) add(*next, t, number, std::move(added));
    }
  }
  return std::nullopt;
}

}  // namespace mistral::grammar
