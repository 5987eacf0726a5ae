// WordPiece: the longest token first; a word that cannot be covered is unknown as a whole.
#include "text/tokenizer/token_model.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

class WordPieceModel final : public TokenModel {
 public:
  WordPieceModel(const JsonReader& reader, Vocabulary source)
      : TokenModel(std::move(source)),
        prefix_(reader.string("continuing_subword_prefix", "##")),
        longest_word_(static_cast<std::size_t>(
            reader.optional_integer("max_input_chars_per_word").value_or(100))) {
    unk_ = vocabulary().find(reader.string("unk_token", "[UNK]"));
  }

  void tokenize(std::string_view word, std::vector<ModelToken>& out) const override {
    const std::size_t before = out.size();
    if (utf8::count_characters(word) <= longest_word_ && cover(word, out)) return;
    out.resize(before);
    if (unk_) out.push_back({*unk_, 0, word.size()});
  }

 private:
  bool cover(std::string_view word, std::vector<ModelToken>& out) const {
    std::string candidate;
    for (std::size_t begin = 0; begin < word.size();) {
      candidate = begin > 0 ? prefix_ : std::string();
      const std::size_t marks = candidate.size();
      candidate += word.substr(begin);
      TokenId id = vocabulary().find_id(candidate);
      while (id < 0) {
        const std::string_view rest = std::string_view(candidate).substr(marks);
        if (rest.empty()) return false;
        candidate.resize(candidate.size() - utf8::decode_last(rest).length);
        if (candidate.size() == marks) return false;
        id = vocabulary().find_id(candidate);
      }
      const std::size_t end = begin + candidate.size() - marks;
      out.push_back({id, begin, end});
      begin = end;
    }
    return true;
  }

  std::string prefix_;
  std::size_t longest_word_;
};

}  // namespace

std::unique_ptr<TokenModel> make_wordpiece_model(const JsonReader& reader, Vocabulary vocabulary) {
  return std::make_unique<WordPieceModel>(reader, std::move(vocabulary));
}

}  // namespace mistral::text
