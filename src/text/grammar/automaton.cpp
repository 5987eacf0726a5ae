#include "text/grammar/automaton.h"

#include <algorithm>
#include <map>
#include <span>
#include <unordered_map>

#include "text/grammar/dfa_builder.h"

namespace mistral::grammar {
namespace {

struct HashStates {
  std::size_t operator()(const std::vector<StateId>& states) const {
    std::uint64_t hash = 0xCBF29CE484222325U;
    for (const StateId state : states) {
      hash ^= state;
      hash *= 0x100000001B3U;
      hash ^= hash >> 29U;
    }
    return hash;
  }
};

}  // namespace

StateId Nfa::add_state() {
  budget_.add_states(1);
  budget_.tick();
  edges_.emplace_back();
  return static_cast<StateId>(edges_.size() - 1);
}

void Nfa::add_edge(StateId from, std::uint8_t low, std::uint8_t high, StateId to) {
  edges_[from].push_back({.target = to, .low = low, .high = high, .free = false});
}

void Nfa::add_free_edge(StateId from, StateId to, When when) {
  edges_[from].push_back({.target = to, .free = true, .when = when});
}

bool Dfa::matches(std::string_view text) const {
  StateId state = start_;
  for (const char c : text) {
    if (state == kDead) return false;
    state = next(state, static_cast<std::uint8_t>(c));
  }
  return state != kDead && accepts(state);
}

std::optional<std::vector<std::string>> Dfa::words(std::size_t limit) const {
  std::vector<std::string> out;
  if (empty()) return out;
  struct Path {
    StateId state;
    std::string text;
  };
  std::vector<Path> paths = {{start_, {}}};
  // A word at least as long as there are states means a cycle, and infinitely many words.
  for (std::size_t length = 0; !paths.empty(); ++length) {
    if (length > size()) return std::nullopt;
    std::vector<Path> longer;
    for (const Path& path : paths) {
      if (accepts(path.state)) out.push_back(path.text);
      for (unsigned byte = 0; byte < 256; ++byte) {
        const StateId target = next(path.state, static_cast<std::uint8_t>(byte));
        if (target != kDead) longer.push_back({target, path.text + static_cast<char>(byte)});
        // Every path leads to a word of its own.
        if (out.size() + longer.size() > limit) return std::nullopt;
      }
    }
    paths = std::move(longer);
  }
  return out;
}

namespace {

// Sets of states of an Nfa, closed under edges that cost nothing.
class Subsets {
 public:
  Subsets(const Nfa& nfa, const std::vector<StateId>& accepting)
      : nfa_(nfa), label_(nfa.size(), -1), seen_(nfa.size(), 0), matters_(nfa.size(), 0) {
    for (std::size_t i = accepting.size(); i-- > 0;) {
      label_[accepting[i]] = static_cast<std::int32_t>(i);
    }
    // States that only lead on for nothing need not be told apart.
    for (StateId state = 0; state < nfa.size(); ++state) {
      const auto& edges = nfa.edges(state);
      const bool leads = std::any_of(edges.begin(), edges.end(), [](const Nfa::Edge& edge) {
        return !edge.free || edge.when == Nfa::When::kAtEnd;
      });
      matters_[state] = leads || label_[state] >= 0 ? 1 : 0;
    }
  }

  // The states of `from` and all that they lead to for nothing, in the normal form of a set.
  [[nodiscard]] std::vector<StateId> close(std::span<const StateId> from, bool at_start) {
    reached_.clear();
    for (const StateId state : from) reach(state);
    for (std::size_t at = 0; at < reached_.size(); ++at) {
      nfa_.budget().tick();
      for (const Nfa::Edge& edge : nfa_.edges(reached_[at])) {
        if (!edge.free || edge.when == Nfa::When::kAtEnd) continue;
        if (edge.when == Nfa::When::kAtStart && !at_start) continue;
        reach(edge.target);
      }
    }
    std::vector<StateId> out;
    for (const StateId state : reached_) {
      seen_[state] = 0;
      if (matters_[state] != 0) out.push_back(state);
    }
    std::sort(out.begin(), out.end());
    return out;
  }
  // The best label that the set reaches without another byte, at the end of the text; at_start
  // where the text is empty.
  [[nodiscard]] std::int32_t label(const std::vector<StateId>& set, bool at_start) {
    reached_.clear();
    for (const StateId state : set) reach(state);
    std::int32_t best = -1;
    for (std::size_t at = 0; at < reached_.size(); ++at) {
      const std::int32_t label = label_[reached_[at]];
      if (label >= 0 && (best < 0 || label < best)) best = label;
      for (const Nfa::Edge& edge : nfa_.edges(reached_[at])) {
        if (!edge.free || (edge.when == Nfa::When::kAtStart && !at_start)) continue;
        reach(edge.target);
      }
    }
    for (const StateId state : reached_) seen_[state] = 0;
    return best;
  }

 private:
  void reach(StateId state) {
    if (seen_[state] != 0) return;
    seen_[state] = 1;
    reached_.push_back(state);
  }

  const Nfa& nfa_;
  std::vector<std::int32_t> label_;
  std::vector<std::uint8_t> seen_;
  std::vector<std::uint8_t> matters_;
  std::vector<StateId> reached_;
};

class SubsetConstruction {
 public:
  SubsetConstruction(const Nfa& nfa, const std::vector<StateId>& accepting, Budget& budget)
      : nfa_(nfa),
        budget_(budget),
        builder_(budget),
        subsets_(nfa, accepting),
        behind_one_(nfa.size(), kDead) {
    for (StateId state = 0; state < nfa.size(); ++state) {
      for (const Nfa::Edge& edge : nfa.edges(state)) {
        if (!edge.free) builder_.cut(edge.low, edge.high);
      }
    }
    builder_.finish_classes();
    targets_.resize(builder_.first_bytes().size());
  }

  Dfa run(StateId start) {
    // The state at the start of the text is not entered again: what holds only there stays there.
    const std::vector<StateId> first = subsets_.close(std::span(&start, 1), /*at_start=*/true);
    sets_.push_back(&first);
    std::ignore = builder_.add(subsets_.label(first, /*at_start=*/true));
    for (std::size_t at = 0; at < sets_.size(); ++at) expand(static_cast<StateId>(at));
    return builder_.finish(0);
  }

 private:
  void expand(StateId at) {
    for (const StateId state : *sets_[at]) {
      budget_.tick();
      for (const Nfa::Edge& edge : nfa_.edges(state)) {
        if (edge.free) continue;
        const std::size_t last = builder_.class_of(edge.high);
        for (std::size_t c = builder_.class_of(edge.low); c <= last; ++c) {
          targets_[c].push_back(edge.target);
        }
      }
    }
    // Neighbours mostly lead to the same states.
    std::size_t like = targets_.size();
    StateId id = kDead;
    for (std::size_t c = 0; c < targets_.size(); ++c) {
      if (targets_[c].empty()) continue;
      if (like == targets_.size() || targets_[c] != targets_[like]) {
        budget_.tick();
        id = set_behind(targets_[c]);
        like = c;
      }
      builder_.set(at, c, id);
    }
    for (auto& targets : targets_) targets.clear();
  }

  StateId set_behind(const std::vector<StateId>& targets) {
    if (targets.size() > 1) return id_of(subsets_.close(targets, /*at_start=*/false));
    StateId& known = behind_one_[targets[0]];
    if (known == kDead) known = id_of(subsets_.close(targets, /*at_start=*/false));
    return known;
  }

  StateId id_of(std::vector<StateId> set) {
    const auto [found, added] =
        ids_.try_emplace(std::move(set), static_cast<StateId>(sets_.size()));
    if (added) {
      budget_.add_bytes(2 * found->first.size() * sizeof(StateId));
      std::ignore = builder_.add(subsets_.label(found->first, /*at_start=*/false));
      sets_.push_back(&found->first);
    }
    return found->second;
  }

  const Nfa& nfa_;
  Budget& budget_;
  DfaBuilder builder_;
  Subsets subsets_;
  std::vector<std::vector<StateId>> targets_;  // by class of bytes, of the set that is expanded
  std::vector<StateId> behind_one_;            // the sets that single states lead to
  std::unordered_map<std::vector<StateId>, StateId, HashStates> ids_;
  std::vector<const std::vector<StateId>*> sets_;
};

}  // namespace

Dfa determinise(const Nfa& nfa, StateId start, const std::vector<StateId>& accepting,
                Budget& budget) {
  return SubsetConstruction(nfa, accepting, budget).run(start);
}

namespace {

// Walks two automata side by side; either may have died.
template <typename Accept>
Dfa product(const Dfa& a, const Dfa& b, Budget& budget, bool a_must_live, bool b_must_live,
            Accept accept) {
  DfaBuilder builder(budget);
  builder.cut(a);
  builder.cut(b);
  builder.finish_classes();
  const auto key = [](StateId x, StateId y) { return std::uint64_t{x} << 32U | y; };
  std::unordered_map<std::uint64_t, StateId> ids;
  std::vector<std::pair<StateId, StateId>> pairs;
  const auto id_of = [&](StateId x, StateId y) {
    if ((x == kDead && (a_must_live || y == kDead)) || (y == kDead && b_must_live)) return kDead;
    const auto [found, added] = ids.try_emplace(key(x, y), static_cast<StateId>(pairs.size()));
    if (added) {
      const bool accepts = accept(x != kDead && a.accepts(x), y != kDead && b.accepts(y));
      std::ignore = builder.add(accepts ? 0 : -1);
      pairs.emplace_back(x, y);
    }
    return found->second;
  };
  const StateId start = id_of(a.start(), b.start());
  const std::vector<std::uint8_t> first_bytes = builder.first_bytes();
  for (std::size_t at = 0; at < pairs.size(); ++at) {
    const auto [x, y] = pairs[at];
    std::pair<StateId, StateId> last = {kDead, kDead};
    StateId id = kDead;
    for (std::size_t c = 0; c < first_bytes.size(); ++c) {
      const std::pair next = {x == kDead ? kDead : a.next(x, first_bytes[c]),
                              y == kDead ? kDead : b.next(y, first_bytes[c])};
      if (next != last) {
        id = id_of(next.first, next.second);
        last = next;
      }
      builder.set(static_cast<StateId>(at), c, id);
    }
  }
  return builder.finish(start);
}

}  // namespace

Dfa intersect(const Dfa& a, const Dfa& b, Budget& budget) {
  return product(a, b, budget, true, true, [](bool x, bool y) { return x && y; });
}

Dfa unite(const Dfa& a, const Dfa& b, Budget& budget) {
  return product(a, b, budget, false, false, [](bool x, bool y) { return x || y; });
}

Dfa subtract(const Dfa& a, const Dfa& b, Budget& budget) {
  return product(a, b, budget, true, false, [](bool x, bool y) { return x && !y; });
}

Dfa literal_dfa(std::string_view text, Budget& budget) {
  Nfa nfa(budget);
  const StateId start = nfa.add_state();
  StateId state = start;
  for (const char c : text) {
    const StateId next = nfa.add_state();
    const auto byte = static_cast<std::uint8_t>(c);
    nfa.add_edge(state, byte, byte, next);
    state = next;
  }
  return determinise(nfa, start, {state}, budget);
}

std::vector<ByteRange> class_runs(const Dfa& dfa) {
  std::vector<ByteRange> runs;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto here = static_cast<std::uint8_t>(byte);
    if (byte > 0 && dfa.classes()[byte] == dfa.classes()[byte - 1]) {
      runs.back().high = here;
    } else {
      runs.push_back({here, here});
    }
  }
  return runs;
}

void embed(const Dfa& dfa, Nfa& nfa, StateId from, StateId to) {
  if (dfa.empty()) return;
  std::vector<StateId> ids(dfa.size());
  for (StateId& id : ids) id = nfa.add_state();
  nfa.add_free_edge(from, ids[dfa.start()]);
  const std::vector<ByteRange> runs = class_runs(dfa);
  for (StateId state = 0; state < dfa.size(); ++state) {
    if (dfa.accepts(state)) nfa.add_free_edge(ids[state], to);
    for (std::size_t i = 0; i < runs.size();) {
      const std::uint8_t low = runs[i].low;
      std::uint8_t high = runs[i].high;
      const StateId target = dfa.next(state, low);
      for (++i; i < runs.size() && dfa.next(state, runs[i].low) == target; ++i) high = runs[i].high;
      if (target != kDead) nfa.add_edge(ids[state], low, high, ids[target]);
    }
  }
}

namespace {

// Writes sequences as a graph in which equal ends are one: most characters have the same ones.
class SequenceWriter {
 public:
  SequenceWriter(Nfa& nfa, StateId to) : nfa_(nfa), to_(to) {}

  // What sequences that agree up to `depth` lead to from there.
  StateId behind(std::span<const ByteSequence> sequences, std::size_t depth) {
    if (sequences.front().size() == depth) return to_;
    const std::vector<Step> steps = steps_of(sequences, depth);
    const auto [found, added] = known_.try_emplace(steps, kDead);
    if (added) {
      found->second = nfa_.add_state();
      add_edges(found->second, steps);
    }
    return found->second;
  }
  void add_all(StateId from, std::span<const ByteSequence> sequences) {
    add_edges(from, steps_of(sequences, 0));
  }

 private:
  struct Step {
    std::uint8_t low = 0;
    std::uint8_t high = 0;
    StateId target = kDead;
    friend auto operator<=>(const Step&, const Step&) = default;
  };

  std::vector<Step> steps_of(std::span<const ByteSequence> sequences, std::size_t depth) {
    std::vector<Step> steps;
    while (!sequences.empty()) {
      const ByteRange range = sequences.front()[depth];
      std::size_t count = 1;
      while (count < sequences.size() && sequences[count].size() > depth &&
             sequences[count].size() == sequences.front().size() &&
             sequences[count][depth].low == range.low &&
             sequences[count][depth].high == range.high) {
        ++count;
      }
      steps.push_back({range.low, range.high, behind(sequences.first(count), depth + 1)});
      sequences = sequences.subspan(count);
    }
    return steps;
  }
  void add_edges(StateId from, const std::vector<Step>& steps) {
    for (const Step& step : steps) nfa_.add_edge(from, step.low, step.high, step.target);
  }

  Nfa& nfa_;
  StateId to_;
  std::map<std::vector<Step>, StateId> known_;
};

}  // namespace

void add_characters(Nfa& nfa, StateId from, StateId to, const CodePointSet& set, bool bytes) {
  std::vector<ByteSequence> sequences;
  for (const CodePointRange& range : set.ranges()) {
    if (bytes) {
      nfa.add_edge(from, static_cast<std::uint8_t>(range.low),
                   static_cast<std::uint8_t>(range.high), to);
    } else {
      append_utf8_sequences(range.low, range.high, sequences);
    }
  }
  if (!sequences.empty()) SequenceWriter(nfa, to).add_all(from, sequences);
}

}  // namespace mistral::grammar
