#include "text/tokenizer/decoder.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/split_pattern.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

constexpr std::size_t kDeepest = 32;
using Tokens = std::vector<std::string>;
using Stage = Decoder::Stage;

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  while (!from.empty()) {
    const std::size_t at = text.find(from);
    if (at == std::string_view::npos) break;
    out.append(text.substr(0, at)).append(to);
    text.remove_prefix(at + from.size());
  }
  return out.append(text);
}

std::string join(const Tokens& tokens) {
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

// A token of six bytes <0xAB>; a sign is allowed as in the library that defines the format.
std::optional<char> fallback_byte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return std::nullopt;
  std::string_view digits = token.substr(3, 2);
  if (digits[0] == '+') digits.remove_prefix(1);
  unsigned value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return static_cast<char>(value);
}

// English contractions and punctuation without the space before them.
std::string clean_up(std::string text) {
  constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) text = replace_all(text, from, to);
  return text;
}

class ByteLevelDecoder final : public Decoder {
 public:
  [[nodiscard]] Tokens decode(Tokens tokens) const override {
    std::string bytes;
    for (std::string& token : tokens) {
      decode_one(token, false);
      bytes += token;
    }
    return {utf8::repaired(bytes)};
  }
  [[nodiscard]] Stage stage(Stage before) const override {
    return before == Stage::kTokens ? Stage::kFused : Stage::kNeighbours;
  }
  void decode_one(std::string& token, bool /*first*/) const override {
    std::string bytes;
    if (byte_level::append_decoded(token, bytes)) token = std::move(bytes);
  }
};

class ByteFallbackDecoder final : public Decoder {
 public:
  [[nodiscard]] Tokens decode(Tokens tokens) const override {
    Tokens out;
    std::string bytes;
    const auto flush = [&] {
      if (bytes.empty()) return;
      if (utf8::is_valid(bytes)) {
        out.push_back(bytes);
      } else {
        out.insert(out.end(), bytes.size(), std::string(utf8::kReplacementBytes));
      }
      bytes.clear();
    };
    for (std::string& token : tokens) {
      if (const auto byte = fallback_byte(token)) {
        bytes.push_back(*byte);
      } else {
        flush();
        out.push_back(std::move(token));
      }
    }
    flush();
    return out;
  }
  [[nodiscard]] Stage stage(Stage before) const override {
    return before == Stage::kTokens ? Stage::kTokens : Stage::kNeighbours;
  }
  void decode_one(std::string& token, bool /*first*/) const override {
    if (const auto byte = fallback_byte(token)) token.assign(1, *byte);
  }
};

class FuseDecoder final : public Decoder {
 public:
  [[nodiscard]] Tokens decode(Tokens tokens) const override { return {join(tokens)}; }
  [[nodiscard]] Stage stage(Stage before) const override {
    return before == Stage::kNeighbours ? before : Stage::kFused;
  }
  void decode_one(std::string& /*token*/, bool /*first*/) const override {}
};

class StripDecoder final : public Decoder {
 public:
  StripDecoder(std::string content, std::size_t start, std::size_t stop)
      : content_(std::move(content)), start_(start), stop_(stop) {}

  [[nodiscard]] Tokens decode(Tokens tokens) const override {
    for (std::string& token : tokens) strip(token);
    return tokens;
  }
  [[nodiscard]] Stage stage(Stage before) const override {
    if (before == Stage::kFused) {
      fused_ = true;
      return start_ <= 1 && stop_ == 0 ? Stage::kFused : Stage::kNeighbours;
    }
    return before;
  }
  void decode_one(std::string& token, bool first) const override {
    if (first || !fused_) strip(token);
  }

 private:
  void strip(std::string& token) const {
    std::string_view text = token;
    for (std::size_t i = 0; i < start_ && text.starts_with(content_); ++i) {
      text.remove_prefix(content_.size());
    }
    for (std::size_t i = 0; i < stop_ && text.ends_with(content_); ++i) {
      text.remove_suffix(content_.size());
    }
    token = std::string(text);
  }

  std::string content_;  // one character
  std::size_t start_;
  std::size_t stop_;
  mutable bool fused_ = false;  // set once, while the sequence is built
};

class ReplaceDecoder final : public Decoder {
 public:
  ReplaceDecoder(SplitPattern pattern, bool one_character, std::string content)
      : pattern_(std::move(pattern)), one_character_(one_character), content_(std::move(content)) {}
  [[nodiscard]] Tokens decode(Tokens tokens) const override {
    for (std::string& token : tokens) replace(token);
    return tokens;
  }
  [[nodiscard]] Stage stage(Stage before) const override {
    return before == Stage::kFused && !one_character_ ? Stage::kNeighbours : before;
  }
  void decode_one(std::string& token, bool /*first*/) const override {
    if (utf8::is_valid(token)) replace(token);
  }

 private:
  void replace(std::string& token) const {
    if (token.empty()) return;
    std::string out;
    std::size_t done = 0;
    for (const ByteRange& match : pattern_.find_all(token)) {
      out.append(token, done, match.begin - done).append(content_);
      done = match.end;
    }
    token = out.append(token, done);
  }

  SplitPattern pattern_;
  bool one_character_;
  std::string content_;
};

class MetaspaceDecoder final : public Decoder {
 public:
  explicit MetaspaceDecoder(MetaspaceOptions options) : options_(std::move(options)) {}
  [[nodiscard]] Tokens decode(Tokens tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) decode_one(tokens[i], i == 0);
    return tokens;
  }
  [[nodiscard]] Stage stage(Stage before) const override {
    return before == Stage::kTokens ? Stage::kTokens : Stage::kNeighbours;
  }
  void decode_one(std::string& token, bool first) const override {
    const bool drops = first && options_.prepend != MetaspaceOptions::Prepend::kNever;
    token = replace_all(token, options_.replacement, drops ? "" : " ");
  }

 private:
  MetaspaceOptions options_;
};

class WordPieceDecoder final : public Decoder {
 public:
  WordPieceDecoder(std::string prefix, bool cleanup)
      : prefix_(std::move(prefix)), cleanup_(cleanup) {}
  [[nodiscard]] Tokens decode(Tokens tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) decode_one(tokens[i], i == 0);
    return tokens;
  }
  [[nodiscard]] Stage stage(Stage before) const override {
    return before == Stage::kTokens ? Stage::kTokens : Stage::kNeighbours;
  }
  void decode_one(std::string& token, bool first) const override {
    if (!first) {
      if (token.starts_with(prefix_)) {
        token.erase(0, prefix_.size());
      } else {
        token.insert(0, 1, ' ');
      }
    }
    if (cleanup_) token = clean_up(std::move(token));
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

class BpeDecoder final : public Decoder {
 public:
  explicit BpeDecoder(std::string suffix) : suffix_(std::move(suffix)) {}
  [[nodiscard]] Tokens decode(Tokens tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = replace_all(tokens[i], suffix_, i + 1 == tokens.size() ? "" : " ");
    }
    return tokens;
  }
  [[nodiscard]] Stage stage(Stage /*before*/) const override { return Stage::kNeighbours; }
  void decode_one(std::string& token, bool /*first*/) const override {
    token = replace_all(token, suffix_, " ");
  }

 private:
  std::string suffix_;
};

class CtcDecoder final : public Decoder {
 public:
  CtcDecoder(std::string pad, std::string delimiter, bool cleanup)
      : pad_(std::move(pad)), delimiter_(std::move(delimiter)), cleanup_(cleanup) {}
  [[nodiscard]] Tokens decode(Tokens tokens) const override {
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    for (std::string& token : tokens) decode_one(token, false);
    std::erase_if(tokens, [](const std::string& token) { return token.empty(); });
    return tokens;
  }
  [[nodiscard]] Stage stage(Stage /*before*/) const override { return Stage::kNeighbours; }
  void decode_one(std::string& token, bool /*first*/) const override {
    token = replace_all(token, pad_, "");
    if (cleanup_) token = replace_all(clean_up(std::move(token)), delimiter_, " ");
  }

 private:
  std::string pad_;
  std::string delimiter_;
  bool cleanup_;
};

class SequenceDecoder final : public Decoder {
 public:
  explicit SequenceDecoder(std::vector<std::unique_ptr<Decoder>> parts)
      : parts_(std::move(parts)) {}
  [[nodiscard]] Tokens decode(Tokens tokens) const override {
    for (const auto& part : parts_) tokens = part->decode(std::move(tokens));
    return tokens;
  }
  [[nodiscard]] Stage stage(Stage before) const override {
    for (const auto& part : parts_) before = part->stage(before);
    return before;
  }
  void decode_one(std::string& token, bool first) const override {
    for (const auto& part : parts_) part->decode_one(token, first);
  }

 private:
  std::vector<std::unique_ptr<Decoder>> parts_;
};

std::unique_ptr<Decoder> make(const JsonValue& json, const std::string& where, std::size_t depth) {
  if (depth > kDeepest) throw make_error(ErrorKind::kInvalidFile, "{}: nested too deep", where);
  const JsonReader reader(json, where);
  const std::string type = reader.require_string("type");
  if (type == "ByteLevel") return std::make_unique<ByteLevelDecoder>();
  if (type == "ByteFallback") return std::make_unique<ByteFallbackDecoder>();
  if (type == "Fuse") return std::make_unique<FuseDecoder>();
  if (type == "Metaspace") return std::make_unique<MetaspaceDecoder>(read_metaspace(reader));
  if (type == "Strip") {
    const std::string content = reader.string("content", " ");
    if (utf8::count_characters(content) != 1) throw reader.wrong("content", "one character");
    return std::make_unique<StripDecoder>(
        content, static_cast<std::size_t>(reader.optional_integer("start").value_or(0)),
        static_cast<std::size_t>(reader.optional_integer("stop").value_or(0)));
  }
  if (type == "Replace") {
    const JsonValue& pattern = reader.require("pattern");
    const auto literal = pattern.is_object() ? pattern.find("String") : pattern.end();
    const bool one_character = pattern.is_object() && literal != pattern.end() &&
                               literal->is_string() &&
                               utf8::count_characters(literal->get<std::string>()) == 1;
    return std::make_unique<ReplaceDecoder>(read_pattern(reader, "pattern"), one_character,
                                            reader.require_string("content"));
  }
  if (type == "WordPiece") {
    return std::make_unique<WordPieceDecoder>(reader.string("prefix", "##"),
                                              reader.boolean("cleanup", true));
  }
  if (type == "BPEDecoder") return std::make_unique<BpeDecoder>(reader.string("suffix", "</w>"));
  if (type == "CTC") {
    return std::make_unique<CtcDecoder>(reader.string("pad_token", "<pad>"),
                                        reader.string("word_delimiter_token", "|"),
                                        reader.boolean("cleanup", true));
  }
  if (type == "Sequence") {
    std::vector<std::unique_ptr<Decoder>> parts;
    for (const JsonValue& part : reader.require_array("decoders")) {
      parts.push_back(make(part, json_path(reader.path("decoders"), parts.size()), depth + 1));
    }
    return std::make_unique<SequenceDecoder>(std::move(parts));
  }
  throw make_error(ErrorKind::kUnsupported, "{}: the decoder \"{}\" is not known", where, type);
}

}  // namespace

std::unique_ptr<Decoder> make_decoder(const JsonValue& json, const std::string& where) {
  return make(json, where, 0);
}

}  // namespace mistral::text
