#include "text/grammar/grammar.h"

#include <algorithm>
#include <functional>
#include <map>
#include <unordered_map>

#include "core/error.h"

namespace mistral::grammar {

Expression regular(Dfa dfa) {
  return {.kind = Expression::Kind::kRegular, .dfa = std::move(dfa)};
}

Expression rule_reference(std::uint32_t rule) {
  return {.kind = Expression::Kind::kRule, .rule = rule};
}

Expression sequence(std::vector<Expression> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  return {.kind = Expression::Kind::kSequence, .children = std::move(parts)};
}

Expression choice(std::vector<Expression> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  return {.kind = Expression::Kind::kChoice, .children = std::move(parts)};
}

Expression repeat(Expression part, std::uint32_t least, std::uint32_t most) {
  Expression out{.kind = Expression::Kind::kRepeat, .least = least, .most = most};
  out.children.push_back(std::move(part));
  return out;
}

namespace {

using Kind = Expression::Kind;

// Joins what is regular into larger terminals, as long as these stay small: a terminal is followed
// several times as fast as a network.
class Folder {
 public:
  explicit Folder(Budget& budget) : budget_(budget) {}

  void fold(Expression& expression) {
    budget_.tick();
    for (Expression& child : expression.children) fold(child);
    if (expression.kind == Kind::kRegular || expression.kind == Kind::kRule) return;
    if (expression.kind == Kind::kSequence || expression.kind == Kind::kChoice) {
      fold_runs(expression);
      if (expression.children.size() == 1) {
        Expression only = std::move(expression.children.front());
        expression = std::move(only);
      }
      return;
    }
    fold_repeat(expression);
  }

 private:
  static constexpr std::size_t kMostStates = 96;

  [[nodiscard]] static bool small(const Expression& expression) {
    return expression.kind == Kind::kRegular && expression.dfa.size() <= kMostStates;
  }

  // Neighbours in a sequence, all in a choice.
  void fold_runs(Expression& expression) {
    std::vector<Expression> out;
    std::vector<Expression> run;
    std::size_t states = 0;
    const auto flush = [&] {
      if (run.size() > 1) {
        out.push_back(regular(join(run, expression.kind == Kind::kSequence)));
      } else if (!run.empty()) {
        out.push_back(std::move(run.front()));
      }
      run.clear();
      states = 0;
    };
    for (Expression& child : expression.children) {
      if (!small(child)) {
        if (expression.kind == Kind::kSequence) flush();
        out.push_back(std::move(child));
        continue;
      }
      if (states + child.dfa.size() > kMostStates) flush();
      states += child.dfa.size();
      run.push_back(std::move(child));
    }
    flush();
    expression.children = std::move(out);
  }

  Dfa join(const std::vector<Expression>& parts, bool in_sequence) {
    Nfa nfa(budget_);
    const StateId start = nfa.add_state();
    const StateId end = nfa.add_state();
    StateId at = start;
    for (const Expression& part : parts) {
      if (in_sequence) {
        const StateId next = nfa.add_state();
        embed(part.dfa, nfa, at, next);
        at = next;
      } else {
        embed(part.dfa, nfa, start, end);
      }
    }
    if (in_sequence) nfa.add_free_edge(at, end);
    return determinise(nfa, start, {end}, budget_);
  }

  void fold_repeat(Expression& expression) {
    const Expression& child = expression.children.front();
    if (child.kind != Kind::kRegular) return;
    const std::uint32_t copies = expression.most == Expression::kUnbounded
                                     ? expression.least + 1
                                     : std::max(expression.most, 1U);
    if (copies > kMostStates || child.dfa.size() * copies > kMostStates) return;
    Nfa nfa(budget_);
    const StateId start = nfa.add_state();
    const StateId end = nfa.add_state();
    StateId at = nfa.add_state();
    nfa.add_free_edge(start, at);
    for (std::uint32_t i = 0; i < expression.least; ++i) {
      const StateId next = nfa.add_state();
      embed(child.dfa, nfa, at, next);
      at = next;
    }
    nfa.add_free_edge(at, end);
    if (expression.most == Expression::kUnbounded) {
      embed(child.dfa, nfa, at, at);
    } else {
      for (std::uint32_t i = expression.least; i < expression.most; ++i) {
        const StateId next = nfa.add_state();
        embed(child.dfa, nfa, at, next);
        nfa.add_free_edge(next, end);
        at = next;
      }
    }
    Dfa joined = determinise(nfa, start, {end}, budget_);
    expression = regular(std::move(joined));
  }

  Budget& budget_;
};

// A rule's automaton over symbols while it is made; edges with kFree cost nothing.
struct Network {
  static constexpr std::uint32_t kFree = 0xFFFFFFFFU;
  std::vector<std::vector<Grammar::Edge>> edges;
  std::uint32_t end = 0;
};

class NetworkBuilder {
 public:
  using TerminalIndex = std::function<std::uint32_t(Dfa&&)>;

  NetworkBuilder(Budget& budget, const TerminalIndex& terminal)
      : budget_(budget), terminal_(terminal) {}

  Network build(Expression& body) {
    const std::uint32_t start = add_state();
    network_.end = add_state();
    add(body, start, network_.end);
    return std::move(network_);
  }

 private:
  std::uint32_t add_state() {
    budget_.add_states(1);
    budget_.tick();
    network_.edges.emplace_back();
    return static_cast<std::uint32_t>(network_.edges.size() - 1);
  }
  void edge(std::uint32_t from, std::uint32_t symbol, std::uint32_t to) {
    network_.edges[from].push_back({.symbol = symbol, .target = to});
  }

  void add(Expression& expression, std::uint32_t from, std::uint32_t to) {
    switch (expression.kind) {
      case Kind::kRegular: {
        if (expression.dfa.empty()) return;
        // A repetition comes here more than once.
        if (!expression.dfa.empty() && expression.rule == 0) {
          expression.rule = terminal_(std::move(expression.dfa)) + 1;
          expression.dfa = one_state_;
        }
        edge(from, Grammar::kTerminalBit | (expression.rule - 1), to);
        return;
      }
      case Kind::kRule:
        edge(from, expression.rule, to);
        return;
      case Kind::kChoice:
        for (Expression& child : expression.children) add(child, from, to);
        return;
      case Kind::kSequence: {
        std::uint32_t at = from;
        for (Expression& child : expression.children) {
          const std::uint32_t next = add_state();
          add(child, at, next);
          at = next;
        }
        edge(at, Network::kFree, to);
        return;
      }
      case Kind::kRepeat:
        add_repeat(expression, from, to);
        return;
    }
  }

  void add_repeat(Expression& expression, std::uint32_t from, std::uint32_t to) {
    Expression& body = expression.children.front();
    std::uint32_t at = add_state();
    edge(from, Network::kFree, at);
    for (std::uint32_t i = 0; i < expression.least; ++i) {
      const std::uint32_t next = add_state();
      add(body, at, next);
      at = next;
    }
    edge(at, Network::kFree, to);
    if (expression.most == Expression::kUnbounded) {
      const std::uint32_t again = add_state();
      edge(at, Network::kFree, again);
      const std::uint32_t end = add_state();
      add(body, again, end);
      edge(end, Network::kFree, again);
      edge(again, Network::kFree, to);
      return;
    }
    for (std::uint32_t i = expression.least; i < expression.most; ++i) {
      const std::uint32_t next = add_state();
      add(body, at, next);
      edge(next, Network::kFree, to);
      at = next;
    }
  }

  Budget& budget_;
  const TerminalIndex& terminal_;
  Network network_;
  Dfa one_state_ = literal_dfa("", budget_);
};

// What stands for each rule: itself, or what it is another name of. Names that only lead to each
// other have no texts, and stay.
std::vector<std::uint32_t> without_aliases(const std::vector<Expression>& bodies) {
  const auto count = static_cast<std::uint32_t>(bodies.size());
  constexpr std::uint32_t kUnknown = 0xFFFFFFFFU;
  constexpr std::uint32_t kOnPath = 0xFFFFFFFEU;
  std::vector<std::uint32_t> out(count, kUnknown);
  std::vector<std::uint32_t> path;
  for (std::uint32_t rule = 0; rule < count; ++rule) {
    std::uint32_t end = rule;
    path.clear();
    while (out[end] == kUnknown && bodies[end].kind == Kind::kRule) {
      out[end] = kOnPath;
      path.push_back(end);
      end = bodies[end].rule;
    }
    const bool circle = out[end] == kOnPath;
    if (out[end] == kUnknown) out[end] = end;
    for (const std::uint32_t name : path) out[name] = circle ? name : out[end];
  }
  return out;
}

// Turns networks into a Grammar: deterministic over symbols, without what leads nowhere.
class Assembler {
 public:
  Assembler(const std::vector<Network>& networks, Budget& budget)
      : networks_(networks), budget_(budget), productive_(networks.size(), false) {}

  void assemble(Grammar& grammar) {
    find_productive();
    if (!productive_[grammar.start_rule]) {
      throw Error(ErrorKind::kInvalidArgument, "the constraint allows no text at all");
    }
    grammar.rule_start.assign(networks_.size(), 0);
    for (std::uint32_t rule = 0; rule < networks_.size(); ++rule) {
      if (productive_[rule]) determinise(rule, grammar);
    }
    find_nullable(grammar);
  }

 private:
  [[nodiscard]] bool usable(std::uint32_t symbol) const {
    return symbol == Network::kFree || (symbol & Grammar::kTerminalBit) != 0 || productive_[symbol];
  }

  // The states from which the end of the rule is reached over usable symbols.
  [[nodiscard]] std::vector<bool> living(const Network& network) {
    std::vector<std::vector<std::uint32_t>> from(network.edges.size());
    for (std::uint32_t state = 0; state < network.edges.size(); ++state) {
      for (const Grammar::Edge& edge : network.edges[state]) {
        if (usable(edge.symbol)) from[edge.target].push_back(state);
      }
    }
    std::vector<bool> alive(network.edges.size(), false);
    std::vector<std::uint32_t> work = {network.end};
    alive[network.end] = true;
    while (!work.empty()) {
      budget_.tick();
      const std::uint32_t state = work.back();
      work.pop_back();
      for (const std::uint32_t before : from[state]) {
        if (alive[before]) continue;
        alive[before] = true;
        work.push_back(before);
      }
    }
    return alive;
  }

  void find_productive() {
    // A rule is looked at again when one that it uses turns out to have texts.
    std::vector<std::vector<std::uint32_t>> users(networks_.size());
    std::vector<std::uint32_t> work;
    for (std::uint32_t rule = 0; rule < networks_.size(); ++rule) {
      work.push_back(rule);
      for (const auto& edges : networks_[rule].edges) {
        for (const Grammar::Edge& edge : edges) {
          if (edge.symbol < networks_.size()) users[edge.symbol].push_back(rule);
        }
      }
    }
    while (!work.empty()) {
      budget_.tick();
      const std::uint32_t rule = work.back();
      work.pop_back();
      if (productive_[rule] || !living(networks_[rule])[0]) continue;
      productive_[rule] = true;
      work.insert(work.end(), users[rule].begin(), users[rule].end());
    }
  }

  using Set = std::vector<std::uint32_t>;

  void close(const Network& network, const std::vector<bool>& alive, Set& set) {
    std::vector<bool> seen(network.edges.size(), false);
    Set work = set;
    set.clear();
    while (!work.empty()) {
      budget_.tick();
      const std::uint32_t state = work.back();
      work.pop_back();
      if (seen[state] || !alive[state]) continue;
      seen[state] = true;
      set.push_back(state);
      for (const Grammar::Edge& edge : network.edges[state]) {
        if (edge.symbol == Network::kFree) work.push_back(edge.target);
      }
    }
    // Only what has symbols, or is the end, tells sets apart.
    std::erase_if(set, [&](std::uint32_t state) {
      const auto& edges = network.edges[state];
      return state != network.end &&
             std::all_of(edges.begin(), edges.end(),
                         [](const Grammar::Edge& edge) { return edge.symbol == Network::kFree; });
    });
    std::sort(set.begin(), set.end());
  }

  void determinise(std::uint32_t rule, Grammar& grammar) {
    const Network& network = networks_[rule];
    const std::vector<bool> alive = living(network);
    std::map<Set, std::uint32_t> ids;
    std::vector<Set> sets;
    const auto base = static_cast<std::uint32_t>(grammar.states.size());
    const auto id_of = [&](Set set) {
      const auto [found, added] =
          ids.try_emplace(set, base + static_cast<std::uint32_t>(sets.size()));
      if (added) {
        budget_.check_automaton(sets.size());
        budget_.add_bytes(2 * set.size() * sizeof(std::uint32_t) + sizeof(Grammar::State) + 64);
        sets.push_back(std::move(set));
      }
      return found->second;
    };
    Set start = {0};
    close(network, alive, start);
    grammar.rule_start[rule] = id_of(std::move(start));
    for (std::size_t at = 0; at < sets.size(); ++at) {
      Grammar::State state{.first_edge = static_cast<std::uint32_t>(grammar.edges.size()),
                           .rule = rule};
      std::map<std::uint32_t, Set> moves;
      for (const std::uint32_t member : sets[at]) {
        state.accepts = state.accepts || member == network.end;
        for (const Grammar::Edge& edge : network.edges[member]) {
          if (edge.symbol == Network::kFree || !usable(edge.symbol) || !alive[edge.target])
            continue;
          moves[edge.symbol].push_back(edge.target);
        }
      }
      for (auto& [symbol, set] : moves) {
        close(network, alive, set);
        grammar.edges.push_back({.symbol = symbol, .target = id_of(std::move(set))});
        ++state.edge_count;
      }
      grammar.states.push_back(state);
    }
  }

  void find_nullable(Grammar& grammar) const {
    grammar.rule_nullable.assign(networks_.size(), false);
    std::vector<bool> reaches(grammar.states.size(), false);
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t i = grammar.states.size(); i-- > 0;) {
        if (reaches[i]) continue;
        budget_.tick();
        const Grammar::State& state = grammar.states[i];
        bool now = state.accepts;
        for (std::uint32_t e = 0; e < state.edge_count && !now; ++e) {
          const Grammar::Edge& edge = grammar.edges[state.first_edge + e];
          now = reaches[edge.target] && nullable(grammar, edge.symbol);
        }
        if (!now) continue;
        reaches[i] = true;
        changed = true;
        if (grammar.rule_start[state.rule] == i) grammar.rule_nullable[state.rule] = true;
      }
    }
  }
  [[nodiscard]] static bool nullable(const Grammar& grammar, std::uint32_t symbol) {
    if ((symbol & Grammar::kTerminalBit) == 0) return grammar.rule_nullable[symbol];
    const Dfa& dfa = grammar.terminals[symbol & ~Grammar::kTerminalBit]->dfa();
    return dfa.accepts(dfa.start());
  }

  const std::vector<Network>& networks_;
  Budget& budget_;
  std::vector<bool> productive_;
};

}  // namespace

std::shared_ptr<const Grammar> GrammarBuilder::build(std::uint32_t start_rule) {
  auto grammar = std::make_shared<Grammar>();
  grammar->start_rule = start_rule;
  if (fold_) {
    Folder folder(budget_);
    for (Expression& body : bodies_) folder.fold(body);
  }
  const std::vector<std::uint32_t> standing_for = without_aliases(bodies_);
  // Rules that are a terminal each are that terminal wherever they are used.
  std::vector<std::uint32_t> terminal_of(bodies_.size(), 0);  // index + 1
  std::unordered_map<const Terminal*, std::uint32_t> indices;
  const NetworkBuilder::TerminalIndex index_of = [&](Dfa&& dfa) {
    budget_.add_bytes(2 * dfa.bytes() + dfa.size() * sizeof(ByteSet));
    auto terminal = vocabulary_.terminal(std::move(dfa), budget_);
    const auto [found, added] =
        indices.try_emplace(terminal.get(), static_cast<std::uint32_t>(grammar->terminals.size()));
    if (added) grammar->terminals.push_back(std::move(terminal));
    return found->second;
  };
  std::vector<Network> networks;
  networks.reserve(bodies_.size());
  for (Expression& body : bodies_) {
    if (body.kind == Expression::Kind::kRegular && !body.dfa.empty()) {
      terminal_of[networks.size()] = index_of(Dfa(body.dfa)) + 1;
    }
    networks.push_back(NetworkBuilder(budget_, index_of).build(body));
  }
  for (Network& network : networks) {
    for (auto& edges : network.edges) {
      for (Grammar::Edge& edge : edges) {
        if (edge.symbol >= networks.size()) continue;
        edge.symbol = standing_for[edge.symbol];
        if (terminal_of[edge.symbol] == 0) continue;
        edge.symbol = Grammar::kTerminalBit | (terminal_of[edge.symbol] - 1);
      }
    }
  }
  Assembler(networks, budget_).assemble(*grammar);
  grammar->shortest = ShortestTexts(*grammar, budget_);
  return grammar;
}

}  // namespace mistral::grammar
