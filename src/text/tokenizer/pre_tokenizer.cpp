#include "text/tokenizer/pre_tokenizer.h"

#include <algorithm>
#include <vector>

#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/script_split.h"
#include "text/tokenizer/split_behavior.h"
#include "text/tokenizer/split_pattern.h"
#include "text/tokenizer/unicode.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

constexpr std::size_t kDeepest = 32;

// Each character for which `is` holds as a match of its own.
template <typename Is>
std::vector<ByteRange> find_characters(std::string_view text, Is&& is) {
  std::vector<ByteRange> matches;
  for (std::size_t begin = 0; begin < text.size();) {
    const utf8::Character c = utf8::decode(text.substr(begin));
    if (is(c.code_point)) matches.push_back({begin, begin + c.length});
    begin += c.length;
  }
  return matches;
}

template <typename Is>
void split_at_characters(Pieces& pieces, SplitBehavior behavior, Is&& is) {
  pieces.split([&](std::string_view text, std::vector<ByteRange>& out) {
    split_at(find_characters(text, is), text.size(), false, behavior, out);
  });
}

class ByteLevelPreTokenizer final : public PreTokenizer {
 public:
  ByteLevelPreTokenizer(bool add_prefix_space, bool use_regex)
      : add_prefix_space_(add_prefix_space), use_regex_(use_regex) {}

  void apply(Pieces& pieces) const override {
    if (add_prefix_space_) {
      pieces.rewrite([&](const Pieces::Piece& piece, AlignedText& out) {
        if (!pieces.text(piece).starts_with(' ')) out.append_new(" ", pieces.all(), piece.begin);
        out.append(pieces.all(), piece.begin, piece.end);
      });
    }
    if (use_regex_) {
      pieces.split([&](std::string_view text, std::vector<ByteRange>& out) {
        split_at(split_.find_all(text), text.size(), false, SplitBehavior::kIsolated, out);
      });
    }
    // Every byte of a character has the character as its origin.
    pieces.rewrite([&](const Pieces::Piece& piece, AlignedText& out) {
      const std::string& text = pieces.all().text();
      for (std::size_t i = piece.begin; i < piece.end; ++i) {
        out.append_new(byte_level::spelling(static_cast<std::uint8_t>(text[i])), pieces.all(), i);
      }
    });
  }

 private:
  bool add_prefix_space_;
  bool use_regex_;
  SplitPattern split_ = SplitPattern::expression(split_expression::kGpt2);
};

class MetaspacePreTokenizer final : public PreTokenizer {
 public:
  explicit MetaspacePreTokenizer(MetaspaceOptions options)
      : options_(std::move(options)), pattern_(SplitPattern::literal(options_.replacement)) {}

  [[nodiscard]] bool needs_origins() const override {
    return options_.prepend == MetaspaceOptions::Prepend::kFirst;
  }

  void apply(Pieces& pieces) const override {
    pieces.rewrite([&](const Pieces::Piece& piece, AlignedText& out) {
      const std::string_view text = pieces.text(piece);
      const bool marked = text.starts_with(' ') || text.starts_with(options_.replacement);
      if (!marked && prepends(pieces, piece)) {
        out.append_new(options_.replacement, pieces.all(), piece.begin);
      }
      std::size_t done = piece.begin;
      for (std::size_t i = piece.begin; i < piece.end; ++i) {
        if (pieces.all().text()[i] != ' ') continue;
        out.append(pieces.all(), done, i);
        out.append_new(options_.replacement, pieces.all(), i);
        done = i + 1;
      }
      out.append(pieces.all(), done, piece.end);
    });
    if (!options_.split) return;
    pieces.split([&](std::string_view text, std::vector<ByteRange>& out) {
      split_at(pattern_.find_all(text), text.size(), false, SplitBehavior::kMergedWithNext, out);
    });
  }

 private:
  [[nodiscard]] bool prepends(const Pieces& pieces, const Pieces::Piece& piece) const {
    if (piece.end == piece.begin) return false;
    switch (options_.prepend) {
      case MetaspaceOptions::Prepend::kAlways:
        return true;
      case MetaspaceOptions::Prepend::kFirst:
        return pieces.all().origin(piece.begin, piece.end).begin == 0;
      case MetaspaceOptions::Prepend::kNever:
        break;
    }
    return false;
  }

  MetaspaceOptions options_;
  SplitPattern pattern_;
};

class SplitPreTokenizer final : public PreTokenizer {
 public:
  SplitPreTokenizer(SplitPattern pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
  void apply(Pieces& pieces) const override {
    pieces.split([&](std::string_view text, std::vector<ByteRange>& out) {
      split_at(pattern_.find_all(text), text.size(), invert_, behavior_, out);
    });
  }

 private:
  SplitPattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

// \w+|[^\w\s]+
class WhitespacePreTokenizer final : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    pieces.split([](std::string_view text, std::vector<ByteRange>& out) {
      enum class Kind { kSpace, kWord, kOther } previous = Kind::kSpace;
      for (std::size_t begin = 0; begin < text.size();) {
        const utf8::Character c = utf8::decode(text.substr(begin));
        const Kind kind = unicode::is_word(c.code_point)    ? Kind::kWord
                          : unicode::is_space(c.code_point) ? Kind::kSpace
                                                            : Kind::kOther;
        const std::size_t end = begin + c.length;
        if (kind != Kind::kSpace && kind == previous) {
          out.back().end = end;
        } else if (kind != Kind::kSpace) {
          out.push_back({begin, end});
        }
        previous = kind;
        begin = end;
      }
    });
  }
};

class WhitespaceSplitPreTokenizer final : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    split_at_characters(pieces, SplitBehavior::kRemoved, unicode::is_space);
  }
};

class BertPreTokenizer final : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    split_at_characters(pieces, SplitBehavior::kRemoved, unicode::is_space);
    split_at_characters(pieces, SplitBehavior::kIsolated, unicode::is_punctuation);
  }
};

class PunctuationPreTokenizer final : public PreTokenizer {
 public:
  explicit PunctuationPreTokenizer(SplitBehavior behavior) : behavior_(behavior) {}
  void apply(Pieces& pieces) const override {
    split_at_characters(pieces, behavior_, unicode::is_punctuation);
  }

 private:
  SplitBehavior behavior_;
};

class DigitsPreTokenizer final : public PreTokenizer {
 public:
  explicit DigitsPreTokenizer(bool individual) : individual_(individual) {}
  void apply(Pieces& pieces) const override {
    split_at_characters(pieces, individual_ ? SplitBehavior::kIsolated : SplitBehavior::kContiguous,
                        unicode::is_number);
  }

 private:
  bool individual_;
};

class CharDelimiterPreTokenizer final : public PreTokenizer {
 public:
  explicit CharDelimiterPreTokenizer(char32_t delimiter) : delimiter_(delimiter) {}
  void apply(Pieces& pieces) const override {
    split_at_characters(pieces, SplitBehavior::kRemoved,
                        [&](char32_t c) { return c == delimiter_; });
  }

 private:
  char32_t delimiter_;
};

class UnicodeScriptsPreTokenizer final : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override { pieces.split(split_by_script); }
};

class FixedLengthPreTokenizer final : public PreTokenizer {
 public:
  explicit FixedLengthPreTokenizer(std::size_t length) : length_(length) {}
  void apply(Pieces& pieces) const override {
    pieces.split([&](std::string_view text, std::vector<ByteRange>& out) {
      std::size_t begin = 0;
      std::size_t characters = 0;
      for (std::size_t i = 0; i < text.size(); i += utf8::length_of(text[i])) {
        if (characters++ == length_) {
          out.push_back({begin, i});
          begin = i;
          characters = 1;
        }
      }
      out.push_back({begin, text.size()});
    });
  }

 private:
  std::size_t length_;
};

class SequencePreTokenizer final : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(std::vector<std::unique_ptr<PreTokenizer>> parts)
      : parts_(std::move(parts)) {}
  void apply(Pieces& pieces) const override {
    for (const auto& part : parts_) part->apply(pieces);
  }
  [[nodiscard]] bool needs_origins() const override {
    return std::any_of(parts_.begin(), parts_.end(),
                       [](const auto& part) { return part->needs_origins(); });
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

std::unique_ptr<PreTokenizer> make(const JsonValue& json, const std::string& where,
                                   std::size_t depth) {
  if (depth > kDeepest) throw make_error(ErrorKind::kInvalidFile, "{}: nested too deep", where);
  const JsonReader reader(json, where);
  const std::string type = reader.require_string("type");
  if (type == "ByteLevel") {
    return std::make_unique<ByteLevelPreTokenizer>(reader.boolean("add_prefix_space", true),
                                                   reader.boolean("use_regex", true));
  }
  if (type == "Metaspace") return std::make_unique<MetaspacePreTokenizer>(read_metaspace(reader));
  if (type == "Split") {
    return std::make_unique<SplitPreTokenizer>(
        read_pattern(reader, "pattern"),
        read_split_behavior(reader, "behavior", SplitBehavior::kIsolated),
        reader.boolean("invert", false));
  }
  if (type == "Whitespace") return std::make_unique<WhitespacePreTokenizer>();
  if (type == "WhitespaceSplit") return std::make_unique<WhitespaceSplitPreTokenizer>();
  if (type == "BertPreTokenizer") return std::make_unique<BertPreTokenizer>();
  if (type == "Punctuation") {
    return std::make_unique<PunctuationPreTokenizer>(
        read_split_behavior(reader, "behavior", SplitBehavior::kIsolated));
  }
  if (type == "Digits") {
    return std::make_unique<DigitsPreTokenizer>(reader.boolean("individual_digits", false));
  }
  if (type == "CharDelimiterSplit") {
    const std::string delimiter = reader.require_string("delimiter");
    if (utf8::count_characters(delimiter) != 1) throw reader.wrong("delimiter", "one character");
    return std::make_unique<CharDelimiterPreTokenizer>(utf8::decode(delimiter).code_point);
  }
  if (type == "UnicodeScripts") return std::make_unique<UnicodeScriptsPreTokenizer>();
  if (type == "FixedLength") {
    const std::int32_t length = reader.optional_integer("length").value_or(5);
    if (length == 0) throw reader.wrong("length", "at least 1");
    return std::make_unique<FixedLengthPreTokenizer>(static_cast<std::size_t>(length));
  }
  if (type == "Sequence") {
    std::vector<std::unique_ptr<PreTokenizer>> parts;
    for (const JsonValue& part : reader.require_array("pretokenizers")) {
      parts.push_back(make(part, json_path(reader.path("pretokenizers"), parts.size()), depth + 1));
    }
    return std::make_unique<SequencePreTokenizer>(std::move(parts));
  }
  throw make_error(ErrorKind::kUnsupported, "{}: the pre-tokenizer \"{}\" is not known", where,
                   type);
}

}  // namespace

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const JsonValue& json, const std::string& where) {
  return make(json, where, 0);
}

MetaspaceOptions read_metaspace(const JsonReader& reader) {
  MetaspaceOptions options;
  options.replacement = reader.string("replacement", options.replacement);
  if (utf8::count_characters(options.replacement) != 1) {
    throw reader.wrong("replacement", "one character");
  }
  if (const auto scheme = reader.optional_string("prepend_scheme")) {
    if (*scheme == "always") {
      options.prepend = MetaspaceOptions::Prepend::kAlways;
    } else if (*scheme == "first") {
      options.prepend = MetaspaceOptions::Prepend::kFirst;
    } else if (*scheme == "never") {
      options.prepend = MetaspaceOptions::Prepend::kNever;
    } else {
      throw reader.wrong("prepend_scheme", "always, first or never");
    }
  }
  if (!reader.boolean("add_prefix_space", true)) {
    options.prepend = MetaspaceOptions::Prepend::kNever;
  }
  options.split = reader.boolean("split", true);
  return options;
}

}  // namespace mistral::text
