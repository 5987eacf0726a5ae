// Tokens that are looked for in the text itself, before it is cut into words.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/pattern_matcher.h"
#include "text/tokenizer/pieces.h"
#include "text/tokenizer/vocabulary.h"

namespace mistral::text {

struct AddedToken {
  TokenId id = -1;
  std::string content;
  bool single_word = false;  // not inside a word
  bool lstrip = false;       // swallows blanks before it
  bool rstrip = false;       // and behind it
  bool normalized = true;    // looked for in the normalised text, in its normalised form
  bool special = false;
};

class AddedTokens {
 public:
  AddedTokens() = default;
  // `normalizer` may be null.
  AddedTokens(std::vector<AddedToken> tokens, const Normalizer* normalizer);

  // Normalises `text` (valid UTF-8) around the tokens and cuts it at them. Without
  // `match_special`, special tokens are plain text.
  [[nodiscard]] Pieces extract(std::string_view text, const Normalizer* normalizer,
                               AlignedText::Tracking tracking, bool match_special) const;

  [[nodiscard]] const AddedToken* find(TokenId id) const;
  [[nodiscard]] const AddedToken* find(std::string_view content) const;
  [[nodiscard]] bool is_special(std::string_view content) const {
    return special_.contains(std::string(content));
  }
  [[nodiscard]] const std::vector<AddedToken>& list() const { return tokens_; }

 private:
  struct Group {
    std::vector<std::size_t> tokens;
    PatternMatcher matcher;
    std::optional<std::size_t> empty;  // index into `tokens`: normalisation left nothing of it
  };
  [[nodiscard]] std::vector<Pieces::Piece> cut(std::string_view text, const Group& group,
                                               bool match_special) const;

  std::vector<AddedToken> tokens_;
  Group raw_;
  Group normalized_;
  std::unordered_map<TokenId, std::size_t> by_id_;
  std::unordered_map<std::string, std::size_t> by_content_;
  std::unordered_set<std::string> special_;
};

}  // namespace mistral::text
