#include "text/tokenizer/token_model.h"

namespace mistral::text {
namespace {

// Ids may have gaps, but a file must not make us allocate far more than it holds.
constexpr std::size_t kFreeIds = 1'000'000;

Vocabulary build_vocabulary(const ModelLists& lists) {
  std::size_t bytes = 0;
  for (const ModelLists::Entry& entry : lists.vocabulary) bytes += entry.text.size();
  Vocabulary vocabulary;
  vocabulary.reserve(lists.vocabulary.size(), bytes);
  const std::size_t limit = kFreeIds + 16 * lists.vocabulary.size();
  if (lists.scored) {
    // Backwards, as of equal texts the last one counts.
    for (std::size_t i = lists.vocabulary.size(); i-- > 0;) {
      vocabulary.add(static_cast<TokenId>(i), lists.vocabulary[i].text);
    }
    return vocabulary;
  }
  constexpr std::size_t kAhead = 16;
  for (std::size_t i = 0; i < lists.vocabulary.size(); ++i) {
    const ModelLists::Entry& entry = lists.vocabulary[i];
    if (i + kAhead < lists.vocabulary.size())
      vocabulary.prefetch(lists.vocabulary[i + kAhead].text);
    if (entry.id < 0 || static_cast<std::uint64_t>(entry.id) > limit) {
      throw make_error(ErrorKind::kInvalidFile,
                       "model.vocab: the id {} of \"{}\" is out of range for {} tokens", entry.id,
                       entry.text, lists.vocabulary.size());
    }
    const auto id = static_cast<TokenId>(entry.id);
    if (vocabulary.contains(id) && vocabulary.text(id) != entry.text) {
      throw make_error(ErrorKind::kInvalidFile,
                       "model.vocab: the id {} is given to \"{}\" and to \"{}\"", id,
                       vocabulary.text(id), entry.text);
    }
    vocabulary.add(id, entry.text);
  }
  return vocabulary;
}

class WordLevelModel final : public TokenModel {
 public:
  WordLevelModel(Vocabulary source, std::string_view unk) : TokenModel(std::move(source)) {
    unk_ = vocabulary().find(unk);
  }
  void tokenize(std::string_view word, std::vector<ModelToken>& out) const override {
    const auto id = vocabulary().find(word);
    if (id || unk_) out.push_back({id ? *id : *unk_, 0, word.size()});
  }
};

std::string guess_type(const JsonReader& reader, const ModelLists& lists) {
  if (lists.scored) return "Unigram";
  if (reader.find("continuing_subword_prefix") != nullptr &&
      reader.find("max_input_chars_per_word") != nullptr) {
    return "WordPiece";
  }
  return lists.merges.empty() ? "WordLevel" : "BPE";
}

}  // namespace

std::unique_ptr<TokenModel> make_wordlevel_model(const JsonReader& reader, Vocabulary vocabulary) {
  return std::make_unique<WordLevelModel>(std::move(vocabulary),
                                          reader.string("unk_token", "<unk>"));
}

std::unique_ptr<TokenModel> make_token_model(const JsonValue& json, const ModelLists& lists) {
  const JsonReader reader(json, "model");
  const std::string type = reader.optional_string("type").value_or(guess_type(reader, lists));
  if (lists.scored != (type == "Unigram")) {
    throw make_error(ErrorKind::kInvalidFile, "model.vocab: expected {} for the model {}",
                     lists.scored ? "an object" : "a list of [token, score]", type);
  }
  if (type == "BPE" && !lists.has_merges) {
    throw make_error(ErrorKind::kInvalidFile, "model.merges: missing, as needed for BPE");
  }
  Vocabulary vocabulary = build_vocabulary(lists);
  if (type == "BPE") return make_bpe_model(reader, std::move(vocabulary), lists);
  if (type == "Unigram") return make_unigram_model(reader, std::move(vocabulary), lists);
  if (type == "WordPiece") return make_wordpiece_model(reader, std::move(vocabulary));
  if (type == "WordLevel") return make_wordlevel_model(reader, std::move(vocabulary));
  throw make_error(ErrorKind::kUnsupported, "model.type: the model \"{}\" is not known", type);
}

}  // namespace mistral::text
