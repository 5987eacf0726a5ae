// Numbers of JSON as languages of their texts. But for any_number(), numbers are decimals without
// an exponent, and a language that holds a number holds it in every spelling ("1", "1.0", "1.00"),
// so that it can be taken away from another one.
#pragma once

#include <string>
#include <string_view>

#include "text/grammar/automaton.h"

namespace mistral::grammar {

[[nodiscard]] Dfa any_number(Budget& budget);  // with exponents
[[nodiscard]] Dfa decimals(Budget& budget);
[[nodiscard]] Dfa integers(Budget& budget);
[[nodiscard]] Dfa plain_integers(Budget& budget);  // without a fraction

// A number as sign, digits before and after the point, without useless zeros.
struct Decimal {
  bool negative = false;
  std::string whole = "0";
  std::string fraction;

  [[nodiscard]] bool zero() const { return whole == "0" && fraction.empty(); }
  [[nodiscard]] std::string text() const {
    return (negative ? "-" : "") + whole + (fraction.empty() ? "" : "." + fraction);
  }
};
// Reads a number of JSON. False where it has more than a few hundred digits.
[[nodiscard]] bool read_decimal(std::string_view text, Decimal& out);

enum class Bound { kMinimum, kExclusiveMinimum, kMaximum, kExclusiveMaximum };
[[nodiscard]] Dfa bounded_numbers(Bound kind, const Decimal& bound, Budget& budget);
// All spellings of one number.
[[nodiscard]] Dfa spellings(const Decimal& value, Budget& budget);
// Throws Error (kInvalidArgument) when there would be too many states.
[[nodiscard]] Dfa multiples(const Decimal& of, Budget& budget);

}  // namespace mistral::grammar
