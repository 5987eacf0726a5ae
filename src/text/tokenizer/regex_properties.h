// The Unicode version of regular expressions. The library that trained tokenizers brings an
// Oniguruma of its own (6.9.10, Unicode 16); the one of a distribution may be older, so that new
// emoji would be no symbols and [:punct:] would lack symbols like "<" and "+".
#pragma once

#include <string>
#include <string_view>

namespace mistral::text {

// `pattern`, with each \p{…} of a general category, \w, \d, \b and their opposites, and [:punct:],
// [:word:], [:digit:] and [:upper:] widened by what Unicode 15 and 16 added.
[[nodiscard]] std::string with_newer_characters(std::string_view pattern);

}  // namespace mistral::text
