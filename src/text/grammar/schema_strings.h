// Strings of JSON: languages of their characters, and how these are written between quotes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "text/grammar/automaton.h"

namespace mistral::grammar {

[[nodiscard]] Dfa any_string(Budget& budget);
// Strings of `least` to `most` characters.
[[nodiscard]] Dfa strings_of_length(std::uint64_t least, std::optional<std::uint64_t> most,
                                    Budget& budget);
// Strings in which the expression is found somewhere.
[[nodiscard]] Dfa strings_with_pattern(std::string_view pattern, Budget& budget);

enum class FormatSupport { kEnforced, kIgnored, kRefused };
// Unknown formats are notes to the reader; some known ones cannot be told by an automaton.
[[nodiscard]] FormatSupport format_support(std::string_view format);
[[nodiscard]] Dfa strings_of_format(std::string_view format, Budget& budget);

// The language in quotes: characters as they are, or as escapes where JSON wants them. Where any
// character may stand, any escape may, too.
[[nodiscard]] Dfa quoted(const Dfa& strings, Budget& budget);

}  // namespace mistral::grammar
