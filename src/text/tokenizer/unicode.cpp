#include "text/tokenizer/unicode.h"

#include <algorithm>
#include <array>

namespace mistral::text::unicode {

bool is_cjk_ideograph(char32_t c) {
  struct Range {
    char32_t first;
    char32_t last;
  };
  static constexpr std::array<Range, 8> kRanges{{{0x3400, 0x4DBF},
                                                 {0x4E00, 0x9FFF},
                                                 {0xF900, 0xFAFF},
                                                 {0x20000, 0x2A6DF},
                                                 {0x2A700, 0x2B73F},
                                                 {0x2B740, 0x2B81F},
                                                 {0x2B920, 0x2CEAF},
                                                 {0x2F800, 0x2FA1F}}};
  return std::any_of(kRanges.begin(), kRanges.end(),
                     [&](const Range& range) { return c >= range.first && c <= range.last; });
}

}  // namespace mistral::text::unicode
