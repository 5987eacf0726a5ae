// Where in a text something stands, for messages.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace mistral::grammar {

// "line 2, column 5"; columns count characters.
[[nodiscard]] inline std::string place_in(std::string_view text, std::size_t at) {
  std::size_t line = 1;
  std::size_t column = 1;
  for (std::size_t i = 0; i < at && i < text.size(); ++i) {
    if (text[i] == '\n') {
      ++line;
      column = 1;
    } else if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U) {
      ++column;
    }
  }
  return fmt::format("line {}, column {}", line, column);
}

}  // namespace mistral::grammar
