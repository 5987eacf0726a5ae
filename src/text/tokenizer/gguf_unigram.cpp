// Unigram vocabularies (T5): a character map, spaces as U+2581, the best-scored segmentation.
#include <algorithm>
#include <limits>

#include "text/tokenizer/charsmap.h"
#include "text/tokenizer/escaped_space.h"
#include "text/tokenizer/gguf_tokenizer.h"
#include "text/tokenizer/prefix_trie.h"
#include "text/tokenizer/unigram_model.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

using Kind = GgufVocabulary::Kind;

constexpr std::string_view kCharsmapKey = "tokenizer.ggml.precompiled_charsmap";

class GgufUnigram final : public GgufTokenizer {
 public:
  GgufUnigram(GgufVocabulary source, const formats::GgufMetadata& gguf)
      : GgufTokenizer(std::move(source)) {
    if (const std::vector<std::int64_t> bytes = gguf.integers(kCharsmapKey); !bytes.empty()) {
      std::string blob;
      blob.reserve(bytes.size());
      for (const std::int64_t byte : bytes) blob.push_back(static_cast<char>(byte));
      charsmap_ = Charsmap(blob);
    }
    std::vector<UnigramModel::Piece> pieces;
    std::vector<PrefixTrie::Key> user_defined;
    float lowest = std::numeric_limits<float>::max();
    for (std::size_t i = 0; i < vocabulary().kinds.size(); ++i) {
      const Kind kind = vocabulary().kinds[i];
      const auto id = static_cast<TokenId>(i);
      const std::string_view text = vocabulary().tokens.text(id);
      if (kind == Kind::kNormal) lowest = std::min(lowest, vocabulary().scores[i]);
      if (kind == Kind::kNormal || kind == Kind::kUserDefined || kind == Kind::kUnused) {
        const double score =
            kind == Kind::kUserDefined ? 0.0 : static_cast<double>(vocabulary().scores[i]);
        if (utf8::is_valid(text)) pieces.push_back({text, score, id});
      }
      if (kind == Kind::kUserDefined) user_defined.push_back({text, id});
    }
    model_ = UnigramModel(pieces, static_cast<double>(lowest) - kUnknownPenalty);
    user_defined_ = PrefixTrie(std::move(user_defined));
    build_pieces(append_unescaped_spaces);
  }

 private:
  // One step of normalisation at the beginning of `text`: what it becomes and how much it took.
  [[nodiscard]] Charsmap::Match normalize_prefix(std::string_view text) const {
    if (const std::size_t length = user_defined_.common_length(text);
        length > 0 && (length == text.size() || utf8::is_boundary(text[length]))) {
      return {length, text.substr(0, length)};
    }
    if (const auto match = charsmap_.longest(text)) {
      if (match->length == text.size() || utf8::is_boundary(text[match->length])) return *match;
    }
    const std::size_t length = utf8::length_of(text[0]);
    return {length, text.substr(0, length)};
  }

  [[nodiscard]] std::string normalize(std::string_view text) const {
    std::string out;
    out.reserve(text.size() + text.size() / 2);
    bool prepended = false;
    bool in_word = false;
    while (!text.empty()) {
      const Charsmap::Match match = normalize_prefix(text);
      for (const char c : match.replacement) {
        if (c == ' ') {
          in_word = false;
          if (!vocabulary().remove_extra_whitespaces) out += kEscapedSpace;
          continue;
        }
        if (!in_word) {
          in_word = true;
          if ((vocabulary().add_space_prefix && !prepended) ||
              vocabulary().remove_extra_whitespaces) {
            out += kEscapedSpace;
            prepended = true;
          }
        }
        out += c;
      }
      text.remove_prefix(match.length);
    }
    return utf8::is_valid(out) ? out : utf8::repaired(out);
  }

  void encode_fragment(std::string_view text, bool /*at_beginning*/,
                       std::vector<TokenId>& out) const override {
    const std::string normalized = normalize(text);
    bool after_unknown = false;
    for (const UnigramModel::Part& part : model_.segment(normalized)) {
      const bool unknown = part.value == UnigramModel::kUnknown;
      if (!unknown) out.push_back(part.value);
      if (unknown && !after_unknown && vocabulary().unk) out.push_back(*vocabulary().unk);
      after_unknown = unknown;
    }
  }

  Charsmap charsmap_;
  UnigramModel model_;
  PrefixTrie user_defined_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_gguf_unigram(GgufVocabulary vocabulary,
                                             const formats::GgufMetadata& gguf) {
  return std::make_unique<GgufUnigram>(std::move(vocabulary), gguf);
}

}  // namespace mistral::text
