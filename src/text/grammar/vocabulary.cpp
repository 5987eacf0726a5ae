#include "text/grammar/vocabulary.h"

#include <algorithm>

#include "core/error.h"
#include "text/tokenizer/tokenizer.h"

namespace mistral::grammar {
namespace {

const std::string kNoText;

std::vector<std::string> texts_of(const text::Tokenizer& tokenizer, std::size_t vocab_size,
                                  bool first, std::span<const TokenId> shown) {
  if (!tokenizer.decodes_by_token()) {
    throw Error(ErrorKind::kUnsupported,
                "constraints need a tokenizer whose tokens have texts of their own");
  }
  std::vector<std::string> texts(vocab_size);
  const std::size_t known = std::min(vocab_size, tokenizer.vocab_size());
  for (std::size_t i = 0; i < known; ++i) {
    const auto id = static_cast<TokenId>(i);
    const bool special = tokenizer.is_special(id);
    if (special && std::find(shown.begin(), shown.end(), id) == shown.end()) continue;
    tokenizer.append_bytes(id, first, /*skip_special=*/!special, texts[i]);
  }
  return texts;
}

std::vector<std::string> without(std::vector<std::string> texts,
                                 std::span<const TokenId> end_tokens) {
  for (const TokenId id : end_tokens) {
    if (id >= 0 && static_cast<std::size_t>(id) < texts.size()) {
      texts[static_cast<std::size_t>(id)].clear();
    }
  }
  return texts;
}

std::size_t hash_of(const Dfa& dfa) {
  std::size_t hash = dfa.size() * 31 + dfa.class_count();
  for (StateId state = 0; state < dfa.size(); ++state) {
    for (std::size_t c = 0; c < dfa.class_count(); ++c) {
      hash = (hash ^ dfa.next_of_class(state, c)) * 0x100000001B3U;
    }
    hash += static_cast<std::size_t>(dfa.label(state)) + 7;
  }
  for (const std::uint8_t byte_class : dfa.classes()) hash = (hash ^ byte_class) * 0x100000001B3U;
  return hash;
}

}  // namespace

ConstraintVocabulary::ConstraintVocabulary(const text::Tokenizer& tokenizer,
                                           std::span<const TokenId> end_tokens,
                                           std::size_t vocab_size, std::span<const TokenId> shown)
    : ConstraintVocabulary(texts_of(tokenizer, vocab_size, /*first=*/false, shown),
                           std::vector<TokenId>(end_tokens.begin(), end_tokens.end())) {
  tokenizer_ = &tokenizer;
  shows_special_ = !shown.empty();
  std::vector<std::string> first =
      without(texts_of(tokenizer, vocab_size, /*first=*/true, shown), end_tokens);
  if (first != texts_) {
    first_texts_ = std::move(first);
    first_trie_ = std::make_unique<TokenTrie>(first_texts_);
  }
}

ConstraintVocabulary::ConstraintVocabulary(std::vector<std::string> texts,
                                           std::vector<TokenId> end_tokens)
    : texts_(without(std::move(texts), end_tokens)),
      end_tokens_(std::move(end_tokens)),
      trie_(texts_) {
  for (const std::string& text : texts_) longest_ = std::max(longest_, text.size());
}

bool ConstraintVocabulary::is_end(TokenId id) const {
  return std::find(end_tokens_.begin(), end_tokens_.end(), id) != end_tokens_.end();
}

const std::string& ConstraintVocabulary::text(TokenId id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= texts_.size()) return kNoText;
  return texts_[static_cast<std::size_t>(id)];
}

const std::string& ConstraintVocabulary::first_text(TokenId id) const {
  if (first_texts_.empty()) return text(id);
  if (id < 0 || static_cast<std::size_t>(id) >= first_texts_.size()) return kNoText;
  return first_texts_[static_cast<std::size_t>(id)];
}

std::vector<TokenId> ConstraintVocabulary::encode(std::string_view text) const {
  if (tokenizer_ == nullptr) return {};
  return tokenizer_->encode(text, {.add_special = false, .parse_special = shows_special_});
}

std::shared_ptr<const Terminal> ConstraintVocabulary::terminal(Dfa dfa, Budget& budget) const {
  constexpr std::size_t kMostKept = 4096;
  const std::size_t hash = hash_of(dfa);
  const auto find = [&](const Dfa& wanted) -> std::shared_ptr<const Terminal> {
    const auto [begin, end] = terminals_.equal_range(hash);
    const auto found =
        std::find_if(begin, end, [&](const auto& entry) { return entry.second->dfa() == wanted; });
    return found == end ? nullptr : found->second;
  };
  {
    const std::lock_guard lock(mutex_);
    if (auto known = find(dfa)) return known;
  }
  // Nobody waits while a large one is made.
  auto made = std::make_shared<const Terminal>(std::move(dfa), longest_, budget);
  const std::lock_guard lock(mutex_);
  if (auto known = find(made->dfa())) return known;
  if (terminals_.size() >= kMostKept) terminals_.clear();
  terminals_.emplace(hash, made);
  return made;
}

}  // namespace mistral::grammar
