// The tokens of a model as constraints see them: which bytes each adds to an answer.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "mistral/types.h"
#include "text/grammar/terminal.h"
#include "text/grammar/token_trie.h"

namespace mistral::text {
class Tokenizer;
}

namespace mistral::grammar {

// Made once for a model. Thread safe.
class ConstraintVocabulary {
 public:
  // Special tokens are no text, but for those in `shown`; `end_tokens` end an answer. The tokenizer
  // must outlive it. Throws Error (kUnsupported) when a token's text depends on its neighbours.
  ConstraintVocabulary(const text::Tokenizer& tokenizer, std::span<const TokenId> end_tokens,
                       std::size_t vocab_size, std::span<const TokenId> shown = {});
  // Of texts alone; nothing is then known about how text becomes tokens.
  ConstraintVocabulary(std::vector<std::string> texts, std::vector<TokenId> end_tokens);

  [[nodiscard]] std::size_t size() const { return texts_.size(); }
  [[nodiscard]] const TokenTrie& trie() const { return trie_; }
  [[nodiscard]] std::size_t longest_token() const { return longest_; }  // in bytes
  [[nodiscard]] const std::vector<TokenId>& end_tokens() const { return end_tokens_; }
  [[nodiscard]] bool is_end(TokenId id) const;
  // What the token adds to an answer; nothing for special tokens.
  [[nodiscard]] const std::string& text(TokenId id) const;

  // Some vocabularies drop a space at the beginning of a text. Then the first token adds less.
  [[nodiscard]] const TokenTrie& first_trie() const { return first_trie_ ? *first_trie_ : trie_; }
  [[nodiscard]] const std::string& first_text(TokenId id) const;

  // The tokens of a text in the middle of an answer; nothing when it is not known.
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text) const;

  // Equal automata are one terminal, so that what was found out about it serves all constraints.
  // Throws Error (kInvalidArgument) when the budget's time is over.
  [[nodiscard]] std::shared_ptr<const Terminal> terminal(Dfa dfa, Budget& budget) const;

 private:
  const text::Tokenizer* tokenizer_ = nullptr;
  bool shows_special_ = false;
  std::vector<std::string> texts_;
  std::vector<std::string> first_texts_;  // empty where they are the same
  std::vector<TokenId> end_tokens_;
  std::size_t longest_ = 0;  // bytes of the longest token
  TokenTrie trie_;
  std::unique_ptr<TokenTrie> first_trie_;

  mutable std::mutex mutex_;
  mutable std::unordered_multimap<std::size_t, std::shared_ptr<const Terminal>> terminals_;
};

}  // namespace mistral::grammar
