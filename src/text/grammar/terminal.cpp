#include "text/grammar/terminal.h"

#include <algorithm>
#include <map>

namespace mistral::grammar {

void TokenFates::keep(std::vector<TokenId> tokens) {
  TokenId highest = 0;
  for (const TokenId id : tokens) highest = std::max(highest, id);
  const std::size_t words = static_cast<std::size_t>(highest) / 32 + 1;
  if (tokens.size() < words) {
    few = std::move(tokens);
    few.shrink_to_fit();
    return;
  }
  many.assign(words, 0);
  for (const TokenId id : tokens) {
    many[static_cast<std::size_t>(id) / 32] |= 1U << (static_cast<std::uint32_t>(id) % 32U);
  }
}

namespace {

// Splits groups of states as far as texts of `rounds` bytes tell them apart: two states stay in a
// group while their successors do. A round looks only at states that lead to what the last round
// split off, so that a long chain of states costs no more than its end.
std::vector<StateId> groups_of(const Dfa& dfa, std::size_t rounds) {
  const std::size_t count = dfa.size();
  std::vector<std::vector<StateId>> from(count);
  std::vector<StateId> group(count);
  std::map<std::int32_t, StateId> by_label;
  for (StateId state = 0; state < count; ++state) {
    group[state] =
        by_label.try_emplace(dfa.label(state), static_cast<StateId>(by_label.size())).first->second;
    for (std::size_t c = 0; c < dfa.class_count(); ++c) {
      const StateId next = dfa.next_of_class(state, c);
      if (next != kDead && (from[next].empty() || from[next].back() != state)) {
        from[next].push_back(state);
      }
    }
  }
  auto next_group = static_cast<StateId>(by_label.size());
  std::vector<StateId> sizes(next_group, 0);
  for (const StateId id : group) ++sizes[id];
  std::vector<StateId> dirty(count);
  for (StateId state = 0; state < count; ++state) dirty[state] = state;
  for (std::size_t round = 0; round < rounds && !dirty.empty(); ++round) {
    // The states to look at by their group and the groups of their successors.
    std::map<std::vector<StateId>, std::vector<StateId>> parts;
    std::vector<StateId> key(dfa.class_count() + 1);
    for (const StateId state : dirty) {
      key[0] = group[state];
      for (std::size_t c = 0; c < dfa.class_count(); ++c) {
        const StateId next = dfa.next_of_class(state, c);
        key[c + 1] = next == kDead ? kDead : group[next];
      }
      parts[key].push_back(state);
    }
    dirty.clear();
    for (const auto& [made_of, members] : parts) {
      if (members.size() == sizes[made_of[0]]) continue;  // nobody else is in the group
      sizes[made_of[0]] -= static_cast<StateId>(members.size());
      sizes.push_back(static_cast<StateId>(members.size()));
      for (const StateId state : members) {
        group[state] = next_group;
        dirty.insert(dirty.end(), from[state].begin(), from[state].end());
      }
      ++next_group;
    }
    std::sort(dirty.begin(), dirty.end());
    dirty.erase(std::unique(dirty.begin(), dirty.end()), dirty.end());
  }
  return group;
}

}  // namespace

Terminal::Terminal(Dfa dfa, std::size_t longest_token)
    : dfa_(std::move(dfa)), bytes_(dfa_.size()), shortest_(dfa_) {
  constexpr std::size_t kFewStates = 64;
  if (dfa_.size() > kFewStates) {
    // Whether a state accepts shows one byte later, by what may follow.
    alike_ = groups_of(dfa_, longest_token + 1);
    std::unordered_map<StateId, StateId> first_of;
    for (StateId state = 0; state < dfa_.size(); ++state) {
      alike_[state] = first_of.try_emplace(alike_[state], state).first->second;
    }
  }

  for (StateId state = 0; state < dfa_.size(); ++state) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      if (dfa_.next(state, static_cast<std::uint8_t>(byte)) != kDead) bytes_[state].set(byte);
    }
  }
}

std::shared_ptr<const TokenFates> Terminal::fates(const TokenTrie& trie, int which, StateId state,
                                                  TrieNode node) const {
  if (!alike_.empty()) state = alike_[state];
  const std::uint64_t key = std::uint64_t{state} << 33U | std::uint64_t{node} << 1U |
                            static_cast<std::uint64_t>(which != 0);
  if (auto known = cache_.find(key)) return known;

  auto made = std::make_shared<TokenFates>();
  std::vector<TokenId> taken;
  // The nodes above the current one. Where the automaton accepts at the parent, a child may be the
  // beginning of what follows, unless all tokens below are taken whole anyway. What follows at
  // `node` itself is known to whoever asks.
  struct Level {
    TrieNode end = 0;
    StateId state = kDead;
    TrieNode node = 0;
    bool may_follow = false;
    std::size_t taken_before = 0;
  };
  std::vector<Level> levels;
  levels.push_back({.end = trie.end(node), .state = state, .node = node});
  const auto leave = [&] {
    const Level& level = levels.back();
    if (level.may_follow && taken.size() - level.taken_before < trie.tokens_below(level.node)) {
      made->exits.push_back({trie.byte(level.node), level.node});
    }
    levels.pop_back();
  };
  for (TrieNode at = node + 1; at < trie.end(node);) {
    while (at >= levels.back().end) leave();
    const StateId from = levels.back().state;
    const bool may_follow = levels.size() > 1 && dfa_.accepts(from);
    const StateId to = dfa_.next(from, trie.byte(at));
    if (to == kDead) {
      if (may_follow) made->exits.push_back({trie.byte(at), at});
      at = trie.end(at);
      continue;
    }
    levels.push_back({.end = trie.end(at),
                      .state = to,
                      .node = at,
                      .may_follow = may_follow,
                      .taken_before = taken.size()});
    for (const TokenId id : trie.tokens(at)) taken.push_back(id);
    ++at;
  }
  while (!levels.empty()) leave();
  std::sort(made->exits.begin(), made->exits.end(),
            [](const TokenFates::Exit& a, const TokenFates::Exit& b) {
              return a.byte != b.byte ? a.byte < b.byte : a.node < b.node;
            });
  made->exits.shrink_to_fit();
  made->keep(std::move(taken));
  cache_.add(key, made);
  return made;
}

}  // namespace mistral::grammar
