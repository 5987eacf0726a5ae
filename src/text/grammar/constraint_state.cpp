#include <algorithm>

#include "core/error.h"
#include "text/grammar/constraint.h"

namespace mistral::grammar {
namespace {

// More forced text than this is looked at in the next step.
constexpr std::size_t kMostForcedBytes = 4096;
// Ends that are longer are not looked for.
constexpr std::size_t kMostEndingBytes = 2048;

}  // namespace

ConstraintState::ConstraintState(std::shared_ptr<const CompiledConstraint> constraint)
    : constraint_(std::move(constraint)), machine_(constraint_->start()) {}

void ConstraintState::allow(TokenMask& mask) {
  const ConstraintVocabulary& vocabulary = constraint_->vocabulary();
  mask.reset(vocabulary.size());
  if (ended_) return;
  if (at_beginning()) {
    machine_->allow_tokens(vocabulary.first_trie(), 1, mask);
  } else {
    machine_->allow_tokens(vocabulary.trie(), 0, mask);
  }
  if (!machine_->accepts()) return;
  for (const TokenId id : vocabulary.end_tokens()) {
    if (id >= 0 && static_cast<std::size_t>(id) < vocabulary.size()) mask.allow(id);
  }
}

bool ConstraintState::advance(TokenId token) {
  const ConstraintVocabulary& vocabulary = constraint_->vocabulary();
  if (ended_) return false;
  if (vocabulary.is_end(token)) {
    if (!machine_->accepts()) return false;
    ended_ = true;
    lengths_.push_back(0);
    return true;
  }
  const std::string& text = at_beginning() ? vocabulary.first_text(token) : vocabulary.text(token);
  if (text.empty()) return false;
  std::uint32_t pushed = 0;
  try {
    for (const char c : text) {
      if (!machine_->push(static_cast<std::uint8_t>(c))) {
        machine_->pop(pushed);
        return false;
      }
      ++pushed;
    }
    lengths_.push_back(pushed);
  } catch (...) {
    machine_->pop(pushed);
    throw;
  }
  bytes_ += pushed;
  return true;
}

void ConstraintState::rollback(std::size_t tokens) {
  for (; tokens > 0 && !lengths_.empty(); --tokens) {
    if (ended_) {
      ended_ = false;
    } else {
      machine_->pop(lengths_.back());
      bytes_ -= lengths_.back();
    }
    lengths_.pop_back();
  }
}

std::string ConstraintState::forced_text() {
  std::string text;
  try {
    while (text.size() < kMostForcedBytes && !machine_->accepts()) {
      const ByteSet next = machine_->next_bytes();
      if (next.count() != 1) break;
      std::uint8_t byte = 0;
      while (!next.test(byte)) ++byte;
      if (!machine_->push(byte)) break;
      text += static_cast<char>(byte);
    }
  } catch (...) {
    machine_->pop(text.size());
    throw;
  }
  machine_->pop(text.size());
  return text;
}

std::vector<TokenId> ConstraintState::forced_tokens(std::size_t most) {
  // The first token of an answer depends on the end of the prompt.
  if (ended_ || at_beginning() || most == 0) return {};
  const std::string text = forced_text();
  if (text.empty()) return {};
  const ConstraintVocabulary& vocabulary = constraint_->vocabulary();
  std::vector<TokenId> tokens = vocabulary.encode(text);
  // The tokenizer may have seen something else in it than bytes.
  std::size_t spelled = 0;
  for (const TokenId id : tokens) {
    const std::string& part = vocabulary.text(id);
    if (part.empty() || text.compare(spelled, part.size(), part) != 0) return {};
    spelled += part.size();
  }
  if (spelled != text.size()) return {};
  // What follows may make another token of the end of the text: tokens stay only up to a place from
  // which the rest is no beginning of a longer token.
  const TokenTrie& trie = vocabulary.trie();
  const auto may_grow = [&](std::size_t from) {
    TrieNode node = 0;
    for (std::size_t i = from; i < text.size(); ++i) {
      node = trie.child(node, static_cast<std::uint8_t>(text[i]));
      if (node == 0) return false;
    }
    return trie.tokens_below(node) > trie.tokens(node).size();
  };
  std::size_t safe = 0;
  while (safe < text.size() && !may_grow(safe)) ++safe;
  std::size_t end = text.size();
  while (!tokens.empty() && end > safe) {
    end -= vocabulary.text(tokens.back()).size();
    tokens.pop_back();
  }
  if (tokens.size() > most) tokens.resize(most);
  return tokens;
}

std::optional<std::vector<TokenId>> ConstraintState::spell(const std::string& text) const {
  // Backwards: from each place the fewest tokens, and the first of them.
  struct Place {
    std::size_t count = kMostEndingBytes + 1;
    TokenId token = -1;
    std::size_t next = 0;
  };
  const ConstraintVocabulary& vocabulary = constraint_->vocabulary();
  std::vector<Place> places(text.size() + 1);
  places.back().count = 0;
  for (std::size_t from = text.size(); from-- > 0;) {
    const TokenTrie& trie =
        from == 0 && at_beginning() ? vocabulary.first_trie() : vocabulary.trie();
    TrieNode node = 0;
    for (std::size_t i = from; i < text.size(); ++i) {
      node = trie.child(node, static_cast<std::uint8_t>(text[i]));
      if (node == 0) break;
      if (trie.tokens(node).empty() || places[i + 1].count >= places[from].count) continue;
      places[from] = {
          .count = places[i + 1].count + 1, .token = trie.tokens(node).front(), .next = i + 1};
    }
  }
  if (places.front().count > text.size()) return std::nullopt;
  std::vector<TokenId> tokens;
  for (std::size_t at = 0; at < text.size(); at = places[at].next) {
    tokens.push_back(places[at].token);
  }
  return tokens;
}

std::optional<std::vector<TokenId>> ConstraintState::ending_tokens(std::size_t most) {
  if (ended_) return std::vector<TokenId>();
  const ConstraintVocabulary& vocabulary = constraint_->vocabulary();
  std::size_t pushed = 0;
  try {
    const auto text = machine_->shortest_end(
        std::min(kMostEndingBytes, most * std::max<std::size_t>(vocabulary.longest_token(), 1)));
    if (!text) return std::nullopt;
    auto tokens = spell(*text);
    if (!tokens) return std::nullopt;
    while (pushed < text->size() && machine_->push(static_cast<std::uint8_t>((*text)[pushed]))) {
      ++pushed;
    }
    const bool ends = pushed == text->size() && machine_->accepts();
    const bool complete = machine_->next_bytes().none();
    machine_->pop(pushed);
    if (!ends) return std::nullopt;
    if (!complete) {
      const auto& end_tokens = vocabulary.end_tokens();
      const auto end = std::find_if(end_tokens.begin(), end_tokens.end(), [&](TokenId id) {
        return id >= 0 && static_cast<std::size_t>(id) < vocabulary.size();
      });
      if (end == end_tokens.end()) return std::nullopt;
      tokens->push_back(*end);
    }
    if (tokens->size() > most) return std::nullopt;
    return tokens;
  } catch (const Error&) {
    machine_->pop(pushed);  // too ambiguous
    return std::nullopt;
  }
}

}  // namespace mistral::grammar
