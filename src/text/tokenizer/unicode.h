// Character properties, from ICU.
#pragma once

#include <cstdint>

#include <unicode/uchar.h>

namespace mistral::text::unicode {

[[nodiscard]] inline std::uint32_t category_mask(char32_t c) {
  return U_GET_GC_MASK(static_cast<UChar32>(c));
}
[[nodiscard]] inline bool is_letter(char32_t c) {
  if (c < 0x80) return (c | 0x20U) - 'a' < 26;
  return (category_mask(c) & U_GC_L_MASK) != 0;
}
[[nodiscard]] inline bool is_number(char32_t c) {
  if (c < 0x80) return c - '0' < 10;
  return (category_mask(c) & U_GC_N_MASK) != 0;
}
[[nodiscard]] inline bool is_mark(char32_t c) {
  return c >= 0x300 && (category_mask(c) & U_GC_M_MASK) != 0;
}
[[nodiscard]] inline bool is_nonspacing_mark(char32_t c) {
  return c >= 0x300 && (category_mask(c) & U_GC_MN_MASK) != 0;
}
// The property White_Space.
[[nodiscard]] inline bool is_space(char32_t c) {
  if (c < 0x80) return c == ' ' || c - 9 < 5;
  return u_isUWhiteSpace(static_cast<UChar32>(c)) != 0;
}
// Punctuation (P*), and for ASCII also the symbols.
[[nodiscard]] inline bool is_punctuation(char32_t c) {
  if (c < 0x80) return c > ' ' && c < 0x7F && !is_letter(c) && !is_number(c);
  return (category_mask(c) & U_GC_P_MASK) != 0;
}
// \w of Unicode regular expressions (UTS #18).
[[nodiscard]] inline bool is_word(char32_t c) {
  if (c < 0x80) return is_letter(c) || is_number(c) || c == '_';
  if (c == 0x200C || c == 0x200D) return true;
  if ((category_mask(c) & (U_GC_L_MASK | U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0) {
    return true;
  }
  return u_isUAlphabetic(static_cast<UChar32>(c)) != 0;
}
// The code points that BERT's tokenizers set apart as Chinese characters.
[[nodiscard]] bool is_cjk_ideograph(char32_t c);

}  // namespace mistral::text::unicode
