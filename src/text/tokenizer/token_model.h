// The "model" of a tokenizer.json: turns one word into tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mistral/types.h"
#include "text/tokenizer/json_reader.h"
#include "text/tokenizer/vocabulary.h"

namespace mistral::text {

struct ModelToken {
  TokenId id;
  std::size_t begin;  // bytes of the word; may leave the word when the model drops characters
  std::size_t end;
  bool literal = false;  // is written as the word's own text, not as the vocabulary's
};

class TokenModel {
 public:
  explicit TokenModel(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  virtual ~TokenModel() = default;

  // Appends the tokens of `word`, valid UTF-8 and not empty. What no token covers is left out.
  virtual void tokenize(std::string_view word, std::vector<ModelToken>& out) const = 0;

  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }
  [[nodiscard]] std::optional<TokenId> unk() const { return unk_; }

 protected:
  std::optional<TokenId> unk_;

 private:
  Vocabulary vocabulary_;
};

// The large parts of a model as the file lists them. Texts are in few blocks: there are hundreds of
// thousands of them.
class ModelLists {
 public:
  struct Entry {
    std::string_view text;
    std::int64_t id = 0;  // models with a map
    double score = 0;     // Unigram: a list, the id is the index
  };
  struct Merge {
    std::string_view left;
    std::string_view right;
    bool joined = false;  // the old form "left right", in `left`
  };
  std::vector<Entry> vocabulary;
  bool scored = false;
  bool has_merges = false;  // the list is there, even if empty
  std::vector<Merge> merges;

  // The same text, for as long as the lists.
  [[nodiscard]] std::string_view keep(std::string_view text);

 private:
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::size_t free_ = 0;  // bytes at the end of the last block
  std::size_t size_ = 0;  // of the last block
};

// BPE, Unigram, WordPiece, WordLevel; a missing "type" is told from the other entries. Throws
// Error naming the entry; warnings name `source`, the file.
[[nodiscard]] std::unique_ptr<TokenModel> make_token_model(const JsonValue& json,
                                                           const ModelLists& lists,
                                                           std::string_view source);

[[nodiscard]] std::unique_ptr<TokenModel> make_bpe_model(const JsonReader& reader,
                                                         Vocabulary vocabulary,
                                                         const ModelLists& lists);
[[nodiscard]] std::unique_ptr<TokenModel> make_unigram_model(const JsonReader& reader,
                                                             Vocabulary vocabulary,
                                                             const ModelLists& lists);
[[nodiscard]] std::unique_ptr<TokenModel> make_wordpiece_model(const JsonReader& reader,
                                                               Vocabulary vocabulary);
[[nodiscard]] std::unique_ptr<TokenModel> make_wordlevel_model(const JsonReader& reader,
                                                               Vocabulary vocabulary);

}  // namespace mistral::text
