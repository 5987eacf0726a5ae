#include "text/tokenizer/normalizer.h"

#include <optional>

#include <unicode/ubrk.h>
#include <unicode/utext.h>

#include "text/tokenizer/base64.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/charsmap.h"
#include "text/tokenizer/split_pattern.h"
#include "text/tokenizer/unicode.h"
#include "text/tokenizer/unicode_forms.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

constexpr std::size_t kDeepest = 32;  // nested sequences

void lowercase(AlignedText& text) {
  std::vector<CharacterChange> changes;
  changes.reserve(text.text().size());
  for (std::string_view rest = text.text(); !rest.empty();) {
    const utf8::Character c = utf8::decode(rest);
    rest.remove_prefix(c.length);
    if (c.code_point == 0x130) {  // the only character whose lower case is two
      changes.push_back({'i', 0});
      changes.push_back({0x307, 1});
    } else {
      changes.push_back({unicode::to_lower(c.code_point), 0});
    }
  }
  text.transform(changes);
}

class FormNormalizer final : public Normalizer {
 public:
  explicit FormNormalizer(UnicodeForm form) : form_(form) {}
  void normalize(AlignedText& text) const override { apply_unicode_form(form_, text); }

 private:
  UnicodeForm form_;
};

class LowercaseNormalizer final : public Normalizer {
 public:
  void normalize(AlignedText& text) const override { lowercase(text); }
};

class StripNormalizer final : public Normalizer {
 public:
  StripNormalizer(bool left, bool right) : left_(left), right_(right) {}
  void normalize(AlignedText& text) const override {
    const std::string_view all = text.text();
    std::size_t begin = 0;
    std::size_t end = all.size();
    while (left_ && begin < end) {
      const utf8::Character c = utf8::decode(all.substr(begin));
      if (!unicode::is_space(c.code_point)) break;
      begin += c.length;
    }
    while (right_ && begin < end) {
      const utf8::Character c = utf8::decode_last(all.substr(begin, end - begin));
      if (!unicode::is_space(c.code_point)) break;
      end -= c.length;
    }
    if (begin > 0 || end < all.size()) text.trim(begin, end);
  }

 private:
  bool left_;
  bool right_;
};

class StripAccentsNormalizer final : public Normalizer {
 public:
  void normalize(AlignedText& text) const override {
    text.filter([](char32_t c) { return !unicode::is_mark(c); });
  }
};

class ReplaceNormalizer final : public Normalizer {
 public:
  ReplaceNormalizer(SplitPattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void normalize(AlignedText& text) const override {
    if (text.text().empty()) return;
    text.replace(pattern_.find_all(text.text()), content_);
  }

 private:
  SplitPattern pattern_;
  std::string content_;
};

class PrependNormalizer final : public Normalizer {
 public:
  explicit PrependNormalizer(std::string content) : content_(std::move(content)) {}
  void normalize(AlignedText& text) const override { text.prepend(content_); }

 private:
  std::string content_;
};

class BertNormalizer final : public Normalizer {
 public:
  struct Options {
    bool clean_text;
    bool handle_chinese_chars;
    bool strip_accents;
    bool lowercase;
  };
  explicit BertNormalizer(Options options) : options_(options) {}

  void normalize(AlignedText& text) const override {
    if (options_.clean_text) {
      text.filter([](char32_t c) { return c != 0 && c != utf8::kReplacement && !is_control(c); });
      text.map([](char32_t c) { return unicode::is_space(c) ? U' ' : c; });
    }
    if (options_.handle_chinese_chars) {
      std::vector<CharacterChange> changes;
      for (std::string_view rest = text.text(); !rest.empty();) {
        const utf8::Character c = utf8::decode(rest);
        rest.remove_prefix(c.length);
        if (unicode::is_cjk_ideograph(c.code_point)) {
          changes.insert(changes.end(), {{' ', 0}, {c.code_point, 1}, {' ', 1}});
        } else {
          changes.push_back({c.code_point, 0});
        }
      }
      text.transform(changes);
    }
    if (options_.strip_accents) {
      apply_unicode_form(UnicodeForm::kNfd, text);
      text.filter([](char32_t c) { return !unicode::is_nonspacing_mark(c); });
    }
    if (options_.lowercase) lowercase(text);
  }

 private:
  static bool is_control(char32_t c) {
    if (c == '\t' || c == '\n' || c == '\r') return false;
    const std::uint32_t category = unicode::category_mask(c);
    if ((category & U_GC_CF_MASK) != 0) return unicode::introduced_in(c) < 9;
    return (category & (U_GC_CC_MASK | U_GC_CO_MASK)) != 0;
  }
  Options options_;
};

class NmtNormalizer final : public Normalizer {
 public:
  void normalize(AlignedText& text) const override {
    text.filter([](char32_t c) {
      return !((c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
               c == 0x8F || c == 0x9F);
    });
    text.map([](char32_t c) {
      const bool blank = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
                         (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 ||
                         c == 0x2581 || c == 0xFEFF || c == utf8::kReplacement;
      return blank ? U' ' : c;
    });
  }
};

// Maps whole grapheme clusters of fewer than six bytes, else character by character; always by
// the shortest entry of the map, as the library that defines this format does.
class PrecompiledNormalizer final : public Normalizer {
 public:
  explicit PrecompiledNormalizer(Charsmap map) : map_(std::move(map)) {}

  void normalize(AlignedText& text) const override {
    std::vector<CharacterChange> changes;
    bool modified = false;
    const auto put = [&](std::string_view part) {
      const auto match = map_.shortest(part);
      if (!match) return false;
      modified = true;
      replace(part, utf8::repaired(match->replacement), changes);
      return true;
    };
    for_each_grapheme(text.text(), [&](std::string_view grapheme) {
      constexpr std::size_t kWholeBelow = 6;
      if (grapheme.size() < kWholeBelow && put(grapheme)) return;
      while (!grapheme.empty()) {
        const utf8::Character c = utf8::decode(grapheme);
        if (!put(grapheme.substr(0, c.length))) changes.push_back({c.code_point, 0});
        grapheme.remove_prefix(c.length);
      }
    });
    if (modified) text.transform(changes);
  }

 private:
  static void replace(std::string_view before, std::string_view after,
                      std::vector<CharacterChange>& changes) {
    const auto old_count = static_cast<std::ptrdiff_t>(utf8::count_characters(before));
    const auto new_count = static_cast<std::ptrdiff_t>(utf8::count_characters(after));
    for (std::ptrdiff_t i = 0; i < new_count; ++i) {
      const utf8::Character c = utf8::decode(after);
      after.remove_prefix(c.length);
      changes.push_back({c.code_point, i >= old_count ? 1 : 0});
    }
    if (new_count < old_count && !changes.empty()) {
      changes.back().change += static_cast<int>(new_count - old_count);
    }
  }

  template <typename Visit>
  static void for_each_grapheme(std::string_view text, Visit&& visit) {
    UErrorCode status = U_ZERO_ERROR;
    UText units = UTEXT_INITIALIZER;
    utext_openUTF8(&units, text.data(), static_cast<std::int64_t>(text.size()), &status);
    UBreakIterator* breaks = ubrk_open(UBRK_CHARACTER, "", nullptr, 0, &status);
    ubrk_setUText(breaks, &units, &status);
    if (U_SUCCESS(status) != 0) {
      std::size_t begin = 0;
      for (std::int32_t end = ubrk_next(breaks); end != UBRK_DONE; end = ubrk_next(breaks)) {
        visit(text.substr(begin, static_cast<std::size_t>(end) - begin));
        begin = static_cast<std::size_t>(end);
      }
    }
    ubrk_close(breaks);
    utext_close(&units);
  }

  Charsmap map_;
};

class ByteLevelNormalizer final : public Normalizer {
 public:
  void normalize(AlignedText& text) const override {
    AlignedText encoded(text.tracking());
    encoded.reserve(text.text().size() * 2);
    for (std::size_t i = 0; i < text.text().size(); ++i) {
      encoded.append_new(byte_level::spelling(static_cast<std::uint8_t>(text.text()[i])), text, i);
    }
    text = std::move(encoded);
  }
};

class SequenceNormalizer final : public Normalizer {
 public:
  explicit SequenceNormalizer(std::vector<std::unique_ptr<Normalizer>> parts)
      : parts_(std::move(parts)) {}
  void normalize(AlignedText& text) const override {
    for (const auto& part : parts_) part->normalize(text);
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> parts_;
};

std::unique_ptr<Normalizer> make(const JsonValue& json, const std::string& where,
                                 std::size_t depth) {
  if (depth > kDeepest) throw make_error(ErrorKind::kInvalidFile, "{}: nested too deep", where);
  const JsonReader reader(json, where);
  const std::string type = reader.require_string("type");
  if (type == "NFC") return std::make_unique<FormNormalizer>(UnicodeForm::kNfc);
  if (type == "NFD") return std::make_unique<FormNormalizer>(UnicodeForm::kNfd);
  if (type == "NFKC") return std::make_unique<FormNormalizer>(UnicodeForm::kNfkc);
  if (type == "NFKD") return std::make_unique<FormNormalizer>(UnicodeForm::kNfkd);
  if (type == "Lowercase") return std::make_unique<LowercaseNormalizer>();
  if (type == "Strip") {
    return std::make_unique<StripNormalizer>(reader.boolean("strip_left", true),
                                             reader.boolean("strip_right", true));
  }
  if (type == "StripAccents") return std::make_unique<StripAccentsNormalizer>();
  if (type == "Replace") {
    return std::make_unique<ReplaceNormalizer>(read_pattern(reader, "pattern"),
                                               reader.require_string("content"));
  }
  if (type == "Prepend") {
    return std::make_unique<PrependNormalizer>(reader.require_string("prepend"));
  }
  if (type == "BertNormalizer") {
    const bool lower = reader.boolean("lowercase", true);
    return std::make_unique<BertNormalizer>(BertNormalizer::Options{
        reader.boolean("clean_text", true), reader.boolean("handle_chinese_chars", true),
        reader.boolean("strip_accents", lower), lower});
  }
  if (type == "Nmt") return std::make_unique<NmtNormalizer>();
  if (type == "Precompiled") {
    const auto blob = decode_base64(reader.string("precompiled_charsmap", ""));
    if (!blob) throw reader.wrong("precompiled_charsmap", "base64");
    if (blob->empty())
      return std::make_unique<SequenceNormalizer>(std::vector<std::unique_ptr<Normalizer>>());
    return std::make_unique<PrecompiledNormalizer>(Charsmap(*blob));
  }
  if (type == "ByteLevel") return std::make_unique<ByteLevelNormalizer>();
  if (type == "Sequence") {
    std::vector<std::unique_ptr<Normalizer>> parts;
    for (const JsonValue& part : reader.require_array("normalizers")) {
      parts.push_back(make(part, json_path(reader.path("normalizers"), parts.size()), depth + 1));
    }
    return std::make_unique<SequenceNormalizer>(std::move(parts));
  }
  throw make_error(ErrorKind::kUnsupported, "{}: the normalizer \"{}\" is not known", where, type);
}

}  // namespace

std::unique_ptr<Normalizer> make_normalizer(const JsonValue& json, const std::string& where) {
  return make(json, where, 0);
}

}  // namespace mistral::text
