#include "text/grammar/automaton.h"

#include <algorithm>
#include <bitset>
#include <unordered_map>

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

// Makes automata whose states are numbered as they are found; reduces them at the end.
class DfaBuilder {
 public:
  explicit DfaBuilder(Budget& budget) : budget_(budget) {}

  // Marks where classes of bytes begin.
  void cut(std::uint8_t low, std::uint8_t high) {
    cuts_.set(low);
    if (high < 255) cuts_.set(high + 1U);
  }
  void cut(const Dfa& dfa) {
    for (unsigned byte = 1; byte < 256; ++byte) {
      if (dfa.classes_[byte] != dfa.classes_[byte - 1]) cuts_.set(byte);
    }
  }
  void finish_classes() {
    std::uint8_t current = 0;
    first_byte_ = {0};
    for (unsigned byte = 1; byte < 256; ++byte) {
      if (cuts_.test(byte)) {
        ++current;
        first_byte_.push_back(static_cast<std::uint8_t>(byte));
      }
      dfa_.classes_[byte] = current;
    }
    dfa_.class_count_ = std::size_t{current} + 1;
  }
  [[nodiscard]] const std::vector<std::uint8_t>& first_bytes() const { return first_byte_; }

  StateId add(std::int32_t label) {
    budget_.tick();
    budget_.check_automaton(dfa_.label_.size() + 1);
    if (dfa_.next_.size() + dfa_.class_count_ > charged_) {
      // In larger steps, as this is called for every state; small automata are free.
      budget_.add_bytes(kStep * sizeof(StateId));
      charged_ += kStep;
    }
    dfa_.label_.push_back(label);
    dfa_.next_.resize(dfa_.next_.size() + dfa_.class_count_, kDead);
    return static_cast<StateId>(dfa_.label_.size() - 1);
  }
  void set(StateId from, std::size_t byte_class, StateId to) {
    dfa_.next_[from * dfa_.class_count_ + byte_class] = to;
  }

  [[nodiscard]] Dfa finish(StateId start) {
    dfa_.start_ = start;
    remove_useless();
    if (dfa_.size() <= kMostToMinimise) minimise();
    merge_classes();
    return std::move(dfa_);
  }

 private:
  static constexpr std::size_t kMostToMinimise = 3000;
  static constexpr std::size_t kStep = std::size_t{1} << 14U;

  // States from which nothing is accepted become kDead.
  void remove_useless() {
    const std::size_t count = dfa_.size();
    std::vector<std::vector<StateId>> from(count);
    for (std::size_t state = 0; state < count; ++state) {
      StateId last = kDead;
      for (std::size_t c = 0; c < dfa_.class_count_; ++c) {
        const StateId target = dfa_.next_[state * dfa_.class_count_ + c];
        if (target != kDead && target != last) from[target].push_back(static_cast<StateId>(state));
        last = target;
      }
    }
    std::vector<std::uint8_t> useful(count, 0);
    std::vector<StateId> work;
    for (std::size_t state = 0; state < count; ++state) {
      if (dfa_.label_[state] < 0) continue;
      useful[state] = 1;
      work.push_back(static_cast<StateId>(state));
    }
    while (!work.empty()) {
      const StateId state = work.back();
      work.pop_back();
      for (const StateId before : from[state]) {
        if (useful[before] != 0) continue;
        useful[before] = 1;
        work.push_back(before);
      }
    }
    std::vector<StateId> new_id(count, kDead);
    StateId next_id = 0;
    for (std::size_t state = 0; state < count; ++state) {
      if (useful[state] != 0) new_id[state] = next_id++;
    }
    renumber(new_id, next_id);
  }

  // new_id maps every state to its new number or kDead; states with the same number are equal.
  void renumber(const std::vector<StateId>& new_id, StateId new_count) {
    std::vector<StateId> next(new_count * dfa_.class_count_, kDead);
    std::vector<std::int32_t> label(new_count, -1);
    for (std::size_t state = 0; state < new_id.size(); ++state) {
      const StateId id = new_id[state];
      if (id == kDead) continue;
      label[id] = dfa_.label_[state];
      for (std::size_t c = 0; c < dfa_.class_count_; ++c) {
        const StateId target = dfa_.next_[state * dfa_.class_count_ + c];
        next[id * dfa_.class_count_ + c] = target == kDead ? kDead : new_id[target];
      }
    }
    dfa_.next_ = std::move(next);
    dfa_.label_ = std::move(label);
    if (dfa_.start_ != kDead) dfa_.start_ = new_id[dfa_.start_];
  }

  // Moore's algorithm: splits groups of states until their members agree about where they lead.
  void minimise() {
    const std::size_t count = dfa_.size();
    if (count == 0) return;
    std::vector<StateId> group(count);
    std::size_t groups = 0;
    {
      std::unordered_map<std::int32_t, StateId> by_label;
      for (std::size_t state = 0; state < count; ++state) {
        group[state] = by_label.try_emplace(dfa_.label_[state], by_label.size()).first->second;
      }
      groups = by_label.size();
    }
    constexpr int kMostRounds = 64;  // long chains need many; what is left is only larger
    for (int round = 0;; ++round) {
      if (round == kMostRounds) return;
      std::unordered_map<std::vector<StateId>, StateId, HashStates> found;
      std::vector<StateId> refined(count);
      std::vector<StateId> key(dfa_.class_count_ + 1);
      for (std::size_t state = 0; state < count; ++state) {
        budget_.tick();
        key[0] = group[state];
        for (std::size_t c = 0; c < dfa_.class_count_; ++c) {
          const StateId target = dfa_.next_[state * dfa_.class_count_ + c];
          key[c + 1] = target == kDead ? kDead : group[target];
        }
        refined[state] = found.try_emplace(key, static_cast<StateId>(found.size())).first->second;
      }
      const bool stable = found.size() == groups;
      groups = found.size();
      group = std::move(refined);
      if (stable) break;
    }
    renumber(group, static_cast<StateId>(groups));
  }

  // Bytes that no state tells apart any more share a class.
  void merge_classes() {
    std::unordered_map<std::vector<StateId>, std::uint8_t, HashStates> found;
    std::vector<std::size_t> kept;
    std::vector<std::uint8_t> new_class(dfa_.class_count_);
    std::vector<StateId> column(dfa_.size());
    for (std::size_t c = 0; c < dfa_.class_count_; ++c) {
      for (std::size_t state = 0; state < dfa_.size(); ++state) {
        column[state] = dfa_.next_[state * dfa_.class_count_ + c];
      }
      const auto [at, added] = found.try_emplace(column, static_cast<std::uint8_t>(found.size()));
      if (added) kept.push_back(c);
      new_class[c] = at->second;
    }
    std::vector<StateId> next;
    next.reserve(dfa_.size() * kept.size());
    for (std::size_t state = 0; state < dfa_.size(); ++state) {
      for (const std::size_t c : kept) next.push_back(dfa_.next_[state * dfa_.class_count_ + c]);
    }
    for (std::uint8_t& byte_class : dfa_.classes_) byte_class = new_class[byte_class];
    dfa_.class_count_ = kept.size();
    dfa_.next_ = std::move(next);
  }

  Budget& budget_;
  std::bitset<256> cuts_;
  std::vector<std::uint8_t> first_byte_;
  std::size_t charged_ = kStep;
  Dfa dfa_;
};

namespace {

// Sets of states of an Nfa, closed under edges that cost nothing.
class Subsets {
 public:
  Subsets(const Nfa& nfa, const std::vector<StateId>& accepting)
      : nfa_(nfa), label_(nfa.size(), -1), seen_(nfa.size(), 0) {
    for (std::size_t i = accepting.size(); i-- > 0;) {
      label_[accepting[i]] = static_cast<std::int32_t>(i);
    }
  }

  // Adds a state and all that it leads to for nothing.
  void add(StateId state, bool at_start) {
    if (mark(state)) set_.push_back(state);
    while (!work_.empty()) {
      const StateId from = work_.back();
      work_.pop_back();
      nfa_.budget().tick();
      for (const Nfa::Edge& edge : nfa_.edges(from)) {
        if (!edge.free || edge.when == Nfa::When::kAtEnd) continue;
        if (edge.when == Nfa::When::kAtStart && !at_start) continue;
        if (mark(edge.target)) set_.push_back(edge.target);
      }
    }
  }
  // The set in its normal form; begins a new one.
  [[nodiscard]] std::vector<StateId> take() {
    std::vector<StateId> out;
    for (const StateId state : set_) {
      seen_[state] = 0;
      if (matters(state)) out.push_back(state);
    }
    set_.clear();
    std::sort(out.begin(), out.end());
    return out;
  }
  // The best label that the set reaches without another byte, at the end of the text; at_start
  // where the text is empty.
  [[nodiscard]] std::int32_t label(const std::vector<StateId>& set, bool at_start) {
    std::vector<StateId> reached;
    std::vector<StateId> work = set;
    for (const StateId state : set) seen_[state] = 1;
    std::int32_t best = -1;
    while (!work.empty()) {
      const StateId state = work.back();
      work.pop_back();
      reached.push_back(state);
      const std::int32_t label = label_[state];
      if (label >= 0 && (best < 0 || label < best)) best = label;
      for (const Nfa::Edge& edge : nfa_.edges(state)) {
        if (!edge.free || seen_[edge.target] != 0) continue;
        if (edge.when == Nfa::When::kAtStart && !at_start) continue;
        seen_[edge.target] = 1;
        work.push_back(edge.target);
      }
    }
    for (const StateId state : reached) seen_[state] = 0;
    return best;
  }

 private:
  bool mark(StateId state) {
    if (seen_[state] != 0) return false;
    seen_[state] = 1;
    work_.push_back(state);
    return true;
  }
  // States that only lead on for nothing need not be told apart.
  [[nodiscard]] bool matters(StateId state) const {
    if (label_[state] >= 0) return true;
    const auto& edges = nfa_.edges(state);
    return std::any_of(edges.begin(), edges.end(), [](const Nfa::Edge& edge) {
      return !edge.free || edge.when == Nfa::When::kAtEnd;
    });
  }

  const Nfa& nfa_;
  std::vector<std::int32_t> label_;
  std::vector<std::uint8_t> seen_;
  std::vector<StateId> set_;
  std::vector<StateId> work_;
};

}  // namespace

Dfa determinise(const Nfa& nfa, StateId start, const std::vector<StateId>& accepting,
                Budget& budget) {
  DfaBuilder builder(budget);
  for (StateId state = 0; state < nfa.size(); ++state) {
    for (const Nfa::Edge& edge : nfa.edges(state)) {
      if (!edge.free) builder.cut(edge.low, edge.high);
    }
  }
  builder.finish_classes();
  Subsets subsets(nfa, accepting);
  std::unordered_map<std::vector<StateId>, StateId, HashStates> ids;
  std::vector<std::vector<StateId>> sets;
  subsets.add(start, /*at_start=*/true);
  sets.push_back(subsets.take());
  // The state at the start of the text is not entered again: what holds only there stays there.
  std::ignore = builder.add(subsets.label(sets[0], /*at_start=*/true));
  const std::vector<std::uint8_t> first_bytes = builder.first_bytes();
  std::vector<std::pair<std::uint8_t, StateId>> moves;
  for (std::size_t at = 0; at < sets.size(); ++at) {
    for (std::size_t c = 0; c < first_bytes.size(); ++c) {
      const std::uint8_t byte = first_bytes[c];
      bool any = false;
      for (const StateId state : sets[at]) {
        budget.tick();
        for (const Nfa::Edge& edge : nfa.edges(state)) {
          if (edge.free || byte < edge.low || byte > edge.high) continue;
          subsets.add(edge.target, /*at_start=*/false);
          any = true;
        }
      }
      if (!any) continue;
      std::vector<StateId> set = subsets.take();
      const auto [found, added] = ids.try_emplace(set, static_cast<StateId>(sets.size()));
      if (added) {
        budget.add_bytes(2 * set.size() * sizeof(StateId));
        std::ignore = builder.add(subsets.label(set, /*at_start=*/false));
        sets.push_back(std::move(set));
      }
      builder.set(static_cast<StateId>(at), c, found->second);
    }
  }
  return builder.finish(0);
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
    for (std::size_t c = 0; c < first_bytes.size(); ++c) {
      const StateId next_x = x == kDead ? kDead : a.next(x, first_bytes[c]);
      const StateId next_y = y == kDead ? kDead : b.next(y, first_bytes[c]);
      builder.set(static_cast<StateId>(at), c, id_of(next_x, next_y));
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

void embed(const Dfa& dfa, Nfa& nfa, StateId from, StateId to) {
  if (dfa.empty()) return;
  std::vector<StateId> ids(dfa.size());
  for (StateId& id : ids) id = nfa.add_state();
  nfa.add_free_edge(from, ids[dfa.start()]);
  for (StateId state = 0; state < dfa.size(); ++state) {
    if (dfa.accepts(state)) nfa.add_free_edge(ids[state], to);
    for (unsigned low = 0; low < 256;) {
      const StateId target = dfa.next(state, static_cast<std::uint8_t>(low));
      unsigned high = low;
      while (high < 255 && dfa.next(state, static_cast<std::uint8_t>(high + 1)) == target) ++high;
      if (target != kDead) {
        nfa.add_edge(ids[state], static_cast<std::uint8_t>(low), static_cast<std::uint8_t>(high),
                     ids[target]);
      }
      low = high + 1;
    }
  }
}

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
  // Sequences with the same beginning share its states.
  struct Made {
    StateId from;
    ByteRange range;
    StateId to;
  };
  std::vector<Made> path;
  for (const ByteSequence& sequence : sequences) {
    StateId state = from;
    std::size_t depth = 0;
    while (depth + 1 < sequence.size() && depth < path.size() &&
           path[depth].range.low == sequence[depth].low &&
           path[depth].range.high == sequence[depth].high) {
      state = path[depth].to;
      ++depth;
    }
    path.resize(depth);
    for (; depth + 1 < sequence.size(); ++depth) {
      const StateId next = nfa.add_state();
      nfa.add_edge(state, sequence[depth].low, sequence[depth].high, next);
      path.push_back({state, sequence[depth], next});
      state = next;
    }
    nfa.add_edge(state, sequence.back().low, sequence.back().high, to);
  }
}

}  // namespace mistral::grammar
