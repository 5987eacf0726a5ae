// What the tokenizers of GGUF vocabularies and of SentencePiece files have in common: special
// tokens in the text, BOS and EOS, and the way back to text. Subclasses encode the text between
// special tokens.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/gguf_vocabulary.h"
#include "text/tokenizer/pattern_matcher.h"
#include "text/tokenizer/tokenizer.h"

namespace mistral::text {

class GgufTokenizer : public Tokenizer {
 public:
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text,
                                            const EncodeOptions& options) const final;
  [[nodiscard]] std::string decode(std::span<const TokenId> ids, bool skip_special) const final;
  void append_bytes(TokenId id, bool first, bool skip_special, std::string& out) const override;

  [[nodiscard]] std::size_t vocab_size() const final { return vocabulary_.tokens.size(); }
  [[nodiscard]] std::size_t trained_size() const final;
  [[nodiscard]] std::string_view token(TokenId id) const final {
    return vocabulary_.tokens.text(id);
  }
  [[nodiscard]] std::optional<TokenId> find(std::string_view token) const final {
    return vocabulary_.tokens.find(token);
  }
  [[nodiscard]] bool is_special(TokenId id) const final {
    const auto kind = vocabulary_.kind(id);
    return kind == GgufVocabulary::Kind::kControl || kind == GgufVocabulary::Kind::kUnknown;
  }
  [[nodiscard]] std::optional<TokenId> bos() const final { return vocabulary_.bos; }
  [[nodiscard]] std::optional<TokenId> eos() const final { return vocabulary_.eos; }
  [[nodiscard]] std::optional<TokenId> unk() const final { return vocabulary_.unk; }
  [[nodiscard]] std::optional<TokenId> pad() const final { return vocabulary_.pad; }
  [[nodiscard]] bool adds_bos() const final { return vocabulary_.add_bos; }
  [[nodiscard]] bool adds_eos() const final { return vocabulary_.add_eos; }

 protected:
  explicit GgufTokenizer(GgufVocabulary vocabulary);

  // Appends the ids of `text`, valid UTF-8 without special tokens and not empty: what stands at
  // the beginning of the input, or behind a special token.
  virtual void encode_fragment(std::string_view text, bool at_beginning,
                               std::vector<TokenId>& out) const = 0;

  // Fills the table of what each token prints. `spell` appends the bytes of a normal token.
  template <typename Spell>
  void build_pieces(Spell&& spell) {
    pieces_.reserve(vocabulary_.tokens.size() + 1);
    for (std::size_t i = 0; i < vocabulary_.tokens.size(); ++i) {
      pieces_.push_back(piece_bytes_.size());
      const auto id = static_cast<TokenId>(i);
      const std::string_view text = vocabulary_.tokens.text(id);
      switch (vocabulary_.kinds[i]) {
        case GgufVocabulary::Kind::kNormal:
          spell(text, piece_bytes_);
          break;
        case GgufVocabulary::Kind::kByte:
          if (const auto byte = parse_byte_token(text)) {
            piece_bytes_.push_back(static_cast<char>(*byte));
          } else {
            piece_bytes_ += text;
          }
          break;
        case GgufVocabulary::Kind::kUnknown:
        case GgufVocabulary::Kind::kControl:
        case GgufVocabulary::Kind::kUserDefined:
          piece_bytes_ += text;
          break;
        case GgufVocabulary::Kind::kUnused:
        case GgufVocabulary::Kind::kUndefined:
          break;
      }
    }
    pieces_.push_back(piece_bytes_.size());
  }

  [[nodiscard]] const GgufVocabulary& vocabulary() const { return vocabulary_; }

 private:
  // Decoded bytes that are not UTF-8, as text.
  [[nodiscard]] virtual std::string repaired(std::string_view bytes) const;
  struct Specials {
    std::vector<TokenId> ids;
    std::vector<PatternMatcher::Strip> strips;
    PatternMatcher matcher;
  };
  [[nodiscard]] Specials collect_specials(bool control) const;

  GgufVocabulary vocabulary_;
  Specials user_defined_;  // always matched
  Specials all_;           // matched with parse_special
  std::string piece_bytes_;
  std::vector<std::size_t> pieces_;  // begin of each id's bytes, and the end
};

// Appends `text` with U+2581 read as a space.
void append_unescaped_spaces(std::string_view text, std::string& out);
// Appends `text` with spaces written as U+2581.
void append_escaped_spaces(std::string_view text, std::string& out);

[[nodiscard]] std::unique_ptr<Tokenizer> make_gguf_bpe(GgufVocabulary vocabulary,
                                                       const formats::GgufMetadata& gguf);
[[nodiscard]] std::unique_ptr<Tokenizer> make_gguf_sentencepiece(GgufVocabulary vocabulary);
[[nodiscard]] std::unique_ptr<Tokenizer> make_gguf_unigram(GgufVocabulary vocabulary,
                                                           const formats::GgufMetadata& gguf);
[[nodiscard]] std::unique_ptr<Tokenizer> make_gguf_wordpiece(GgufVocabulary vocabulary);

}  // namespace mistral::text
