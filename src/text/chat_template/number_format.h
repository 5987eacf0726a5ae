// Numbers in the notations that Python's two formatting languages share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/chat_template/value.h"

namespace mistral::text::jinja {

// Width and precision beyond this are refused rather than filled.
inline constexpr std::int64_t kMaxFormatWidth = 1'000'000;

// The magnitude of a float for the conversion e, E, f, F, g or G. `alternate` keeps the decimal
// point (and the trailing zeros of g).
[[nodiscard]] std::string format_magnitude(double magnitude, char conversion,
                                           std::int64_t precision, bool alternate);

// int() as the filter and the conversions use it: parses an int literal with optional sign,
// surrounding space and underscores; base 0 reads a prefix. Nothing if it is not one.
[[nodiscard]] std::optional<BigInt> parse_int(std::string_view text, int base);
// float() of a string.
[[nodiscard]] std::optional<double> parse_float(std::string_view text);

// `text` filled to `width` code points; align is one of '<' '>' '^'.
[[nodiscard]] std::string pad(std::string_view text, std::int64_t width, char align,
                              std::string_view fill);

}  // namespace mistral::text::jinja
