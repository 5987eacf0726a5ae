#include "text/tokenizer/bpe_merger.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <queue>

namespace mistral::text {
namespace {

// Up to here a scan over all pairs beats the queue: words of natural text are shorter.
constexpr std::size_t kFewSymbols = 24;

std::uint64_t pair_of(TokenId left, TokenId right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32U |
         static_cast<std::uint32_t>(right);
}

}  // namespace

void BpeMerger::reserve(std::size_t merges) {
  const std::size_t slots = std::bit_ceil(std::max<std::size_t>(merges * 4 / 3, 16));
  if (slots > slots_.size()) grow(slots);
}

std::size_t BpeMerger::slot_of(std::uint64_t pair) const {
  const std::uint64_t hash = pair * 0x9E3779B97F4A7C15ULL;
  std::size_t i = (hash ^ (hash >> 32U)) & (slots_.size() - 1);
  while (slots_[i].pair != kFree && slots_[i].pair != pair) i = (i + 1) & (slots_.size() - 1);
  return i;
}

void BpeMerger::grow(std::size_t slots) {
  std::vector<Slot> old(slots);
  std::swap(old, slots_);
  for (const Slot& slot : old) {
    if (slot.pair != kFree) slots_[slot_of(slot.pair)] = slot;
  }
}

void BpeMerger::add(TokenId left, TokenId right, std::uint32_t rank, TokenId merged,
                    Repeated repeated) {
  if ((count_ + 1) * 4 > slots_.size() * 3) grow(std::max<std::size_t>(slots_.size() * 2, 16));
  Slot& slot = slots_[slot_of(pair_of(left, right))];
  if (slot.pair == kFree) {
    ++count_;
  } else if (repeated == Repeated::kFirstWins) {
    return;
  }
  slot = {pair_of(left, right), rank, merged};
}

void BpeMerger::prefetch(TokenId left, TokenId right) const {
  if (slots_.empty()) return;
  const std::uint64_t hash = pair_of(left, right) * 0x9E3779B97F4A7C15ULL;
  __builtin_prefetch(&slots_[(hash ^ (hash >> 32U)) & (slots_.size() - 1)]);
}

const BpeMerger::Slot* BpeMerger::find(TokenId left, TokenId right) const {
  const Slot& slot = slots_[slot_of(pair_of(left, right))];
  return slot.pair == kFree ? nullptr : &slot;
}

void BpeMerger::merge(std::vector<Symbol>& symbols) const {
  if (symbols.size() < 2 || count_ == 0) return;
  if (symbols.size() <= kFewSymbols) {
    merge_few(symbols);
  } else {
    merge_many(symbols);
  }
}

void BpeMerger::merge_few(std::vector<Symbol>& symbols) const {
  struct Pair {
    std::uint32_t rank;
    TokenId merged;
  };
  std::array<Pair, kFewSymbols> pairs;  // pairs[i] is (i, i + 1)
  std::size_t count = symbols.size();
  const auto look_up = [&](std::size_t i) -> Pair {
    const Slot* slot = find(symbols[i].id, symbols[i + 1].id);
    return slot != nullptr ? Pair{slot->rank, slot->merged} : Pair{kNoRank, -1};
  };
  for (std::size_t i = 0; i + 1 < count; ++i) pairs[i] = look_up(i);
  while (count > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < count; ++i) {
      if (pairs[i].rank < pairs[best].rank) best = i;
    }
    if (pairs[best].rank == kNoRank) break;
    symbols[best] = {pairs[best].merged, symbols[best].length + symbols[best + 1].length};
    --count;
    for (std::size_t i = best + 1; i < count; ++i) symbols[i] = symbols[i + 1];
    for (std::size_t i = best + 1; i + 1 < count; ++i) pairs[i] = pairs[i + 1];
    if (best + 1 < count) pairs[best] = look_up(best);
    if (best > 0) pairs[best - 1] = look_up(best - 1);
  }
  symbols.resize(count);
}

void BpeMerger::merge_many(std::vector<Symbol>& symbols) const {
  struct Candidate {
    std::uint32_t rank;
    std::uint32_t left;
    TokenId left_id;  // the pair when it was found; a merge in between makes it stale
    TokenId right_id;
    TokenId merged;
    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };
  constexpr std::uint32_t kNone = ~0U;
  const auto size = static_cast<std::uint32_t>(symbols.size());
  std::vector<std::uint32_t> next(size);
  std::vector<std::uint32_t> previous(size);
  std::vector<Candidate> storage;
  storage.reserve(size);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue(std::greater<>(),
                                                                               std::move(storage));
  const auto consider = [&](std::uint32_t left, std::uint32_t right) {
    const Slot* slot = find(symbols[left].id, symbols[right].id);
    if (slot == nullptr) return;
    queue.push({slot->rank, left, symbols[left].id, symbols[right].id, slot->merged});
  };
  for (std::uint32_t i = 0; i < size; ++i) {
    next[i] = i + 1 < size ? i + 1 : kNone;
    previous[i] = i > 0 ? i - 1 : kNone;
    if (i > 0) consider(i - 1, i);
  }
  constexpr TokenId kMergedAway = std::numeric_limits<TokenId>::min();
  while (!queue.empty()) {
    const Candidate candidate = queue.top();
    queue.pop();
    const std::uint32_t left = candidate.left;
    const std::uint32_t right = next[left];
    if (symbols[left].id != candidate.left_id || right == kNone ||
        symbols[right].id != candidate.right_id) {
      continue;
    }
    symbols[left] = {candidate.merged, symbols[left].length + symbols[right].length};
    symbols[right].id = kMergedAway;
    next[left] = next[right];
    if (next[left] != kNone) {
      previous[next[left]] = left;
      consider(left, next[left]);
    }
    if (previous[left] != kNone) consider(previous[left], left);
  }
  std::erase_if(symbols, [](const Symbol& symbol) { return symbol.id == kMergedAway; });
}

}  // namespace mistral::text
