#include "text/tokenizer/digit_groups.h"

#include "text/tokenizer/unicode.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

bool is_digit(char32_t c) {
  if (c < 0x80) return c - '0' < 10;
  return (unicode::category_mask(c) & U_GC_ND_MASK) != 0;
}

// As \w of Oniguruma, which counts the numbers of Latin-1 and no joiners.
bool is_word(char32_t c) {
  if (c == 0x200C || c == 0x200D) return false;
  return unicode::is_word(c) || (c < 0x100 && unicode::is_number(c));
}

}  // namespace

std::optional<DigitGroups> DigitGroups::for_expression(std::string_view expression) {
  if (expression == split_expression::kGroupsOfWords) return DigitGroups(Kind::kWords);
  if (expression == split_expression::kGroupsOfNumbers) return DigitGroups(Kind::kNumbers);
  if (expression == split_expression::kPlacesOfGroups) return DigitGroups(Kind::kPlaces);
  return std::nullopt;
}

std::vector<ByteRange> DigitGroups::find_all(std::string_view text) const {
  const auto belongs = [&](char32_t c) {
    return kind_ == Kind::kNumbers ? unicode::is_number(c) : is_digit(c);
  };
  std::vector<ByteRange> matches;
  std::vector<std::size_t> digits;  // where each of a number begins
  for (std::size_t at = 0; at < text.size();) {
    utf8::Character c = utf8::decode(text.substr(at));
    if (!belongs(c.code_point)) {
      at += c.length;
      continue;
    }
    digits.clear();
    bool word_goes_on = false;
    while (at < text.size()) {
      c = utf8::decode(text.substr(at));
      if (!belongs(c.code_point)) {
        word_goes_on = is_word(c.code_point);
        break;
      }
      digits.push_back(at);
      at += c.length;
    }
    if (kind_ == Kind::kWords && word_goes_on) continue;
    const std::size_t odd = digits.size() % 3;
    if (kind_ == Kind::kPlaces) {
      for (std::size_t i = odd; i < digits.size(); i += 3) {
        matches.push_back({digits[i], digits[i]});
      }
      continue;
    }
    for (std::size_t i = 0, next = odd == 0 ? 3 : odd; i < digits.size(); i = next, next += 3) {
      matches.push_back({digits[i], next < digits.size() ? digits[next] : at});
    }
  }
  return matches;
}

}  // namespace mistral::text
