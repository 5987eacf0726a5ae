// SentencePiece vocabularies (Llama 2, Mistral, Gemma, Phi 3): merges by score, bytes for
// characters that are not in the vocabulary.
#include "text/tokenizer/gguf_tokenizer.h"
#include "text/tokenizer/sentencepiece_merger.h"

namespace mistral::text {
namespace {

class GgufSentencePiece final : public GgufTokenizer {
 public:
  explicit GgufSentencePiece(GgufVocabulary source)
      : GgufTokenizer(std::move(source)), merger_(vocabulary().tokens, vocabulary().scores) {
    build_pieces(append_unescaped_spaces);
    for (unsigned byte = 0; byte < 256; ++byte) {
      bytes_[byte] = vocabulary().byte_token(static_cast<std::uint8_t>(byte));
    }
  }

 private:
  void encode_fragment(std::string_view text, bool /*at_beginning*/,
                       std::vector<TokenId>& out) const override {
    std::string escaped;
    escaped.reserve(text.size() + text.size() / 2 + 3);
    if (vocabulary().add_space_prefix) append_escaped_spaces(" ", escaped);
    append_escaped_spaces(text, escaped);
    for (const SentencePieceMerger::Part& part : merger_.merge(escaped)) {
      const std::string_view piece = std::string_view(escaped).substr(part.begin, part.length);
      if (const TokenId id = vocabulary().tokens.find_id(piece); id >= 0) {
        out.push_back(id);
        continue;
      }
      for (const char c : piece) {
        if (const auto& id = bytes_[static_cast<std::uint8_t>(c)]) out.push_back(*id);
      }
    }
  }

  SentencePieceMerger merger_;
  std::array<std::optional<TokenId>, 256> bytes_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_gguf_sentencepiece(GgufVocabulary vocabulary) {
  return std::make_unique<GgufSentencePiece>(std::move(vocabulary));
}

}  // namespace mistral::text
