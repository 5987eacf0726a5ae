// Text to token ids and back. One interface over Hugging Face tokenizer.json pipelines and the
// vocabularies inside GGUF files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/gguf.h"
#include "mistral/types.h"

namespace mistral::text {

struct EncodeOptions {
  bool add_special = true;    // BOS/EOS (and what a post-processor adds) as the model says
  bool parse_special = true;  // texts of special tokens become those tokens
};

// Immutable after loading; all members are thread safe.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Invalid UTF-8 is read as U+FFFD. Never throws for any text.
  [[nodiscard]] virtual std::vector<TokenId> encode(std::string_view text,
                                                    const EncodeOptions& options = {}) const = 0;
  // The text of the ids as UTF-8; incomplete characters become U+FFFD. Unknown ids are skipped.
  // Ends with the clean-up of spaces (" ." to ".") that some vocabularies ask for; a Detokenizer
  // prints the text as generated, without it.
  [[nodiscard]] virtual std::string decode(std::span<const TokenId> ids,
                                           bool skip_special) const = 0;

  // Appends the bytes that `id` contributes when it follows other tokens; `first` says that it is
  // the first of the text (some vocabularies drop a leading space there). Special tokens
  // contribute their text unless skip_special. What the detokenizer is built on: O(1).
  virtual void append_bytes(TokenId id, bool first, bool skip_special, std::string& out) const = 0;
  // False for the few decoders (CTC, word ends) where a token's text depends on its neighbours;
  // append_bytes() is then only an approximation, and Detokenizer decodes a window of tokens.
  [[nodiscard]] virtual bool decodes_by_token() const { return true; }

  // True when a leading space is dropped from every token until one prints something, not only
  // from the first.
  [[nodiscard]] virtual bool drops_all_leading_spaces() const { return false; }

  [[nodiscard]] virtual std::size_t vocab_size() const = 0;  // largest id + 1
  // The same without tokens that were added behind the vocabulary that the model was trained with.
  [[nodiscard]] virtual std::size_t trained_size() const { return vocab_size(); }
  // The token as the vocabulary writes it ("Ġthe", "▁the", "<0x0A>"); empty for unknown ids.
  [[nodiscard]] virtual std::string_view token(TokenId id) const = 0;
  [[nodiscard]] virtual std::optional<TokenId> find(std::string_view token) const = 0;
  [[nodiscard]] virtual bool is_special(TokenId id) const = 0;  // control tokens

  [[nodiscard]] virtual std::optional<TokenId> bos() const = 0;
  [[nodiscard]] virtual std::optional<TokenId> eos() const = 0;
  [[nodiscard]] virtual std::optional<TokenId> unk() const = 0;
  [[nodiscard]] virtual std::optional<TokenId> pad() const = 0;
  // encode(…, add_special) begins with bos() / ends with eos().
  [[nodiscard]] virtual bool adds_bos() const = 0;
  [[nodiscard]] virtual bool adds_eos() const = 0;
};

// From the keys tokenizer.ggml.*. Throws Error (kInvalidFile, kUnsupported) naming the key.
// `gguf` may be closed afterwards: the tokenizer copies what it needs.
[[nodiscard]] std::unique_ptr<Tokenizer> load_gguf_tokenizer(const formats::GgufMetadata& gguf);

// From tokenizer.json, with the special tokens and flags of tokenizer_config.json and
// special_tokens_map.json beside it when there. Throws Error naming the file and the entry.
[[nodiscard]] std::unique_ptr<Tokenizer> load_tokenizer_json(const std::filesystem::path& path);

// From a SentencePiece model (tokenizer.model), with the added tokens and flags of the files beside
// it. A text begins with BOS unless they say otherwise. Throws Error naming the file and the field.
[[nodiscard]] std::unique_ptr<Tokenizer> load_sentencepiece(const std::filesystem::path& path);

// Turns a stream of ids into text that is safe to print: a piece never ends inside a character.
// Amortised O(1) per token.
class Detokenizer {
 public:
  // `shown` are special tokens that are printed even with skip_special.
  Detokenizer(const Tokenizer& tokenizer, bool skip_special, std::vector<TokenId> shown = {})
      : tokenizer_(tokenizer), skip_special_(skip_special), shown_(std::move(shown)) {}

  // Appends a token and returns the text that became complete, maybe empty. The view is valid
  // until the next call.
  std::string_view push(TokenId id);
  // The rest at the end of the stream: a broken character becomes U+FFFD.
  std::string_view finish();

 private:
  std::string_view push_by_window(TokenId id);
  void append_from_window(std::string_view text);

  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::vector<TokenId> shown_;
  bool first_ = true;
  std::string pending_;  // bytes of an incomplete character
  std::string piece_;
  std::vector<TokenId> window_;  // when tokens are not decoded one by one
  std::string window_text_;
};

}  // namespace mistral::text
