#include "text/grammar/regex_classes.h"

#include <array>
#include <string>
#include <utility>

#include <unicode/uchar.h>
#include <unicode/uset.h>

namespace mistral::grammar {

const CodePointSet& ascii_digits() {
  static const CodePointSet set = {{'0', '9'}};
  return set;
}

const CodePointSet& ascii_word() {
  static const CodePointSet set = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
  return set;
}

const CodePointSet& ascii_space() {
  static const CodePointSet set = {{'\t', '\r'}, {' ', ' '}};
  return set;
}

std::optional<CodePointSet> posix_class(std::string_view name) {
  static const std::array<std::pair<std::string_view, CodePointSet>, 14> classes = {{
      {"alnum", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}},
      {"alpha", {{'A', 'Z'}, {'a', 'z'}}},
      {"ascii", {{0, 0x7F}}},
      {"blank", {{'\t', '\t'}, {' ', ' '}}},
      {"cntrl", {{0, 0x1F}, {0x7F, 0x7F}}},
      {"digit", {{'0', '9'}}},
      {"graph", {{'!', '~'}}},
      {"lower", {{'a', 'z'}}},
      {"print", {{' ', '~'}}},
      {"punct", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}},
      {"space", {{'\t', '\r'}, {' ', ' '}}},
      {"upper", {{'A', 'Z'}}},
      {"word", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
      {"xdigit", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}},
  }};
  for (const auto& [known, set] : classes) {
    if (known == name) return set;
  }
  return std::nullopt;
}

std::optional<CodePointSet> unicode_class(std::string_view name) {
  if (name == "Any") return CodePointSet::all();
  if (name.empty() || name.size() > 64) return std::nullopt;
  std::u16string pattern = u"[\\p{";
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '=' || c == ' ' || c == '-';
    if (!plain) return std::nullopt;
    pattern += static_cast<char16_t>(c);
  }
  pattern += u"}]";
  UErrorCode status = U_ZERO_ERROR;
  USet* set = uset_openPattern(pattern.c_str(), static_cast<std::int32_t>(pattern.size()), &status);
  if (U_FAILURE(status) || set == nullptr) {
    uset_close(set);
    return std::nullopt;
  }
  CodePointSet out;
  const std::int32_t count = uset_getItemCount(set);
  for (std::int32_t i = 0; i < count; ++i) {
    UChar32 low = 0;
    UChar32 high = 0;
    UErrorCode item_status = U_ZERO_ERROR;
    if (uset_getItem(set, i, &low, &high, nullptr, 0, &item_status) != 0) continue;  // a string
    out.add(static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(high));
  }
  uset_close(set);
  return out;
}

CodePointSet fold_case(const CodePointSet& set, bool ascii_only) {
  CodePointSet out = set;
  for (std::uint32_t upper = 'A'; upper <= 'Z'; ++upper) {
    const std::uint32_t lower = upper + ('a' - 'A');
    if (set.contains(upper)) out.add(lower);
    if (set.contains(lower)) out.add(upper);
  }
  if (ascii_only) return out;
  // Scripts with cases lie below U+1E944 (Adlam); large sets have both cases as it is.
  constexpr std::uint32_t kLastCased = 0x1E943;
  constexpr std::uint32_t kLargest = 4096;
  for (const CodePointRange& range : set.ranges()) {
    if (range.high < 0x80 || range.high - range.low > kLargest) continue;
    for (std::uint32_t c = std::max(range.low, 0x80U); c <= std::min(range.high, kLastCased); ++c) {
      const auto code_point = static_cast<UChar32>(c);
      out.add(static_cast<std::uint32_t>(u_tolower(code_point)));
      out.add(static_cast<std::uint32_t>(u_toupper(code_point)));
    }
  }
  return out;
}

}  // namespace mistral::grammar
