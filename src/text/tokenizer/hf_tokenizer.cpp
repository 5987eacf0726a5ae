#include "text/tokenizer/hf_tokenizer.h"

#include <algorithm>

#include "core/log.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

// Code points before each byte of a text, to turn byte offsets into character offsets.
class CharacterIndex {
 public:
  explicit CharacterIndex(std::string_view text) {
    index_.reserve(text.size());
    std::size_t count = 0;
    for (const char byte : text) {
      count += utf8::is_boundary(byte) ? 1 : 0;
      index_.push_back(count - 1);
    }
  }
  // Offsets that begin outside the text stay as they are.
  [[nodiscard]] Encoding::Offsets convert(std::size_t begin, std::size_t end) const {
    if (begin >= index_.size()) return {begin, end};
    if (end < index_.size()) return {index_[begin], index_[end]};
    const std::size_t last = end - 1 < index_.size() ? index_[end - 1] : index_[begin] + 1;
    return {index_[begin], last + 1};
  }

 private:
  std::vector<std::size_t> index_;
};

// `text`, or its repaired copy in `storage` when it is not valid UTF-8.
std::string_view valid_text(std::string_view text, std::string& storage) {
  if (utf8::is_valid(text)) return text;
  storage = utf8::repaired(text);
  return storage;
}

}  // namespace

HfTokenizer::HfTokenizer(Parts parts)
    : normalizer_(std::move(parts.normalizer)),
      pre_tokenizer_(std::move(parts.pre_tokenizer)),
      model_(std::move(parts.model)),
      post_processor_(std::move(parts.post_processor)),
      decoder_(std::move(parts.decoder)),
      added_(std::move(parts.added_tokens), normalizer_.get()) {
  vocab_size_ = model_->vocabulary().size();
  for (const AddedToken& token : added_.list()) {
    vocab_size_ = std::max(vocab_size_, static_cast<std::size_t>(token.id) + 1);
  }
  if (decoder_) {
    decodes_by_token_ = decoder_->stage(Decoder::Stage::kTokens) != Decoder::Stage::kNeighbours;
  }
  needs_origins_ = pre_tokenizer_ && pre_tokenizer_->needs_origins();
  special_.unk = model_->unk();
  find_affixes();
}

void HfTokenizer::set_special_tokens(SpecialTokens tokens) {
  if (!tokens.unk) tokens.unk = model_->unk();
  special_ = tokens;
}

void HfTokenizer::find_affixes() {
  affixes_.emplace();
  if (!post_processor_) return;
  constexpr TokenId kText = -1;
  Encoding text;
  text.push_back(kText, "", {0, 0}, 0, false);
  Encoding all;
  for (const Encoding& part : post_processor_->process({text}, true)) all.append(part);
  const auto place = std::find(all.ids.begin(), all.ids.end(), kText);
  if (place == all.ids.end() || std::count(place, all.ids.end(), kText) != 1) {
    affixes_.reset();
    return;
  }
  affixes_->before.assign(all.ids.begin(), place);
  affixes_->after.assign(place + 1, all.ids.end());
}

void HfTokenizer::set_bos_eos(std::optional<bool> add_bos, std::optional<bool> add_eos) {
  const auto usable = [](std::optional<bool>& flag, bool token, std::string_view name) {
    if (!flag || !*flag || token) return;
    log::warn("add_{0}_token is true, but the model has no {0} token", name);
    flag.reset();
  };
  usable(add_bos, special_.bos.has_value(), "bos");
  usable(add_eos, special_.eos.has_value(), "eos");
  const bool changes =
      affixes_ && ((add_bos && *add_bos != adds_bos()) || (add_eos && *add_eos != adds_eos()));
  if (!changes) return;
  std::vector<TokenId>& before = affixes_->before;
  std::vector<TokenId>& after = affixes_->after;
  if (add_bos && *add_bos != adds_bos()) {
    if (*add_bos) {
      before.insert(before.begin(), *special_.bos);
    } else {
      before.erase(before.begin());
    }
  }
  if (add_eos && *add_eos != adds_eos()) {
    if (*add_eos) {
      after.push_back(*special_.eos);
    } else {
      after.pop_back();
    }
  }
  JsonValue names = JsonValue::object();
  const auto pieces = [&](const std::vector<TokenId>& ids, std::uint32_t type_id, JsonValue& out) {
    for (const TokenId id : ids) {
      const std::string text(token(id));
      names[text] = {{"id", text}, {"ids", {static_cast<std::uint32_t>(id)}}, {"tokens", {text}}};
      out.push_back({{"SpecialToken", {{"id", text}, {"type_id", type_id}}}});
    }
  };
  const auto sequence = [&](const char* name, std::uint32_t type_id, JsonValue& out) {
    pieces(before, type_id, out);
    out.push_back({{"Sequence", {{"id", name}, {"type_id", type_id}}}});
    pieces(after, type_id, out);
  };
  JsonValue single = JsonValue::array();
  sequence("A", 0, single);
  JsonValue pair = single;
  sequence("B", 1, pair);
  post_processor_ = make_post_processor({{"type", "TemplateProcessing"},
                                         {"single", std::move(single)},
                                         {"pair", std::move(pair)},
                                         {"special_tokens", std::move(names)}},
                                        "post_processor");
}

bool HfTokenizer::adds_bos() const {
  return special_.bos && affixes_ && !affixes_->before.empty() &&
         affixes_->before.front() == *special_.bos;
}

bool HfTokenizer::adds_eos() const {
  return special_.eos && affixes_ && !affixes_->after.empty() &&
         affixes_->after.back() == *special_.eos;
}

Pieces HfTokenizer::cut(std::string_view text, AlignedText::Tracking tracking,
                        bool match_special) const {
  Pieces pieces = added_.extract(text, normalizer_.get(), tracking, match_special);
  if (pre_tokenizer_) pre_tokenizer_->apply(pieces);
  return pieces;
}

std::vector<TokenId> HfTokenizer::encode(std::string_view text,
                                         const EncodeOptions& options) const {
  std::string storage;
  text = valid_text(text, storage);
  const bool wrap = options.add_special && affixes_;
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 3 + 4);
  if (wrap) ids = affixes_->before;
  const Pieces pieces =
      cut(text, needs_origins_ ? AlignedText::Tracking::kOn : AlignedText::Tracking::kOff,
          options.parse_special);
  std::vector<ModelToken> tokens;
  for (const Pieces::Piece& piece : pieces.list()) {
    if (piece.token != Pieces::kText) {
      ids.push_back(piece.token);
      continue;
    }
    tokens.clear();
    model_->tokenize(pieces.text(piece), tokens);
    for (const ModelToken& token : tokens) ids.push_back(token.id);
  }
  if (wrap) ids.insert(ids.end(), affixes_->after.begin(), affixes_->after.end());
  if (!options.add_special || affixes_) return ids;
  Encoding sequence;
  for (const TokenId id : ids) sequence.push_back(id, "", {0, 0}, 0, false);
  Encoding all;
  for (const Encoding& part : post_processor_->process({std::move(sequence)}, true)) {
    all.append(part);
  }
  return all.ids;
}

Encoding HfTokenizer::encode_sequence(std::string_view text, std::uint32_t type_id,
                                      bool match_special) const {
  std::string storage;
  text = valid_text(text, storage);
  const Pieces pieces = cut(text, AlignedText::Tracking::kOn, match_special);
  const CharacterIndex characters(text);
  Encoding encoding;
  std::vector<ModelToken> tokens;
  for (const Pieces::Piece& piece : pieces.list()) {
    const std::size_t length = piece.end - piece.begin;
    tokens.clear();
    if (piece.token != Pieces::kText) {
      tokens.push_back({piece.token, 0, length, true});
    } else {
      model_->tokenize(pieces.text(piece), tokens);
    }
    for (const ModelToken& token : tokens) {
      std::size_t begin = token.begin;
      std::size_t end = token.end;
      if (begin == end) {
        begin = end = begin + (length > 0 ? pieces.all().origin(piece.begin, piece.end).begin : 0);
      } else if (end <= length) {
        const Origin origin = pieces.all().origin(piece.begin + begin, piece.begin + end);
        begin = origin.begin;
        end = origin.end;
      }
      const std::string_view text_of =
          token.literal ? pieces.text(piece).substr(token.begin, token.end - token.begin)
                        : model_->vocabulary().text(token.id);
      encoding.push_back(token.id, std::string(text_of), characters.convert(begin, end), type_id,
                         false);
    }
  }
  return encoding;
}

Encoding HfTokenizer::post_process(Encoding first, std::optional<Encoding> second,
                                   const FullOptions& options) const {
  const bool add_special = options.encode.add_special;
  if (options.truncation != nullptr) {
    TruncationOptions truncation = *options.truncation;
    if (add_special && post_processor_) {
      const std::size_t added = post_processor_->added_tokens(second.has_value());
      if (added > truncation.max_length) {
        throw make_error(ErrorKind::kInvalidArgument,
                         "truncation: the length {} is less than the {} special tokens",
                         truncation.max_length, added);
      }
      truncation.max_length -= added;
    }
    truncate_pair(first, second ? &*second : nullptr, truncation);
  }
  std::vector<Encoding> sequences;
  sequences.push_back(std::move(first));
  if (second) sequences.push_back(std::move(*second));
  if (post_processor_) {
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      sequences[i].set_type_ids(static_cast<std::uint32_t>(i));
    }
    sequences = post_processor_->process(std::move(sequences), add_special);
  }
  Encoding result;
  for (const Encoding& sequence : sequences) result.append(sequence);
  if (options.padding != nullptr) {
    std::vector<Encoding> alone{std::move(result)};
    pad_batch(alone, *options.padding);
    result = std::move(alone.front());
  }
  return result;
}

Encoding HfTokenizer::encode_full(const Input& input, const FullOptions& options) const {
  const bool match_special = options.encode.parse_special;
  std::optional<Encoding> second;
  if (input.second) second = encode_sequence(*input.second, 1, match_special);
  return post_process(encode_sequence(input.first, 0, match_special), std::move(second), options);
}

std::vector<Encoding> HfTokenizer::encode_batch(const std::vector<Input>& inputs,
                                                const FullOptions& options) const {
  std::vector<Encoding> batch;
  batch.reserve(inputs.size());
  for (const Input& input : inputs) batch.push_back(encode_full(input, options));
  if (options.padding != nullptr) pad_batch(batch, *options.padding);
  return batch;
}

std::size_t HfTokenizer::trained_size() const {
  std::size_t size = model_->vocabulary().size();
  while (size > 0 && added_.find(static_cast<TokenId>(size - 1)) != nullptr) --size;
  return size;
}

std::string_view HfTokenizer::token(TokenId id) const {
  if (const AddedToken* added = added_.find(id)) return added->content;
  return model_->vocabulary().text(id);
}

std::optional<TokenId> HfTokenizer::find(std::string_view token) const {
  if (const AddedToken* added = added_.find(token)) return added->id;
  return model_->vocabulary().find(token);
}

bool HfTokenizer::is_special(TokenId id) const {
  const std::string_view text = token(id);
  return !text.empty() && added_.is_special(text);
}

std::string HfTokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const TokenId id : ids) {
    if (added_.find(id) == nullptr && !model_->vocabulary().contains(id)) continue;
    if (skip_special && is_special(id)) continue;
    tokens.emplace_back(token(id));
  }
  if (decoder_) tokens = decoder_->decode(std::move(tokens));
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (!decoder_ && i > 0) text += ' ';
    text += tokens[i];
  }
  return text;
}

void HfTokenizer::append_bytes(TokenId id, bool first, bool skip_special, std::string& out) const {
  if (added_.find(id) == nullptr && !model_->vocabulary().contains(id)) return;
  if (skip_special && is_special(id)) return;
  std::string bytes(token(id));
  if (decoder_) {
    decoder_->decode_one(bytes, first);
  } else if (!first) {
    out += ' ';
  }
  out += bytes;
}

}  // namespace mistral::text
