#include "text/grammar/state_groups.h"

#include <algorithm>
#include <unordered_map>

#include "text/grammar/number_lists.h"

namespace mistral::grammar {
namespace {

// Moore's algorithm, one byte more a round. A round looks only at states that lead to what the last
// one split off, and what is split off is, where it can be chosen, all but the largest part: a long
// chain of states costs little more than each of its states once.
class Refinement {
 public:
  using State = std::uint32_t;
  using Group = std::uint32_t;

  Refinement(const TransitionTable& table, Budget& budget)
      : table_(table),
        budget_(budget),
        count_(table.labels.size()),
        group_(count_),
        queued_(count_, 0),
        before_(count_, [&](const auto& add) {
          for (State state = 0; state < count_; ++state) {
            State last = kNowhere;
            for (const State next : row(state)) {
              if (next != kNowhere && next != last) add(next, state);
              last = next;
            }
          }
        }) {
    std::unordered_map<std::int32_t, Group> by_label;
    for (State state = 0; state < count_; ++state) {
      const auto label = by_label.try_emplace(table.labels[state], by_label.size()).first;
      group_[state] = label->second;
    }
    sizes_.assign(by_label.size(), 0);
    for (const Group group : group_) ++sizes_[group];
    dirty_.resize(count_);
    for (State state = 0; state < count_; ++state) dirty_[state] = state;
  }

  [[nodiscard]] std::vector<Group> run(std::size_t rounds) {
    for (std::uint32_t round = 1; round <= rounds && !dirty_.empty(); ++round) {
      find_parts();
      split_off(round);
    }
    std::vector<Group> numbers(sizes_.size(), kNowhere);
    Group known = 0;
    for (Group& group : group_) {
      if (numbers[group] == kNowhere) numbers[group] = known++;
      group = numbers[group];
    }
    return std::move(group_);
  }

 private:
  static constexpr State kNowhere = 0xFFFFFFFFU;

  // States that are looked at in a round and lead to the same groups, by the first of them.
  struct Part {
    State first = 0;
    std::uint64_t hash = 0;
    Group size = 0;
    Group group = 0;  // after the split
  };

  [[nodiscard]] std::span<const State> row(State state) const {
    return table_.next.subspan(state * table_.class_count, table_.class_count);
  }
  static std::uint64_t mix(std::uint64_t hash, std::uint32_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15U;
    return hash ^ hash >> 32U;
  }
  [[nodiscard]] Group group_or_nowhere(State state) const {
    return state == kNowhere ? kNowhere : group_[state];
  }
  [[nodiscard]] bool leads_alike(State a, State b) const {
    if (group_[a] != group_[b]) return false;
    const auto next_a = row(a);
    const auto next_b = row(b);
    for (std::size_t c = 0; c < table_.class_count; ++c) {
      if (next_a[c] != next_b[c] && group_or_nowhere(next_a[c]) != group_or_nowhere(next_b[c])) {
        return false;
      }
    }
    return true;
  }

  void find_parts() {
    std::size_t slots = 16;
    while (slots < 2 * dirty_.size()) slots *= 2;
    slots_.assign(slots, kNowhere);
    parts_.clear();
    part_of_.resize(dirty_.size());
    for (std::size_t i = 0; i < dirty_.size(); ++i) {
      budget_.tick();
      const State state = dirty_[i];
      std::uint64_t hash = group_[state];
      for (const State next : row(state)) hash = mix(hash, group_or_nowhere(next));
      std::size_t slot = hash & (slots - 1);
      while (slots_[slot] != kNowhere) {
        const Part& part = parts_[slots_[slot]];
        if (part.hash == hash && leads_alike(part.first, state)) break;
        slot = (slot + 1) & (slots - 1);
      }
      if (slots_[slot] == kNowhere) {
        slots_[slot] = static_cast<std::uint32_t>(parts_.size());
        parts_.push_back({.first = state, .hash = hash, .group = group_[state]});
      }
      part_of_[i] = slots_[slot];
      ++parts_[slots_[slot]].size;
    }
  }

  void split_off(std::uint32_t round) {
    // Of a group that was looked at whole, the largest part stays.
    std::unordered_map<Group, std::pair<Group, Part*>> seen;  // how many were, and that part
    for (Part& part : parts_) {
      auto& [size, largest] = seen.try_emplace(part.group, 0, &part).first->second;
      size += part.size;
      if (part.size > largest->size) largest = &part;
    }
    for (Part& part : parts_) {
      const Group group = part.group;
      const auto& [size, largest] = seen.at(group);
      if (largest == &part && size == sizes_[group]) continue;
      part.group = static_cast<Group>(sizes_.size());
      sizes_.push_back(part.size);
    }
    for (const auto& [group, found] : seen) {
      const auto& [size, largest] = found;
      sizes_[group] = size == sizes_[group] ? largest->size : sizes_[group] - size;
    }
    std::vector<State> moved;
    for (std::size_t i = 0; i < dirty_.size(); ++i) {
      const Group group = parts_[part_of_[i]].group;
      if (group_[dirty_[i]] == group) continue;
      group_[dirty_[i]] = group;
      moved.push_back(dirty_[i]);
    }
    dirty_.clear();
    for (const State state : moved) {
      for (const State before : before_[state]) {
        if (queued_[before] == round) continue;
        queued_[before] = round;
        dirty_.push_back(before);
      }
    }
  }

  const TransitionTable& table_;
  Budget& budget_;
  std::size_t count_;
  std::vector<Group> group_;
  std::vector<Group> sizes_;           // of the groups
  std::vector<std::uint32_t> queued_;  // the last round that put the state into `dirty_`
  NumberLists before_;
  std::vector<State> dirty_;
  std::vector<std::uint32_t> part_of_;  // of each state in `dirty_`
  std::vector<Part> parts_;
  std::vector<std::uint32_t> slots_;  // a hash table of parts
};

}  // namespace

std::vector<std::uint32_t> groups_of_states(const TransitionTable& table, std::size_t rounds,
                                            Budget& budget) {
  return Refinement(table, budget).run(rounds);
}

}  // namespace mistral::grammar
