// Unigram as tokenizer.json describes it.
#include <algorithm>
#include <array>
#include <limits>

#include "text/tokenizer/gguf_vocabulary.h"
#include "text/tokenizer/token_model.h"
#include "text/tokenizer/unigram_model.h"

namespace mistral::text {
namespace {

class UnigramTokenModel final : public TokenModel {
 public:
  UnigramTokenModel(const JsonReader& reader, Vocabulary source, const ModelLists& lists)
      : TokenModel(std::move(source)), byte_fallback_(reader.boolean("byte_fallback", false)) {
    if (const auto id = reader.optional_integer("unk_id")) {
      if (!vocabulary().contains(*id)) {
        throw make_error(ErrorKind::kInvalidFile, "model.unk_id: {} is not in model.vocab", *id);
      }
      unk_ = *id;
    }
    for (unsigned byte = 0; byte < 256; ++byte) {
      bytes_[byte] = vocabulary().find_id(byte_token_text(static_cast<std::uint8_t>(byte)));
    }
    double lowest = std::numeric_limits<double>::infinity();
    std::vector<UnigramModel::Piece> pieces;
    pieces.reserve(lists.vocabulary.size());
    for (std::size_t i = 0; i < lists.vocabulary.size(); ++i) {
      const ModelLists::Entry& entry = lists.vocabulary[i];
      lowest = std::min(lowest, entry.score);
      if (!entry.text.empty()) {
        pieces.push_back({entry.text, entry.score, static_cast<TokenId>(i)});
      }
    }
    model_ = UnigramModel(pieces, lowest - kUnknownPenalty);
  }

  void tokenize(std::string_view word, std::vector<ModelToken>& out) const override {
    const std::vector<UnigramModel::Part> parts = model_.segment(word);
    for (std::size_t i = 0; i < parts.size();) {
      // Neighbouring unknown parts become one.
      const std::size_t begin = parts[i].begin;
      const bool unknown = is_unknown(parts[i]);
      std::size_t end = parts[i++].end;
      while (unknown && i < parts.size() && is_unknown(parts[i])) end = parts[i++].end;
      append(word, begin, end, out);
    }
  }

 private:
  [[nodiscard]] bool is_unknown(const UnigramModel::Part& part) const {
    return part.value == UnigramModel::kUnknown || (unk_ && part.value == *unk_);
  }

  void append(std::string_view word, std::size_t begin, std::size_t end,
              std::vector<ModelToken>& out) const {
    const std::string_view text = word.substr(begin, end - begin);
    if (const TokenId id = vocabulary().find_id(text); id >= 0) {
      out.push_back({id, begin, end});
      return;
    }
    const bool in_bytes = byte_fallback_ && std::all_of(text.begin(), text.end(), [&](char c) {
                            return bytes_[static_cast<std::uint8_t>(c)] >= 0;
                          });
    if (in_bytes) {
      for (const char c : text) out.push_back({bytes_[static_cast<std::uint8_t>(c)], begin, end});
    } else if (unk_) {
      out.push_back({*unk_, begin, end, true});
    }
  }

  bool byte_fallback_;
  std::array<TokenId, 256> bytes_{};
  UnigramModel model_;
};

}  // namespace

std::unique_ptr<TokenModel> make_unigram_model(const JsonReader& reader, Vocabulary vocabulary,
                                               const ModelLists& lists) {
  return std::make_unique<UnigramTokenModel>(reader, std::move(vocabulary), lists);
}

}  // namespace mistral::text
