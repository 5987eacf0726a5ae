// Character properties, from ICU.
#pragma once

#include <cstdint>
#include <span>

#include <unicode/uchar.h>

namespace mistral::text::unicode {

struct CategoryRange {
  char32_t first;
  char32_t last;
  std::uint32_t mask;  // U_GC_*_MASK
};
// The characters of Unicode 15.0, 15.1 and 16.0 in order. The libraries of distributions may lack
// them: ICU the later ones, Oniguruma all.
[[nodiscard]] std::span<const CategoryRange> newer_characters();
// The category of one of them, else U_GC_CN_MASK.
[[nodiscard]] std::uint32_t newer_category_mask(char32_t c);

// A U_GC_*_MASK, as of Unicode 16.0.
[[nodiscard]] inline std::uint32_t category_mask(char32_t c) {
  const std::uint32_t mask = U_GET_GC_MASK(static_cast<UChar32>(c));
  return mask != U_GC_CN_MASK ? mask : newer_category_mask(c);
}
// The version of Unicode that brought the character; 255 when ICU does not know it.
[[nodiscard]] unsigned introduced_in(char32_t c);
[[nodiscard]] inline bool is_letter(char32_t c) {
  if (c < 0x80) return (c | 0x20U) - 'a' < 26;
  return (category_mask(c) & U_GC_L_MASK) != 0;
}
[[nodiscard]] inline bool is_number(char32_t c) {
  if (c < 0x80) return c - '0' < 10;
  return (category_mask(c) & U_GC_N_MASK) != 0;
}
// The property White_Space.
[[nodiscard]] inline bool is_space(char32_t c) {
  if (c < 0x80) return c == ' ' || c - 9 < 5;
  return u_isUWhiteSpace(static_cast<UChar32>(c)) != 0;
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
// The simple lower-case form.
[[nodiscard]] char32_t to_lower(char32_t c);

// Three properties as the libraries that trained tokenizers read them: from tables of Unicode 8
// (punctuation, with ASCII symbols; non-spacing marks) and 9 (all marks).
[[nodiscard]] bool is_punctuation(char32_t c);
[[nodiscard]] bool is_nonspacing_mark(char32_t c);
[[nodiscard]] bool is_mark(char32_t c);

// The code points that BERT's tokenizers set apart as Chinese characters.
[[nodiscard]] bool is_cjk_ideograph(char32_t c);

}  // namespace mistral::text::unicode
