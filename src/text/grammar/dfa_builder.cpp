#include "text/grammar/dfa_builder.h"

#include <algorithm>
#include <utility>

#include "text/grammar/number_lists.h"
#include "text/grammar/state_groups.h"

namespace mistral::grammar {

void DfaBuilder::cut(const Dfa& dfa) {
  for (unsigned byte = 1; byte < 256; ++byte) {
    if (dfa.classes_[byte] != dfa.classes_[byte - 1]) cuts_.set(byte);
  }
}

void DfaBuilder::finish_classes() {
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

Dfa DfaBuilder::finish(StateId start) {
  constexpr std::size_t kMostToMinimise = 30'000;
  dfa_.start_ = start;
  remove_useless();
  merge_classes();
  if (dfa_.size() <= kMostToMinimise && minimise()) merge_classes();
  return std::move(dfa_);
}

Dfa DfaBuilder::finish_as_it_is(StateId start) {
  dfa_.start_ = start;
  remove_useless();
  merge_classes();
  return std::move(dfa_);
}

// States from which nothing is accepted become kDead.
void DfaBuilder::remove_useless() {
  const auto count = static_cast<StateId>(dfa_.size());
  const NumberLists before(count, [&](const auto& add) {
    std::size_t at = 0;
    for (StateId state = 0; state < count; ++state) {
      StateId last = kDead;
      for (std::size_t c = 0; c < dfa_.class_count_; ++c, ++at) {
        const StateId target = dfa_.next_[at];
        if (target != kDead && target != last) add(target, state);
        last = target;
      }
    }
  });
  std::vector<std::uint8_t> useful(count, 0);
  std::vector<StateId> work;
  for (StateId state = 0; state < count; ++state) {
    if (dfa_.label_[state] < 0) continue;
    useful[state] = 1;
    work.push_back(state);
  }
  for (std::size_t at = 0; at < work.size(); ++at) {
    for (const StateId state : before[work[at]]) {
      if (useful[state] != 0) continue;
      useful[state] = 1;
      work.push_back(state);
    }
  }
  if (work.size() == count) return;
  std::vector<StateId> new_id(count, kDead);
  StateId next_id = 0;
  for (StateId state = 0; state < count; ++state) {
    if (useful[state] != 0) new_id[state] = next_id++;
  }
  renumber(new_id, next_id);
}

void DfaBuilder::renumber(const std::vector<StateId>& new_id, StateId new_count) {
  std::vector<StateId> next(new_count * dfa_.class_count_, kDead);
  std::vector<std::int32_t> label(new_count, -1);
  std::vector<std::uint8_t> written(new_count, 0);
  for (std::size_t state = 0; state < new_id.size(); ++state) {
    const StateId id = new_id[state];
    if (id == kDead || written[id] != 0) continue;
    written[id] = 1;
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

bool DfaBuilder::minimise() {
  const std::vector<StateId> groups = groups_of_states(dfa_.table(), kUntilStable, budget_);
  const StateId count = groups.empty() ? 0 : *std::max_element(groups.begin(), groups.end()) + 1;
  if (count == dfa_.size()) return false;
  renumber(groups, count);
  return true;
}

// Bytes that no state tells apart any more share a class.
void DfaBuilder::merge_classes() {
  const std::size_t count = dfa_.class_count_;
  // Row by row, as columns lie far apart.
  std::vector<std::uint64_t> hashes(count, 0);
  for (std::size_t at = 0; at < dfa_.next_.size();) {
    for (std::size_t c = 0; c < count; ++c, ++at) {
      hashes[c] = (hashes[c] ^ dfa_.next_[at]) * 0x9E3779B97F4A7C15U;
      hashes[c] ^= hashes[c] >> 32U;
    }
  }
  std::vector<std::size_t> like(count);  // the first class that seems equal
  for (std::size_t c = 0; c < count; ++c) {
    like[c] = static_cast<std::size_t>(std::find(hashes.begin(), hashes.end(), hashes[c]) -
                                       hashes.begin());
  }
  for (std::size_t at = 0; at < dfa_.next_.size(); at += count) {
    for (std::size_t c = 0; c < count; ++c) {
      if (dfa_.next_[at + c] != dfa_.next_[at + like[c]]) like[c] = c;
    }
  }
  std::vector<std::size_t> kept;
  std::vector<std::uint8_t> new_class(count);
  for (std::size_t c = 0; c < count; ++c) {
    if (like[c] == c) {
      new_class[c] = static_cast<std::uint8_t>(kept.size());
      kept.push_back(c);
    } else {
      new_class[c] = new_class[like[c]];
    }
  }
  if (kept.size() == count) return;
  std::vector<StateId> next;
  next.reserve(dfa_.size() * kept.size());
  for (std::size_t at = 0; at < dfa_.next_.size(); at += count) {
    for (const std::size_t c : kept) next.push_back(dfa_.next_[at + c]);
  }
  for (std::uint8_t& byte_class : dfa_.classes_) byte_class = new_class[byte_class];
  dfa_.class_count_ = kept.size();
  dfa_.next_ = std::move(next);
}

}  // namespace mistral::grammar
