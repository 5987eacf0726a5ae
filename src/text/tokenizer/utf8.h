// UTF-8 as bytes: decoding, encoding and repair.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mistral::text::utf8 {

inline constexpr char32_t kReplacement = 0xFFFD;
inline constexpr std::string_view kReplacementBytes = "\xEF\xBF\xBD";

struct Character {
  char32_t code_point;
  std::uint32_t length;  // bytes
};

// The first character of `text`, which is not empty and valid UTF-8.
[[nodiscard]] inline Character decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1FU) << 6U | (byte(1) & 0x3FU), 2};
  if (lead < 0xF0) {
    return {(lead & 0x0FU) << 12U | (byte(1) & 0x3FU) << 6U | (byte(2) & 0x3FU), 3};
  }
  return {(lead & 0x07U) << 18U | (byte(1) & 0x3FU) << 12U | (byte(2) & 0x3FU) << 6U |
              (byte(3) & 0x3FU),
          4};
}

// The last character of `text`, which is not empty and valid UTF-8.
[[nodiscard]] inline Character decode_last(std::string_view text) {
  std::size_t begin = text.size() - 1;
  while ((static_cast<unsigned char>(text[begin]) & 0xC0U) == 0x80U) --begin;
  return decode(text.substr(begin));
}

[[nodiscard]] inline bool is_boundary(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
}

// Bytes of a character that begins with `lead`, for valid UTF-8.
[[nodiscard]] inline std::uint32_t length_of(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// Appends `code_point`; surrogates and values beyond U+10FFFF become U+FFFD.
void append(char32_t code_point, std::string& out);

// What stands at the beginning of bytes that may be anything.
struct Scan {
  std::size_t length;  // of the character, or of the broken sequence that one U+FFFD replaces
  enum class Kind { kValid, kBroken, kIncomplete } kind;  // incomplete: the end cuts a character
};
[[nodiscard]] Scan scan(std::string_view bytes);

[[nodiscard]] bool is_valid(std::string_view bytes);
// Appends `bytes`, each broken or incomplete sequence as U+FFFD.
void append_repaired(std::string_view bytes, std::string& out);
[[nodiscard]] std::string repaired(std::string_view bytes);

[[nodiscard]] std::size_t count_characters(std::string_view text);

}  // namespace mistral::text::utf8
