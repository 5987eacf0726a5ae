// A SentencePiece model file (tokenizer.model, spiece.model): a protocol buffer with the pieces
// and how a text is prepared for them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/gguf_vocabulary.h"
#include "text/tokenizer/tokenizer.h"
#include "text/tokenizer/tokenizer_config.h"

namespace mistral::text {

struct SentencePieceModel {
  enum class Type { kUnigram = 1, kBytePair = 2, kWord = 3, kCharacter = 4 };
  using Kind = GgufVocabulary::Kind;  // GGUF took its numbers from this format

  struct Piece {
    std::string_view text;
    float score = 0;
    Kind kind = Kind::kNormal;
  };

  // All views point into the bytes given to parse().
  std::vector<Piece> pieces;
  std::string_view charsmap;  // see Charsmap; empty: the text stays as it is
  std::string_view bos_piece = "<s>";
  std::string_view eos_piece = "</s>";
  std::string_view pad_piece = "<pad>";
  TokenId unk = 0;
  Type type = Type::kUnigram;
  bool byte_fallback = false;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
  bool whitespace_as_suffix = false;  // the dummy prefix becomes an ending

  // Checks what the library itself checks: texts are not empty and differ, there is one unknown
  // piece, and all bytes have one if they are needed. Throws Error (kInvalidFile, kUnsupported)
  // naming the field.
  [[nodiscard]] static SentencePieceModel parse(std::string_view bytes);
};

// The tokenizer of a model file's bytes, which may go away afterwards. Throws as parse().
[[nodiscard]] std::unique_ptr<Tokenizer> parse_sentencepiece(std::string_view bytes,
                                                             const TokenizerConfig& config);

}  // namespace mistral::text
