// U+2581, which SentencePiece writes for a space.
#pragma once

#include <algorithm>
#include <string_view>

namespace mistral::text {

inline constexpr std::string_view kEscapedSpace = "\xE2\x96\x81";

// Where the word at `begin` ends: before the next U+2581 that stands behind another character.
[[nodiscard]] inline std::size_t escaped_word_end(std::string_view text, std::size_t begin) {
  while (text.substr(begin).starts_with(kEscapedSpace)) begin += kEscapedSpace.size();
  return std::min(text.find(kEscapedSpace, begin), text.size());
}

// Whether a token is one word: it has no U+2581 behind another character.
[[nodiscard]] inline bool is_escaped_word(std::string_view token) {
  return escaped_word_end(token, 0) == token.size();
}

}  // namespace mistral::text
