// GPT-2's way to write any byte as a visible character: printable Latin-1 stands for itself, the
// other 68 bytes are U+0100 onwards (a space is U+0120 "Ġ", a newline U+010A "Ċ").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mistral::text::byte_level {

[[nodiscard]] char32_t to_character(std::uint8_t byte);
[[nodiscard]] std::optional<std::uint8_t> to_byte(char32_t character);

// The alphabet's spelling of `byte` as UTF-8, one or two bytes.
[[nodiscard]] std::string_view spelling(std::uint8_t byte);
void append_encoded(std::string_view bytes, std::string& out);
// False, and nothing appended, when a character is not in the alphabet. `text` is valid UTF-8.
bool append_decoded(std::string_view text, std::string& out);

}  // namespace mistral::text::byte_level
