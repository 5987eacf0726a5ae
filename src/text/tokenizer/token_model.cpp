#include "text/tokenizer/token_model.h"

#include <algorithm>
#include <unordered_map>

#include "core/log.h"

namespace mistral::text {
namespace {

// Adds the entries up to the first whose id or text is taken; returns its index, or their number.
std::size_t add_entries(const std::vector<ModelLists::Entry>& entries, Vocabulary& vocabulary) {
  const std::size_t limit = kFreeIds + 16 * entries.size();
  constexpr std::size_t kAhead = 16;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const ModelLists::Entry& entry = entries[i];
    if (i + kAhead < entries.size()) vocabulary.prefetch(entries[i + kAhead].text);
    if (entry.id < 0 || static_cast<std::uint64_t>(entry.id) > limit) {
      throw make_error(ErrorKind::kInvalidFile,
                       "model.vocab: the id {} of \"{}\" is out of range for {} tokens", entry.id,
                       entry.text, entries.size());
    }
    const auto id = static_cast<TokenId>(entry.id);
    if (vocabulary.contains(id) || !vocabulary.add(id, entry.text)) return i;
  }
  return entries.size();
}

// Of entries with one text the last one counts, as in the format's own library.
std::vector<ModelLists::Entry> last_of_each_text(const std::vector<ModelLists::Entry>& entries,
                                                 std::string_view source) {
  std::unordered_map<std::string_view, std::int64_t> ids;
  std::vector<ModelLists::Entry> last;
  for (std::size_t i = entries.size(); i-- > 0;) {
    const ModelLists::Entry& entry = entries[i];
    const auto [known, fresh] = ids.emplace(entry.text, entry.id);
    if (fresh) {
      last.push_back(entry);
    } else {
      log::warn("{}: model.vocab: \"{}\" has the ids {} and {}; the last one counts", source,
                entry.text, entry.id, known->second);
    }
  }
  std::reverse(last.begin(), last.end());
  return last;
}

Vocabulary build_vocabulary(const ModelLists& lists, std::string_view source) {
  const std::vector<ModelLists::Entry>& entries = lists.vocabulary;
  std::size_t bytes = 0;
  for (const ModelLists::Entry& entry : entries) bytes += entry.text.size();
  const auto reserved = [&] {
    Vocabulary vocabulary;
    vocabulary.reserve(entries.size(), bytes);
    return vocabulary;
  };
  Vocabulary vocabulary = reserved();
  if (lists.scored) {
    // Backwards, as of equal texts the last one counts.
    for (std::size_t i = entries.size(); i-- > 0;) {
      vocabulary.add(static_cast<TokenId>(i), entries[i].text);
    }
    return vocabulary;
  }
  if (add_entries(entries, vocabulary) == entries.size()) return vocabulary;
  const std::vector<ModelLists::Entry> distinct = last_of_each_text(entries, source);
  vocabulary = reserved();
  if (const std::size_t taken = add_entries(distinct, vocabulary); taken < distinct.size()) {
    const auto id = static_cast<TokenId>(distinct[taken].id);
    throw make_error(ErrorKind::kInvalidFile,
                     "model.vocab: the id {} is given to \"{}\" and to \"{}\"", id,
                     vocabulary.text(id), distinct[taken].text);
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

std::string_view ModelLists::keep(std::string_view text) {
  constexpr std::size_t kBlock = 1U << 18U;
  if (text.empty()) return {};
  if (text.size() > free_) {
    size_ = std::max(kBlock, text.size());
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(size_));
    free_ = size_;
  }
  char* at = blocks_.back().get() + (size_ - free_);
  std::copy(text.begin(), text.end(), at);
  free_ -= text.size();
  return {at, text.size()};
}

std::unique_ptr<TokenModel> make_wordlevel_model(const JsonReader& reader, Vocabulary vocabulary) {
  return std::make_unique<WordLevelModel>(std::move(vocabulary),
                                          reader.string("unk_token", "<unk>"));
}

std::unique_ptr<TokenModel> make_token_model(const JsonValue& json, const ModelLists& lists,
                                             std::string_view source) {
  const JsonReader reader(json, "model");
  const std::string type = reader.optional_string("type").value_or(guess_type(reader, lists));
  if (lists.scored != (type == "Unigram")) {
    throw make_error(ErrorKind::kInvalidFile, "model.vocab: expected {} for the model {}",
                     lists.scored ? "an object" : "a list of [token, score]", type);
  }
  if (type == "BPE" && !lists.has_merges) {
    throw make_error(ErrorKind::kInvalidFile, "model.merges: missing, as needed for BPE");
  }
  Vocabulary vocabulary = build_vocabulary(lists, source);
  if (type == "BPE") return make_bpe_model(reader, std::move(vocabulary), lists);
  if (type == "Unigram") return make_unigram_model(reader, std::move(vocabulary), lists);
  if (type == "WordPiece") return make_wordpiece_model(reader, std::move(vocabulary));
  if (type == "WordLevel") return make_wordlevel_model(reader, std::move(vocabulary));
  throw make_error(ErrorKind::kUnsupported, "model.type: the model \"{}\" is not known", type);
}

}  // namespace mistral::text
