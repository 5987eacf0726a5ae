// A tokenizer.json pipeline: added tokens, normaliser, pre-tokenizer, model, post-processor,
// decoder.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/added_tokens.h"
#include "text/tokenizer/decoder.h"
#include "text/tokenizer/encoding.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/post_processor.h"
#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/token_model.h"
#include "text/tokenizer/tokenizer.h"
#include "text/tokenizer/tokenizer_config.h"

namespace mistral::text {

class HfTokenizer final : public Tokenizer {
 public:
  struct Parts {
    std::unique_ptr<Normalizer> normalizer;  // may be null, as the three below
    std::unique_ptr<PreTokenizer> pre_tokenizer;
    std::unique_ptr<TokenModel> model;  // never null
    std::unique_ptr<PostProcessor> post_processor;
    std::unique_ptr<Decoder> decoder;
    std::vector<AddedToken> added_tokens;
  };
  struct SpecialTokens {
    std::optional<TokenId> bos;
    std::optional<TokenId> eos;
    std::optional<TokenId> unk;
    std::optional<TokenId> pad;
  };

  explicit HfTokenizer(Parts parts);
  void set_special_tokens(SpecialTokens tokens);
  // Makes encode() begin with BOS and end with EOS, or not; unset: as the post-processor does.
  // Needs the special tokens; a flag for a token that is not there is a warning.
  void set_bos_eos(std::optional<bool> add_bos, std::optional<bool> add_eos);

  // `json` is the text of a tokenizer.json, `config` what the files beside it add. Throws Error
  // naming the entry. Warnings name `source`, the file.
  [[nodiscard]] static std::unique_ptr<HfTokenizer> parse(
      std::string_view json, const TokenizerConfig& config = {},
      std::string_view source = "tokenizer.json");

  [[nodiscard]] std::vector<TokenId> encode(std::string_view text,
                                            const EncodeOptions& options = {}) const override;

  struct Input {
    std::string_view first;
    std::optional<std::string_view> second;
  };
  struct FullOptions {
    EncodeOptions encode;
    const TruncationOptions* truncation = nullptr;
    const PaddingOptions* padding = nullptr;
  };
  // With tokens, offsets, masks. Throws Error (kInvalidArgument) when truncation fails.
  [[nodiscard]] Encoding encode_full(const Input& input, const FullOptions& options) const;
  [[nodiscard]] std::vector<Encoding> encode_batch(const std::vector<Input>& inputs,
                                                   const FullOptions& options) const;

  [[nodiscard]] std::string decode(std::span<const TokenId> ids, bool skip_special) const override;
  void append_bytes(TokenId id, bool first, bool skip_special, std::string& out) const override;
  [[nodiscard]] bool decodes_by_token() const override { return decodes_by_token_; }

  [[nodiscard]] std::size_t vocab_size() const override { return vocab_size_; }
  [[nodiscard]] std::size_t trained_size() const override;
  [[nodiscard]] std::string_view token(TokenId id) const override;
  [[nodiscard]] std::optional<TokenId> find(std::string_view token) const override;
  [[nodiscard]] bool is_special(TokenId id) const override;
  [[nodiscard]] std::optional<TokenId> bos() const override { return special_.bos; }
  [[nodiscard]] std::optional<TokenId> eos() const override { return special_.eos; }
  [[nodiscard]] std::optional<TokenId> unk() const override { return special_.unk; }
  [[nodiscard]] std::optional<TokenId> pad() const override { return special_.pad; }
  [[nodiscard]] bool adds_bos() const override;
  [[nodiscard]] bool adds_eos() const override;

 private:
  [[nodiscard]] Pieces cut(std::string_view text, AlignedText::Tracking tracking,
                           bool match_special) const;
  [[nodiscard]] Encoding encode_sequence(std::string_view text, std::uint32_t type_id,
                                         bool match_special) const;
  [[nodiscard]] Encoding post_process(Encoding first, std::optional<Encoding> second,
                                      const FullOptions& options) const;
  void find_affixes();

  std::unique_ptr<Normalizer> normalizer_;
  std::unique_ptr<PreTokenizer> pre_tokenizer_;
  std::unique_ptr<TokenModel> model_;
  std::unique_ptr<PostProcessor> post_processor_;
  std::unique_ptr<Decoder> decoder_;
  AddedTokens added_;
  SpecialTokens special_;
  std::size_t vocab_size_ = 0;
  bool decodes_by_token_ = true;
  bool needs_origins_ = false;
  // What the post-processor puts around one sequence; unset when it does more than that.
  struct Affixes {
    std::vector<TokenId> before;
    std::vector<TokenId> after;
  };
  std::optional<Affixes> affixes_;
};

}  // namespace mistral::text
