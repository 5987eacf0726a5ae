// The vocabulary of a GGUF file (keys tokenizer.ggml.*) as plain data, with the defaults that
// the ggml project gives to keys that are absent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"
#include "mistral/types.h"
#include "text/tokenizer/vocabulary.h"

namespace mistral::text {

struct GgufVocabulary {
  enum class Model { kBytePair, kSentencePiece, kUnigram, kWordPiece };
  enum class Kind : std::uint8_t {  // tokenizer.ggml.token_type
    kUndefined = 0,
    kNormal = 1,
    kUnknown = 2,
    kControl = 3,
    kUserDefined = 4,
    kUnused = 5,
    kByte = 6,
  };

  Model model = Model::kSentencePiece;
  std::string pre;  // tokenizer.ggml.pre, empty when absent
  Vocabulary tokens;
  std::vector<float> scores;  // one for each id
  std::vector<Kind> kinds;    // one for each id

  std::optional<TokenId> bos;
  std::optional<TokenId> eos;
  std::optional<TokenId> unk;
  std::optional<TokenId> pad;
  std::optional<TokenId> sep;
  bool add_bos = false;
  bool add_eos = false;
  bool add_sep = false;
  bool add_space_prefix = false;
  bool remove_extra_whitespaces = false;
  bool clean_up_spaces = false;
  bool ignore_merges = false;

  // Blanks that a special token swallows; one entry for each id, or empty.
  std::vector<bool> strips_left;
  std::vector<bool> strips_right;

  // WordPiece.
  bool lowercase = true;
  bool strip_accents = true;

  // Throws Error (kInvalidFile, kUnsupported) naming the key.
  [[nodiscard]] static GgufVocabulary load(const formats::GgufMetadata& gguf);

  [[nodiscard]] Kind kind(TokenId id) const {
    return tokens.contains(id) ? kinds[static_cast<std::size_t>(id)] : Kind::kUndefined;
  }
  // The id of `byte`: "<0x41>", else the byte itself; unk when there is neither, then nothing.
  [[nodiscard]] std::optional<TokenId> byte_token(std::uint8_t byte) const;
};

// The byte that a token of the form <0xAB> stands for.
[[nodiscard]] std::optional<std::uint8_t> parse_byte_token(std::string_view text);
[[nodiscard]] std::string byte_token_text(std::uint8_t byte);

}  // namespace mistral::text
