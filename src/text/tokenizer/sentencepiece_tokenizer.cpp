// Tokenizers from SentencePiece model files: ids as the SentencePiece library makes them, special
// and added tokens around it.
#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "core/error.h"
#include "core/log.h"
#include "core/mapped_file.h"
#include "text/tokenizer/charsmap.h"
#include "text/tokenizer/escaped_space.h"
#include "text/tokenizer/gguf_tokenizer.h"
#include "text/tokenizer/prefix_trie.h"
#include "text/tokenizer/sentencepiece_merger.h"
#include "text/tokenizer/sentencepiece_model.h"
#include "text/tokenizer/tokenizer_config.h"
#include "text/tokenizer/unigram_model.h"
#include "text/tokenizer/utf8.h"
#include "text/tokenizer/vocabulary.h"

namespace mistral::text {
namespace {

using Kind = GgufVocabulary::Kind;

// A segment of the normalised text with its piece.
struct Segment {
  std::size_t begin;
  std::size_t end;
  TokenId id;
};

// The best segmentation, summed in single precision as the library does: ties and near ties fall
// as they do there.
class FloatUnigram {
 public:
  FloatUnigram() = default;
  FloatUnigram(const SentencePieceModel& model) : unk_(model.unk) {
    float lowest = std::numeric_limits<float>::max();
    float highest = std::numeric_limits<float>::min();  // the library begins here, above zero
    std::vector<PrefixTrie::Key> keys;
    for (std::size_t i = 0; i < model.pieces.size(); ++i) {
      const SentencePieceModel::Piece& piece = model.pieces[i];
      scores_.push_back(piece.score);
      user_defined_.push_back(piece.kind == Kind::kUserDefined ? 1 : 0);
      if (piece.kind == Kind::kNormal) {
        lowest = std::min(lowest, piece.score);
        highest = std::max(highest, piece.score);
      }
      if (piece.kind == Kind::kNormal || piece.kind == Kind::kUserDefined) {
        keys.push_back({piece.text, static_cast<std::int32_t>(i)});
      }
    }
    unknown_score_ = lowest - static_cast<float>(kUnknownPenalty);
    highest_ = highest;
    trie_ = PrefixTrie(std::move(keys));
  }

  [[nodiscard]] std::vector<Segment> segment(std::string_view text) const {
    constexpr std::size_t kUnset = std::numeric_limits<std::size_t>::max();
    struct Best {
      float score = 0;
      TokenId id = -1;
      std::size_t begin = kUnset;
    };
    std::vector<Best> best(text.size() + 1);
    for (std::size_t begin = 0; begin < text.size();) {
      const float score_here = best[begin].score;
      const auto offer = [&](std::size_t end, double score, TokenId id) {
        if (best[end].begin != kUnset && !(score > best[end].score)) return;
        best[end] = {static_cast<float>(score), id, begin};
      };
      const std::size_t character = utf8::length_of(text[begin]);
      bool covered = false;
      trie_.for_each_prefix(text.substr(begin), [&](std::size_t length, TokenId id) {
        const auto index = static_cast<std::size_t>(id);
        const double score =
            user_defined_[index] != 0
                ? static_cast<double>(static_cast<float>(length) * highest_) - 0.1 + score_here
                : static_cast<double>(scores_[index]) + score_here;
        offer(begin + length, score, id);
        covered = covered || length == character;
      });
      if (!covered) offer(begin + character, unknown_score_ + score_here, unk_);
      begin += character;
    }
    std::vector<Segment> segments;
    for (std::size_t end = text.size(); end > 0; end = segments.back().begin) {
      segments.push_back({best[end].begin, end, best[end].id});
    }
    std::reverse(segments.begin(), segments.end());
    return segments;
  }

 private:
  PrefixTrie trie_;
  std::vector<float> scores_;
  std::vector<std::uint8_t> user_defined_;
  float unknown_score_ = 0;
  float highest_ = 0;
  TokenId unk_ = 0;
};

class SentencePieceTokenizer final : public GgufTokenizer {
 public:
  // `model` is needed only while this runs.
  SentencePieceTokenizer(GgufVocabulary source, const SentencePieceModel& model, bool legacy)
      : GgufTokenizer(std::move(source)),
        type_(model.type),
        unk_(model.unk),
        byte_fallback_(model.byte_fallback),
        add_dummy_prefix_(model.add_dummy_prefix),
        remove_extra_whitespaces_(model.remove_extra_whitespaces),
        escape_whitespaces_(model.escape_whitespaces),
        whitespace_as_suffix_(model.whitespace_as_suffix),
        legacy_(legacy) {
    if (!model.charsmap.empty()) charsmap_ = Charsmap(model.charsmap);
    std::vector<PrefixTrie::Key> user_defined;
    pieces_.reserve(model.pieces.size(), 0);
    bool any_unused = false;
    for (std::size_t i = 0; i < model.pieces.size(); ++i) {
      const SentencePieceModel::Piece& piece = model.pieces[i];
      const auto id = static_cast<TokenId>(i);
      if (piece.kind == Kind::kUserDefined) user_defined.push_back({piece.text, id});
      if (piece.kind == Kind::kNormal || piece.kind == Kind::kUserDefined ||
          piece.kind == Kind::kUnused) {
        pieces_.add(id, piece.text);
      } else {
        reserved_.add(id, piece.text);
      }
      scores_.push_back(piece.score);
      unused_.push_back(piece.kind == Kind::kUnused ? 1 : 0);
      any_unused = any_unused || piece.kind == Kind::kUnused;
    }
    if (!any_unused) unused_.clear();
    has_user_defined_ = !user_defined.empty();
    user_defined_ = PrefixTrie(std::move(user_defined));
    merger_.emplace(pieces_, scores_, unused_);
    if (type_ == SentencePieceModel::Type::kUnigram) unigram_ = FloatUnigram(model);
    for (unsigned byte = 0; byte < 256; ++byte) {
      bytes_[byte] = reserved_.find_id(byte_token_text(static_cast<std::uint8_t>(byte)));
    }
    build_pieces(append_unescaped_spaces);
  }

  [[nodiscard]] bool drops_all_leading_spaces() const override { return remove_extra_whitespaces_; }
  // Only the sign for a space is dropped, not the space of a user-defined piece.
  void append_bytes(TokenId id, bool first, bool skip_special, std::string& out) const override {
    GgufTokenizer::append_bytes(id, first && !token(id).starts_with(' '), skip_special, out);
  }

 private:
  // Each byte that is no part of a character becomes a sign of its own.
  [[nodiscard]] std::string repaired(std::string_view bytes) const override {
    std::string out;
    while (!bytes.empty()) {
      const utf8::Scan next = utf8::scan(bytes);
      const bool valid = next.kind == utf8::Scan::Kind::kValid;
      const std::size_t length = valid ? next.length : 1;
      out += valid ? bytes.substr(0, length) : utf8::kReplacementBytes;
      bytes.remove_prefix(length);
    }
    return out;
  }

  // The longest user-defined piece at the beginning of `text`, 0 when there is none.
  [[nodiscard]] std::size_t user_defined_length(std::string_view text) const {
    std::size_t longest = 0;
    user_defined_.for_each_prefix(text,
                                  [&](std::size_t length, std::int32_t) { longest = length; });
    return longest;
  }

  // One step of normalisation: what the beginning of `text` becomes and how much it took.
  [[nodiscard]] Charsmap::Match normalize_prefix(std::string_view text) const {
    if (const std::size_t length = user_defined_length(text); length > 0) {
      return {length, text.substr(0, length)};
    }
    if (const auto match = charsmap_.longest(text)) {
      if (match->length == text.size() || utf8::is_boundary(text[match->length])) return *match;
    }
    const std::size_t length = utf8::length_of(text[0]);
    return {length, text.substr(0, length)};
  }

  [[nodiscard]] std::string normalize(std::string_view text, bool add_prefix) const {
    std::string out;
    const std::string_view space = escape_whitespaces_ ? kEscapedSpace : " ";
    if (remove_extra_whitespaces_) {
      while (!text.empty()) {
        const Charsmap::Match match = normalize_prefix(text);
        if (match.replacement != " ") break;
        text.remove_prefix(match.length);
      }
    }
    if (text.empty()) return out;
    out.reserve(text.size() + text.size() / 2 + space.size());
    if (add_prefix && !whitespace_as_suffix_) out += space;
    bool after_space = remove_extra_whitespaces_;
    while (!text.empty()) {
      const Charsmap::Match match = normalize_prefix(text);
      std::string_view part = match.replacement;
      while (after_space && part.starts_with(' ')) part.remove_prefix(1);
      if (!part.empty()) {
        for (const char c : part) {
          if (c == ' ') {
            out += space;
          } else {
            out += c;
          }
        }
        after_space = part.back() == ' ';
      }
      text.remove_prefix(match.length);
      if (!remove_extra_whitespaces_) after_space = false;
    }
    if (remove_extra_whitespaces_) {
      while (out.ends_with(space)) out.resize(out.size() - space.size());
    }
    if (add_prefix && whitespace_as_suffix_) out += space;
    return utf8::is_valid(out) ? out : utf8::repaired(out);
  }

  [[nodiscard]] TokenId id_of(std::string_view piece) const {
    if (const TokenId id = reserved_.find_id(piece); id >= 0) return id;
    const TokenId id = pieces_.find_id(piece);
    return id < 0 ? unk_ : id;
  }

  [[nodiscard]] std::vector<SentencePieceMerger::Part> merged_parts(std::string_view text) const {
    if (!has_user_defined_) return merger_->merge(text);
    std::vector<SentencePieceMerger::Part> parts;
    parts.reserve(text.size());
    for (std::size_t begin = 0; begin < text.size();) {
      std::size_t length = user_defined_length(text.substr(begin));
      const bool whole = length > 0;
      if (!whole) length = utf8::length_of(text[begin]);
      parts.push_back({begin, length, whole});
      begin += length;
    }
    return merger_->merge(text, parts);
  }

  [[nodiscard]] std::vector<Segment> merge(std::string_view text) const {
    std::vector<Segment> segments;
    for (const SentencePieceMerger::Part& part : merged_parts(text)) {
      segments.push_back(
          {part.begin, part.begin + part.length, id_of(text.substr(part.begin, part.length))});
    }
    return segments;
  }

  void encode_fragment(std::string_view text, bool at_beginning,
                       std::vector<TokenId>& out) const override {
    const std::string normalized = normalize(text, add_dummy_prefix_ && (legacy_ || at_beginning));
    const std::vector<Segment> segments = type_ == SentencePieceModel::Type::kUnigram
                                              ? unigram_.segment(normalized)
                                              : merge(normalized);
    bool after_unknown = false;
    for (const Segment& segment : segments) {
      const bool unknown = segment.id == unk_;
      if (!unknown) {
        out.push_back(segment.id);
      } else if (byte_fallback_) {
        for (std::size_t i = segment.begin; i < segment.end; ++i) {
          out.push_back(bytes_[static_cast<std::uint8_t>(normalized[i])]);
        }
      } else if (!after_unknown) {
        out.push_back(unk_);  // one for a run of them
      }
      after_unknown = unknown;
    }
  }

  SentencePieceModel::Type type_;
  TokenId unk_;
  bool byte_fallback_;
  bool add_dummy_prefix_;
  bool remove_extra_whitespaces_;
  bool escape_whitespaces_;
  bool whitespace_as_suffix_;
  bool legacy_;
  Charsmap charsmap_;
  FloatUnigram unigram_;
  PrefixTrie user_defined_;
  Vocabulary pieces_;    // what merging and segmentation may use
  Vocabulary reserved_;  // the other pieces: control, unknown, byte
  std::vector<float> scores_;
  std::vector<std::uint8_t> unused_;  // empty when there are none
  std::optional<SentencePieceMerger> merger_;
  bool has_user_defined_ = false;
  std::array<TokenId, 256> bytes_{};
};

// Tokens of the files beside the model: behind its pieces, or in place of some.
void add_tokens(const TokenizerConfig& config, GgufVocabulary& out) {
  const auto model_size = static_cast<TokenId>(out.tokens.size());
  out.strips_left.assign(out.tokens.size(), false);
  out.strips_right.assign(out.tokens.size(), false);
  for (const AddedToken& token : config.added_tokens) {
    const auto known = out.tokens.find(token.content);
    TokenId id = known.value_or(token.id);
    if (!known && (id < model_size || out.tokens.contains(id) || id > model_size + kFreeIds)) {
      log::warn("tokenizer_config.json: the id {} of \"{}\" is not free; ignored", id,
                token.content);
      continue;
    }
    if (!known) out.tokens.add(id, token.content);
    const std::size_t size = out.tokens.size();
    out.kinds.resize(size, Kind::kUndefined);
    out.scores.resize(size, 0.0F);
    out.strips_left.resize(size, false);
    out.strips_right.resize(size, false);
    const auto index = static_cast<std::size_t>(id);
    if (out.kinds[index] != Kind::kUnknown) {
      out.kinds[index] = token.special ? Kind::kControl : Kind::kUserDefined;
    }
    out.strips_left[index] = token.lstrip;
    out.strips_right[index] = token.rstrip;
  }
  for (const std::string& text : config.named_special) {
    if (const auto id = out.tokens.find(text)) {
      Kind& kind = out.kinds[static_cast<std::size_t>(*id)];
      if (kind != Kind::kUnknown) kind = Kind::kControl;
    }
  }
}

GgufVocabulary make_vocabulary(const SentencePieceModel& model, const TokenizerConfig& config) {
  GgufVocabulary out;
  out.model = GgufVocabulary::Model::kSentencePiece;
  for (std::size_t i = 0; i < model.pieces.size(); ++i) {
    const SentencePieceModel::Piece& piece = model.pieces[i];
    out.tokens.add(static_cast<TokenId>(i), piece.text);
    out.scores.push_back(piece.score);
    // User-defined pieces are found by the model itself, without cutting the text at them; pieces
    // that are not used can still be printed.
    const bool plain = piece.kind == Kind::kUserDefined || piece.kind == Kind::kUnused;
    out.kinds.push_back(plain ? Kind::kNormal : piece.kind);
  }
  add_tokens(config, out);
  const auto named = [&](const std::optional<std::string>& text,
                         std::string_view piece) -> std::optional<TokenId> {
    if (text) {
      if (const auto id = out.tokens.find(*text)) return id;
    }
    const auto id = out.tokens.find(piece);
    return id && out.kind(*id) == Kind::kControl ? id : std::nullopt;
  };
  out.bos = named(config.bos, model.bos_piece);
  out.eos = named(config.eos, model.eos_piece);
  out.pad = named(config.pad, model.pad_piece);
  out.unk = model.unk;
  const bool t5 = config.tokenizer_class == "T5Tokenizer";  // ends texts, does not begin them
  out.add_bos = config.add_bos.value_or(!t5) && out.bos.has_value();
  out.add_eos = config.add_eos.value_or(t5) && out.eos.has_value();
  out.add_space_prefix = model.add_dummy_prefix || model.remove_extra_whitespaces;
  return out;
}

}  // namespace

std::unique_ptr<Tokenizer> parse_sentencepiece(std::string_view bytes,
                                               const TokenizerConfig& config) {
  const SentencePieceModel model = SentencePieceModel::parse(bytes);
  return std::make_unique<SentencePieceTokenizer>(make_vocabulary(model, config), model,
                                                  config.legacy);
}

std::unique_ptr<Tokenizer> load_sentencepiece(const std::filesystem::path& path) {
  try {
    const MappedFile file(path);
    const std::span<const std::byte> bytes = file.bytes();
    return parse_sentencepiece({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                               TokenizerConfig::read(path.parent_path()));
  } catch (Error& error) {
    throw Error(error.add_context(path.string()));
  }
}

}  // namespace mistral::text
