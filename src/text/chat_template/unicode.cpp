#include "text/chat_template/unicode.h"

#include <cstdint>
#include <cstring>

#include <unicode/uchar.h>
#include <unicode/ustring.h>

#include "text/chat_template/budget.h"

namespace mistral::text::jinja {
namespace {

constexpr char32_t kCapitalSigma = 0x3A3;

using Utf16 = std::basic_string<UChar>;
using Utf16Mapping = int32_t (*)(UChar*, int32_t, const UChar*, int32_t, UErrorCode*);

void append_utf16(Utf16& text, char32_t c) {
  if (c >= 0x10000) {
    text += static_cast<UChar>(0xD7C0 + (c >> 10U));
    text += static_cast<UChar>(0xDC00 + (c & 0x3FFU));
  } else {
    text += static_cast<UChar>(c);
  }
}

// Applies one of ICU's full case mappings in the root locale.
std::string map_case(std::u32string_view text, Utf16Mapping mapping) {
  constexpr std::size_t kTransientBytesPerCodePoint = 12;
  Budget::require(text.size() * kTransientBytesPerCodePoint);
  Utf16 source;
  source.reserve(text.size());
  for (const char32_t c : text) append_utf16(source, c);
  // A code unit never maps to more than three.
  Utf16 target(source.size() * 3 + 1, u'\0');
  UErrorCode status = U_ZERO_ERROR;
  const int32_t length = mapping(target.data(), static_cast<int32_t>(target.size()), source.data(),
                                 static_cast<int32_t>(source.size()), &status);
  std::string result;
  if (U_FAILURE(status) || length < 0) return encode(text);
  for (int32_t i = 0; i < length; ++i) {
    char32_t c = target[static_cast<std::size_t>(i)];
    if (c >= 0xD800 && c < 0xDC00 && i + 1 < length) {
      const char32_t low = target[static_cast<std::size_t>(i) + 1];
      if (low >= 0xDC00 && low < 0xE000) {
        c = 0x10000 + ((c - 0xD800) << 10U) + (low - 0xDC00);
        ++i;
      }
    }
    append_code_point(result, c);
  }
  return result;
}

int32_t upper_mapping(UChar* to, int32_t capacity, const UChar* from, int32_t length,
                      UErrorCode* status) {
  return u_strToUpper(to, capacity, from, length, "", status);
}

int32_t lower_mapping(UChar* to, int32_t capacity, const UChar* from, int32_t length,
                      UErrorCode* status) {
  return u_strToLower(to, capacity, from, length, "", status);
}

int32_t fold_mapping(UChar* to, int32_t capacity, const UChar* from, int32_t length,
                     UErrorCode* status) {
  return u_strFoldCase(to, capacity, from, length, U_FOLD_CASE_DEFAULT, status);
}

int32_t title_mapping(UChar* to, int32_t capacity, const UChar* from, int32_t length,
                      UErrorCode* status) {
  return u_strToTitle(to, capacity, from, length, nullptr, "", status);
}

bool is_cased(char32_t c) {
  return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_CASED) != 0;
}

bool is_case_ignorable(char32_t c) {
  return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_CASE_IGNORABLE) != 0;
}

// Whether the sigma at `index` ends a word (Unicode's Final_Sigma condition).
bool final_sigma(std::u32string_view text, std::size_t index) {
  std::size_t before = index;
  while (before > 0 && is_case_ignorable(text[before - 1])) --before;
  if (before == 0 || !is_cased(text[before - 1])) return false;
  std::size_t after = index + 1;
  while (after < text.size() && is_case_ignorable(text[after])) ++after;
  return after == text.size() || !is_cased(text[after]);
}

void append_lower(std::string& out, std::u32string_view text, std::size_t index) {
  const char32_t c = text[index];
  if (c < 0x80) {
    out += static_cast<char>(c >= U'A' && c <= U'Z' ? c + 32 : c);
  } else if (c == kCapitalSigma) {
    append_code_point(out, final_sigma(text, index) ? 0x3C2 : 0x3C3);
  } else {
    out += map_case(text.substr(index, 1), lower_mapping);
  }
}

void append_title(std::string& out, std::u32string_view text, std::size_t index) {
  const char32_t c = text[index];
  if (c < 0x80) {
    out += static_cast<char>(c >= U'a' && c <= U'z' ? c - 32 : c);
  } else {
    out += map_case(text.substr(index, 1), title_mapping);
  }
}

}  // namespace

bool all_ascii(std::string_view text) {
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + i, 8);
    if ((word & 0x8080808080808080ULL) != 0) return false;
  }
  for (; i < text.size(); ++i) {
    if (static_cast<unsigned char>(text[i]) >= 0x80) return false;
  }
  return true;
}

bool valid_utf8(std::string_view text) {
  if (all_ascii(text)) return true;
  const auto continuation = [&](std::size_t i) {
    return i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80;
  };
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    std::size_t extra = 0;
    if (lead >= 0xC2 && lead <= 0xDF) extra = 1;
    if (lead >= 0xE0 && lead <= 0xEF) extra = 2;
    if (lead >= 0xF0 && lead <= 0xF4) extra = 3;
    if (extra == 0) return false;
    for (std::size_t k = 1; k <= extra; ++k) {
      if (!continuation(i + k)) return false;
    }
    const auto second = static_cast<unsigned char>(text[i + 1]);
    if (lead == 0xE0 && second < 0xA0) return false;
    if (lead == 0xED && second > 0x9F) return false;
    if (lead == 0xF0 && second < 0x90) return false;
    if (lead == 0xF4 && second > 0x8F) return false;
    i += extra + 1;
  }
  return true;
}

std::size_t count_code_points(std::string_view text) {
  if (all_ascii(text)) return text.size();
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0U) != 0x80 ? 1 : 0;
  return count;
}

char32_t decode_at(std::string_view text, std::size_t& position) {
  const auto byte = [&](std::size_t i) -> char32_t {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const char32_t lead = byte(position);
  if (lead < 0x80) {
    position += 1;
    return lead;
  }
  char32_t c = 0;
  if (lead < 0xE0) {
    c = ((lead & 0x1FU) << 6U) | (byte(position + 1) & 0x3FU);
    position += 2;
  } else if (lead < 0xF0) {
    c = ((lead & 0xFU) << 12U) | ((byte(position + 1) & 0x3FU) << 6U) |
        (byte(position + 2) & 0x3FU);
    position += 3;
  } else {
    c = ((lead & 7U) << 18U) | ((byte(position + 1) & 0x3FU) << 12U) |
        ((byte(position + 2) & 0x3FU) << 6U) | (byte(position + 3) & 0x3FU);
    position += 4;
  }
  if (position > text.size()) position = text.size();
  return c;
}

char32_t decode_before(std::string_view text, std::size_t& position) {
  do {
    --position;
  } while (position > 0 && (static_cast<unsigned char>(text[position]) & 0xC0U) == 0x80);
  std::size_t at = position;
  return decode_at(text, at);
}

std::u32string decode(std::string_view text) {
  Budget::require(text.size() * sizeof(char32_t));
  std::u32string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) result += decode_at(text, i);
  return result;
}

void append_code_point(std::string& text, char32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += static_cast<char>(0xC0U | (c >> 6U));
    text += static_cast<char>(0x80U | (c & 0x3FU));
  } else if (c < 0x10000) {
    text += static_cast<char>(0xE0U | (c >> 12U));
    text += static_cast<char>(0x80U | ((c >> 6U) & 0x3FU));
    text += static_cast<char>(0x80U | (c & 0x3FU));
  } else {
    text += static_cast<char>(0xF0U | (c >> 18U));
    text += static_cast<char>(0x80U | ((c >> 12U) & 0x3FU));
    text += static_cast<char>(0x80U | ((c >> 6U) & 0x3FU));
    text += static_cast<char>(0x80U | (c & 0x3FU));
  }
}

std::string encode(std::u32string_view text) {
  std::string result;
  for (const char32_t c : text) append_code_point(result, c);
  return result;
}

std::size_t byte_offset(std::string_view text, std::size_t index, bool ascii) {
  if (ascii) return index;
  std::size_t position = 0;
  for (; index > 0; --index) {
    ++position;
    while (position < text.size() && (static_cast<unsigned char>(text[position]) & 0xC0U) == 0x80) {
      ++position;
    }
  }
  return position;
}

std::size_t find_text(std::string_view text, std::string_view needle, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (needle.empty()) return from;
  const void* hit = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  if (hit == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(hit) - text.data());
}

bool is_space(char32_t c) {
  if (c < 0x80) return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_line_break(char32_t c) {
  return (c >= 10 && c <= 13) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

bool is_alpha(char32_t c) {
  return u_isalpha(static_cast<UChar32>(c)) != 0;
}

bool is_decimal(char32_t c) {
  return u_charType(static_cast<UChar32>(c)) == U_DECIMAL_DIGIT_NUMBER;
}

bool is_digit(char32_t c) {
  const int type = u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE);
  return type == U_NT_DECIMAL || type == U_NT_DIGIT;
}

bool is_numeric(char32_t c) {
  return u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE) != U_NT_NONE;
}

bool is_alnum(char32_t c) {
  if (c < 0x80) {
    return (c >= U'0' && c <= U'9') || (c >= U'A' && c <= U'Z') || (c >= U'a' && c <= U'z');
  }
  return is_alpha(c) || is_numeric(c);
}

bool is_upper(char32_t c) {
  return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_UPPERCASE) != 0;
}

bool is_lower(char32_t c) {
  return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_LOWERCASE) != 0;
}

bool is_title(char32_t c) {
  return u_charType(static_cast<UChar32>(c)) == U_TITLECASE_LETTER;
}

bool is_printable(char32_t c) {
  if (c < 0x7F) return c >= 0x20;
  switch (u_charType(static_cast<UChar32>(c))) {
    case U_UNASSIGNED:
    case U_CONTROL_CHAR:
    case U_FORMAT_CHAR:
    case U_SURROGATE:
    case U_PRIVATE_USE_CHAR:
    case U_LINE_SEPARATOR:
    case U_PARAGRAPH_SEPARATOR:
    case U_SPACE_SEPARATOR:
      return false;
    default:
      return true;
  }
}

bool is_identifier_start(char32_t c) {
  return c == U'_' || u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_XID_START) != 0;
}

bool is_identifier_part(char32_t c) {
  return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_XID_CONTINUE) != 0;
}

int decimal_value(char32_t c) {
  return u_charDigitValue(static_cast<UChar32>(c));
}

std::string to_upper(std::string_view text) {
  if (!all_ascii(text)) return map_case(decode(text), upper_mapping);
  std::string result(text);
  for (char& c : result) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return result;
}

std::string to_lower(std::string_view text) {
  if (!all_ascii(text)) return map_case(decode(text), lower_mapping);
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return result;
}

std::string to_title(std::string_view text) {
  const std::u32string points = decode(text);
  std::string result;
  bool inside_word = false;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (inside_word) {
      append_lower(result, points, i);
    } else {
      append_title(result, points, i);
    }
    inside_word = is_cased(points[i]);
  }
  return result;
}

std::string capitalize(std::string_view text) {
  const std::u32string points = decode(text);
  std::string result;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (i == 0) {
      append_title(result, points, i);
    } else {
      append_lower(result, points, i);
    }
  }
  return result;
}

std::string swap_case(std::string_view text) {
  const std::u32string points = decode(text);
  std::string result;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (is_upper(points[i])) {
      append_lower(result, points, i);
    } else if (is_lower(points[i])) {
      result += map_case(std::u32string_view(points).substr(i, 1), upper_mapping);
    } else {
      append_code_point(result, points[i]);
    }
  }
  return result;
}

std::string case_fold(std::string_view text) {
  if (all_ascii(text)) return to_lower(text);
  return map_case(decode(text), fold_mapping);
}

std::string_view strip_space(std::string_view text, StripSide side) {
  std::size_t begin = 0;
  std::size_t end = text.size();
  if (side != StripSide::kRight) {
    while (begin < end) {
      std::size_t next = begin;
      if (!is_space(decode_at(text, next))) break;
      begin = next;
    }
  }
  if (side != StripSide::kLeft) {
    while (end > begin) {
      std::size_t previous = end;
      if (!is_space(decode_before(text, previous))) break;
      end = previous;
    }
  }
  return text.substr(begin, end - begin);
}

std::string_view strip_characters(std::string_view text, std::string_view characters,
                                  StripSide side) {
  const std::u32string set = decode(characters);
  const auto listed = [&](char32_t c) { return set.find(c) != std::u32string::npos; };
  std::size_t begin = 0;
  std::size_t end = text.size();
  if (side != StripSide::kRight) {
    while (begin < end) {
      std::size_t next = begin;
      if (!listed(decode_at(text, next))) break;
      begin = next;
    }
  }
  if (side != StripSide::kLeft) {
    while (end > begin) {
      std::size_t previous = end;
      if (!listed(decode_before(text, previous))) break;
      end = previous;
    }
  }
  return text.substr(begin, end - begin);
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  // At most so many lines; each needs a view.
  std::size_t breaks = 1;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    breaks += (byte < 0x20 && is_line_break(byte)) || byte == 0xC2 || byte == 0xE2 ? 1 : 0;
  }
  Budget::require(breaks * 2 * sizeof(std::string_view));
  std::vector<std::string_view> lines;
  std::size_t start = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t at = i;
    const char32_t c = decode_at(text, i);
    if (!is_line_break(c)) continue;
    if (c == U'\r' && i < text.size() && text[i] == '\n') ++i;
    lines.push_back(text.substr(start, (keep_ends ? i : at) - start));
    start = i;
  }
  if (start < text.size()) lines.push_back(text.substr(start));
  return lines;
}

}  // namespace mistral::text::jinja
