// Expressions that cut numbers into groups of three from the right. Regular expression engines look
// ahead to the end of the number at each digit; this looks once.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "text/tokenizer/regex.h"

namespace mistral::text {

class DigitGroups {
 public:
  // Empty when the expression is not one of the known ones.
  [[nodiscard]] static std::optional<DigitGroups> for_expression(std::string_view expression);

  // The matches of the expression in valid UTF-8.
  [[nodiscard]] std::vector<ByteRange> find_all(std::string_view text) const;

  enum class Kind {
    kWords,    // \d{1,3}(?=(?:\d{3})*\b): groups, of numbers that end a word
    kNumbers,  // \p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N})): groups, of all numbers
    kPlaces,   // (?=(\d{3})+(?!\d)): the empty places where a group begins
  };

 private:
  explicit DigitGroups(Kind kind) : kind_(kind) {}
  Kind kind_;
};

namespace split_expression {
inline constexpr std::string_view kGroupsOfWords = R"(\d{1,3}(?=(?:\d{3})*\b))";
inline constexpr std::string_view kGroupsOfNumbers = R"(\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N})))";
inline constexpr std::string_view kPlacesOfGroups = R"((?=(\d{3})+(?!\d)))";
}  // namespace split_expression

}  // namespace mistral::text
