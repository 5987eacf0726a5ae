// WordPiece vocabularies (BERT) as GGUF files hold them: a word begins with U+2581, what follows
// inside a word has no mark; the longest token first.
#include <unicode/normalizer2.h>
#include <unicode/unistr.h>

#include "text/tokenizer/gguf_tokenizer.h"
#include "text/tokenizer/unicode.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

constexpr std::string_view kWordBegin = "\xE2\x96\x81";

class GgufWordPiece final : public GgufTokenizer {
 public:
  explicit GgufWordPiece(GgufVocabulary source) : GgufTokenizer(std::move(source)) {
    build_pieces(append_unescaped_spaces);
  }

 private:
  // Lower case and without accents, as the file says.
  [[nodiscard]] std::string decomposed(std::string_view text) const {
    if (!vocabulary().strip_accents) return std::string(text);
    UErrorCode status = U_ZERO_ERROR;
    const icu::Normalizer2* nfd = icu::Normalizer2::getNFDInstance(status);
    if (U_FAILURE(status)) return std::string(text);
    std::string out;
    icu::StringByteSink<std::string> sink(&out);
    nfd->normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())),
                       sink, nullptr, status);
    return out;
  }

  [[nodiscard]] std::vector<std::string> words(std::string_view text) const {
    const std::string normalized = decomposed(text);
    std::vector<std::string> words(1);
    const auto finish = [&] {
      if (!words.back().empty()) words.emplace_back();
    };
    for (std::string_view rest = normalized; !rest.empty();) {
      const utf8::Character character = utf8::decode(rest);
      rest.remove_prefix(character.length);
      char32_t c = character.code_point;
      if (unicode::is_space(c)) {
        finish();
        continue;
      }
      const std::uint32_t category = unicode::category_mask(c);
      constexpr std::uint32_t kControls = U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK;
      if (c == 0 || c == utf8::kReplacement || (category & kControls) != 0) continue;
      if (vocabulary().strip_accents && (category & U_GC_M_MASK) != 0) continue;
      const bool alone = unicode::is_punctuation(c) || unicode::is_cjk_ideograph(c);
      if (vocabulary().lowercase) {
        c = unicode::to_lower(c);
      }
      if (alone) finish();
      utf8::append(c, words.back());
      if (alone) finish();
    }
    if (words.back().empty()) words.pop_back();
    return words;
  }

  void encode_fragment(std::string_view text, bool /*at_beginning*/,
                       std::vector<TokenId>& out) const override {
    for (const std::string& word : words(text)) encode_word(std::string(kWordBegin) + word, out);
  }

  void encode_word(std::string_view word, std::vector<TokenId>& out) const {
    const std::size_t before = out.size();
    while (!word.empty()) {
      std::size_t length = std::min(word.size(), vocabulary().tokens.longest() + 1);
      TokenId id = -1;
      while (length > 0 && (id = vocabulary().tokens.find_id(word.substr(0, length))) < 0) --length;
      if (length == 0) {
        out.resize(before);
        break;
      }
      out.push_back(id);
      word.remove_prefix(length);
    }
    if (out.size() == before && vocabulary().unk) out.push_back(*vocabulary().unk);
  }
};

}  // namespace

std::unique_ptr<Tokenizer> make_gguf_wordpiece(GgufVocabulary vocabulary) {
  return std::make_unique<GgufWordPiece>(std::move(vocabulary));
}

}  // namespace mistral::text
