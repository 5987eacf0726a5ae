#include "text/tokenizer/gguf_tokenizer.h"

#include "text/tokenizer/escaped_space.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

using Kind = GgufVocabulary::Kind;

// " ." " ?" " !" " ," lose the space; " ' " loses both; " 's" " 'm" " 're" " 've" lose theirs.
std::string clean_up_spaces(std::string_view text) {
  const auto at = [&](std::size_t i) { return i < text.size() ? text[i] : '\0'; };
  std::string punctuated;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char next = at(i + 1);
    if (text[i] == ' ' && (next == '?' || next == '!' || next == '.' || next == ',')) continue;
    punctuated += text[i];
  }
  text = punctuated;
  std::string quoted;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ' && at(i + 1) == '\'' && at(i + 2) == ' ') {
      quoted += '\'';
      i += 2;
    } else {
      quoted += text[i];
    }
  }
  text = quoted;
  std::string contracted;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char first = at(i + 2);
    const bool contraction =
        text[i] == ' ' && at(i + 1) == '\'' &&
        (first == 's' || first == 'm' || ((first == 'r' || first == 'v') && at(i + 3) == 'e'));
    if (!contraction) contracted += text[i];
  }
  return contracted;
}

}  // namespace

void append_unescaped_spaces(std::string_view text, std::string& out) {
  while (true) {
    const std::size_t at = text.find(kEscapedSpace);
    out += text.substr(0, at);
    if (at == std::string_view::npos) return;
    out += ' ';
    text.remove_prefix(at + kEscapedSpace.size());
  }
}

void append_escaped_spaces(std::string_view text, std::string& out) {
  for (const char c : text) {
    if (c == ' ') {
      out += kEscapedSpace;
    } else {
      out += c;
    }
  }
}

GgufTokenizer::GgufTokenizer(GgufVocabulary vocabulary)
    : vocabulary_(std::move(vocabulary)),
      user_defined_(collect_specials(false)),
      all_(collect_specials(true)) {}

GgufTokenizer::Specials GgufTokenizer::collect_specials(bool control) const {
  Specials specials;
  std::vector<std::string_view> texts;
  for (std::size_t i = 0; i < vocabulary_.kinds.size(); ++i) {
    const Kind kind = vocabulary_.kinds[i];
    const bool wanted = kind == Kind::kUserDefined ||
                        (control && (kind == Kind::kControl || kind == Kind::kUnknown));
    const auto id = static_cast<TokenId>(i);
    const std::string_view text = vocabulary_.tokens.text(id);
    // A token that is a part of a character would cut characters of the text.
    if (!wanted || !utf8::is_valid(text)) continue;
    specials.ids.push_back(id);
    texts.push_back(text);
    specials.strips.push_back({!vocabulary_.strips_left.empty() && vocabulary_.strips_left[i],
                               !vocabulary_.strips_right.empty() && vocabulary_.strips_right[i]});
  }
  specials.matcher = PatternMatcher(texts);
  return specials;
}

std::vector<TokenId> GgufTokenizer::encode(std::string_view text,
                                           const EncodeOptions& options) const {
  std::string repaired;
  if (!utf8::is_valid(text)) {
    repaired = utf8::repaired(text);
    text = repaired;
  }
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 3 + 2);
  if (options.add_special && vocabulary_.add_bos) ids.push_back(*vocabulary_.bos);
  const Specials& specials = options.parse_special ? all_ : user_defined_;
  std::size_t begin = 0;
  for (const PatternMatcher::Match& match : specials.matcher.longest_first(text, specials.strips)) {
    if (match.begin > begin) {
      encode_fragment(text.substr(begin, match.begin - begin), begin == 0, ids);
    }
    ids.push_back(specials.ids[match.pattern]);
    begin = match.end;
  }
  if (begin < text.size()) encode_fragment(text.substr(begin), begin == 0, ids);
  if (options.add_special) {
    if (vocabulary_.add_eos) ids.push_back(*vocabulary_.eos);
    if (vocabulary_.add_sep && vocabulary_.model == GgufVocabulary::Model::kWordPiece) {
      ids.push_back(*vocabulary_.sep);
    }
  }
  return ids;
}

std::size_t GgufTokenizer::trained_size() const {
  std::size_t size = vocab_size();
  while (size > 0 && vocabulary_.kinds[size - 1] != Kind::kNormal &&
         vocabulary_.kinds[size - 1] != Kind::kByte) {
    --size;
  }
  return size;
}

void GgufTokenizer::append_bytes(TokenId id, bool first, bool skip_special,
                                 std::string& out) const {
  if (!vocabulary_.tokens.contains(id) || (skip_special && is_special(id))) return;
  const auto index = static_cast<std::size_t>(id);
  std::string_view piece =
      std::string_view(piece_bytes_).substr(pieces_[index], pieces_[index + 1] - pieces_[index]);
  if (first && vocabulary_.add_space_prefix && piece.starts_with(' ')) piece.remove_prefix(1);
  out += piece;
}

std::string GgufTokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::string bytes;
  bool first = true;
  for (const TokenId id : ids) {
    if (!vocabulary_.tokens.contains(id) || (skip_special && is_special(id))) continue;
    append_bytes(id, first, skip_special, bytes);
    first = first && bytes.empty() && drops_all_leading_spaces();
  }
  std::string text = utf8::is_valid(bytes) ? std::move(bytes) : repaired(bytes);
  return vocabulary_.clean_up_spaces ? clean_up_spaces(text) : text;
}

std::string GgufTokenizer::repaired(std::string_view bytes) const {
  return utf8::repaired(bytes);
}

std::unique_ptr<Tokenizer> load_gguf_tokenizer(const formats::GgufMetadata& gguf) {
  GgufVocabulary vocabulary = GgufVocabulary::load(gguf);
  switch (vocabulary.model) {
    case GgufVocabulary::Model::kBytePair:
      return make_gguf_bpe(std::move(vocabulary), gguf);
    case GgufVocabulary::Model::kSentencePiece:
      return make_gguf_sentencepiece(std::move(vocabulary));
    case GgufVocabulary::Model::kUnigram:
      return make_gguf_unigram(std::move(vocabulary), gguf);
    case GgufVocabulary::Model::kWordPiece:
      break;
  }
  return make_gguf_wordpiece(std::move(vocabulary));
}

}  // namespace mistral::text
