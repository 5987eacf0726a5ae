#include "text/grammar/token_trie.h"

#include <algorithm>

namespace mistral::grammar {

TokenTrie::TokenTrie(const std::vector<std::string>& texts) {
  for (std::size_t id = 0; id < texts.size(); ++id) {
    if (!texts[id].empty()) tokens_.push_back(static_cast<TokenId>(id));
  }
  const auto text_of = [&](TokenId id) -> const std::string& {
    return texts[static_cast<std::size_t>(id)];
  };
  std::sort(tokens_.begin(), tokens_.end(), [&](TokenId a, TokenId b) {
    const int order = text_of(a).compare(text_of(b));  // compares bytes as unsigned
    return order != 0 ? order < 0 : a < b;
  });
  const auto open = [&](std::uint8_t byte, std::size_t token) {
    bytes_.push_back(byte);
    ends_.push_back(0);
    first_token_.push_back(static_cast<std::uint32_t>(token));
  };
  open(0, 0);
  std::vector<TrieNode> path = {0};  // the nodes of the last text
  std::string_view last;
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const std::string& text = text_of(tokens_[i]);
    const auto shared = static_cast<std::size_t>(
        std::mismatch(text.begin(), text.end(), last.begin(), last.end()).first - text.begin());
    for (; path.size() > shared + 1; path.pop_back()) ends_[path.back()] = size();
    for (std::size_t depth = shared; depth < text.size(); ++depth) {
      path.push_back(size());
      open(static_cast<std::uint8_t>(text[depth]), i);
    }
    last = text;
  }
  for (const TrieNode node : path) ends_[node] = size();
  first_token_.push_back(static_cast<std::uint32_t>(tokens_.size()));
}

TrieNode TokenTrie::child(TrieNode node, std::uint8_t byte) const {
  for (TrieNode at = node + 1; at < ends_[node]; at = ends_[at]) {
    if (bytes_[at] == byte) return at;
  }
  return 0;
}

}  // namespace mistral::grammar
