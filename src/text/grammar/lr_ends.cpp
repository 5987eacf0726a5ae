#include "text/grammar/lr_ends.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

#include "text/grammar/shortest.h"

namespace mistral::grammar {
namespace {

// The fewest bytes of each rule's texts, by Knuth's generalisation of Dijkstra's algorithm: a
// production counts when all of its symbols are finished.
std::vector<std::uint32_t> shortest_rules(const LrTable& parser,
                                          const std::vector<std::uint32_t>& words, Budget& budget) {
  const std::uint32_t first_rule = parser.terminal_count() + 1;
  const std::uint32_t rules = parser.rule_count();
  std::vector<std::uint32_t> lengths(rules, kEndless);
  std::vector<std::vector<std::uint32_t>> users(rules);
  std::vector<std::uint32_t> missing(parser.productions(), 0);  // rules that are not finished
  std::vector<std::uint32_t> sums(parser.productions(), 0);
  using Entry = std::pair<std::uint32_t, std::uint32_t>;  // length, rule
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
  const auto complete = [&](std::uint32_t production) {
    const std::uint32_t rule = parser.reduction(production).rule;
    if (rule >= rules || sums[production] >= lengths[rule]) return;
    lengths[rule] = sums[production];
    queue.emplace(sums[production], rule);
  };
  for (std::uint32_t p = 0; p < parser.productions(); ++p) {
    for (const std::uint32_t symbol : parser.symbols(p)) {
      if (symbol < first_rule) {
        sums[p] = add_lengths(sums[p], words[symbol]);
      } else {
        users[symbol - first_rule].push_back(p);
        ++missing[p];
      }
    }
    if (missing[p] == 0) complete(p);
  }
  std::vector<bool> finished(rules, false);
  while (!queue.empty()) {
    budget.tick();
    const std::uint32_t rule = queue.top().second;
    queue.pop();
    if (finished[rule]) continue;
    finished[rule] = true;
    for (const std::uint32_t p : users[rule]) {
      sums[p] = add_lengths(sums[p], lengths[rule]);
      if (--missing[p] == 0) complete(p);
    }
  }
  return lengths;
}

}  // namespace

std::vector<std::optional<std::string>> shortest_words(const Dfa& lexer, StateId from,
                                                       std::uint32_t terminals) {
  std::vector<std::optional<std::string>> words(terminals);
  if (from == kDead) return words;
  // Bytes of the classes that are tried first make words that are easy to read.
  std::vector<std::uint8_t> byte_of(lexer.class_count(), 0);
  std::vector<std::size_t> order;
  const auto take = [&](unsigned low, unsigned high) {
    for (unsigned byte = low; byte <= high; ++byte) {
      const std::size_t c = lexer.classes()[byte];
      if (std::find(order.begin(), order.end(), c) != order.end()) continue;
      order.push_back(c);
      byte_of[c] = static_cast<std::uint8_t>(byte);
    }
  };
  take(' ', ' ');
  take('a', 'z');
  take('0', '9');
  take('A', 'Z');
  take('!', '~');
  take(0, 255);
  struct Step {
    StateId state = 0;
    std::uint32_t before = 0;
    std::uint8_t byte = 0;
  };
  std::vector<Step> steps;
  steps.push_back({.state = from});
  std::vector<bool> seen(lexer.size(), false);
  seen[from] = true;
  std::size_t missing = terminals;
  for (std::uint32_t at = 0; at < steps.size() && missing > 0; ++at) {
    const StateId state = steps[at].state;
    const std::int32_t label = lexer.label(state);
    if (label >= 0 && !words[static_cast<std::size_t>(label)]) {
      std::string word;
      for (std::uint32_t i = at; i != 0; i = steps[i].before) {
        word += static_cast<char>(steps[i].byte);
      }
      std::reverse(word.begin(), word.end());
      words[static_cast<std::size_t>(label)] = std::move(word);
      --missing;
    }
    for (const std::size_t c : order) {
      const StateId next = lexer.next_of_class(state, c);
      if (next == kDead || seen[next]) continue;
      seen[next] = true;
      steps.push_back({.state = next, .before = at, .byte = byte_of[c]});
    }
  }
  return words;
}

LrEnds::LrEnds(const LrTable& parser, const Dfa& lexer, Budget& budget)
    : words_(parser.terminal_count()) {
  std::vector<std::uint32_t> lengths(parser.terminal_count(), kEndless);
  if (!lexer.empty()) {
    auto words = shortest_words(lexer, lexer.start(), parser.terminal_count());
    for (std::uint32_t t = 0; t < parser.terminal_count(); ++t) {
      if (!words[t] || words[t]->empty()) continue;  // the lexer never reads nothing
      words_[t] = std::move(*words[t]);
      lengths[t] = static_cast<std::uint32_t>(words_[t].size());
    }
  }
  const std::vector<std::uint32_t> rules = shortest_rules(parser, lengths, budget);
  const std::uint32_t first_rule = parser.terminal_count() + 1;
  for (std::uint32_t state = 0; state < parser.states(); ++state) {
    first_.push_back(open_.size());
    for (const LrTable::Item& item : parser.kernel(state)) {
      budget.tick();
      const auto symbols = parser.symbols(item.production);
      Open open{.rule = parser.reduction(item.production).rule, .read = item.read};
      for (std::size_t i = item.read; i < symbols.size(); ++i) {
        open.lacks =
            add_lengths(open.lacks, symbols[i] < first_rule ? lengths[symbols[i]]
                                                            : rules[symbols[i] - first_rule]);
      }
      if (open.lacks < kEndless) open_.push_back(open);
    }
  }
  first_.push_back(open_.size());
  budget.add_bytes(open_.size() * sizeof(Open) + first_.size() * sizeof(std::size_t));
}

}  // namespace mistral::grammar
