// The texts of all tokens as a tree of bytes, laid out so that a walk reads memory forwards.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "mistral/types.h"

namespace mistral::grammar {

using TrieNode = std::uint32_t;

// Nodes are numbered as a walk from the root meets them: the first child of n is n + 1, the next
// sibling of n, or what follows its parent, is end(n). Node 0 is the root, the empty text.
class TokenTrie {
 public:
  // texts[id] is the token's text; tokens without one are not part of the tree.
  explicit TokenTrie(const std::vector<std::string>& texts);

  [[nodiscard]] std::uint8_t byte(TrieNode node) const { return bytes_[node]; }
  [[nodiscard]] TrieNode end(TrieNode node) const { return ends_[node]; }
  [[nodiscard]] TrieNode size() const { return static_cast<TrieNode>(bytes_.size()); }
  // Tokens whose text ends here.
  [[nodiscard]] std::span<const TokenId> tokens(TrieNode node) const {
    return std::span(tokens_).subspan(first_token_[node], token_count(node));
  }
  // Tokens whose text ends here or below.
  [[nodiscard]] std::size_t tokens_below(TrieNode node) const {
    return first_token_[ends_[node]] - first_token_[node];
  }
  // The child by a byte; 0: there is none.
  [[nodiscard]] TrieNode child(TrieNode node, std::uint8_t byte) const;

 private:
  [[nodiscard]] std::size_t token_count(TrieNode node) const {
    return first_token_[node + 1] - first_token_[node];
  }

  std::vector<std::uint8_t> bytes_;
  std::vector<TrieNode> ends_;
  std::vector<std::uint32_t> first_token_;  // of each node, and of the end
  std::vector<TokenId> tokens_;
};

}  // namespace mistral::grammar
