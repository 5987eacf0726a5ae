#include "text/grammar/terminal.h"

#include <algorithm>

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

Terminal::Terminal(Dfa dfa, std::size_t longest_token, Budget& budget)
    : dfa_(std::move(dfa)), bytes_(dfa_.size()), shortest_(dfa_) {
  constexpr std::size_t kFewStates = 64;
  if (dfa_.size() > kFewStates) {
    // Whether a state accepts shows one byte later, by what may follow.
    alike_ = groups_of_states(dfa_.table(), longest_token + 1, budget);
    std::vector<StateId> first_of;
    for (StateId state = 0; state < dfa_.size(); ++state) {
      if (alike_[state] == first_of.size()) first_of.push_back(state);
      alike_[state] = first_of[alike_[state]];
    }
  }
  std::vector<ByteSet> of_class(dfa_.class_count());
  for (std::size_t byte = 0; byte < 256; ++byte) of_class[dfa_.classes()[byte]].set(byte);
  for (StateId state = 0; state < dfa_.size(); ++state) {
    for (std::size_t c = 0; c < dfa_.class_count(); ++c) {
      if (dfa_.next_of_class(state, c) != kDead) bytes_[state] |= of_class[c];
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
