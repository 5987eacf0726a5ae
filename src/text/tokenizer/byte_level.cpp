#include "text/tokenizer/byte_level.h"

#include <array>

#include "text/tokenizer/utf8.h"

namespace mistral::text::byte_level {
namespace {

constexpr char32_t kFirstShifted = 0x100;
constexpr std::size_t kShiftedCount = 68;

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
}

struct Tables {
  std::array<char32_t, 256> character{};
  std::array<std::uint8_t, kShiftedCount> shifted{};
  std::array<std::array<char, 2>, 256> spelling{};
};

constexpr Tables make_tables() {
  Tables tables;
  std::size_t shifted = 0;
  for (unsigned byte = 0; byte < 256; ++byte) {
    char32_t c = byte;
    if (!stands_for_itself(byte)) {
      c = kFirstShifted + static_cast<char32_t>(shifted);
      tables.shifted[shifted++] = static_cast<std::uint8_t>(byte);
    }
    tables.character[byte] = c;
    if (c < 0x80) {
      tables.spelling[byte] = {static_cast<char>(c), 0};
    } else {
      tables.spelling[byte] = {static_cast<char>(0xC0U | (c >> 6U)),
                               static_cast<char>(0x80U | (c & 0x3FU))};
    }
  }
  return tables;
}

constexpr Tables kTables = make_tables();

}  // namespace

char32_t to_character(std::uint8_t byte) {
  return kTables.character[byte];
}

std::optional<std::uint8_t> to_byte(char32_t character) {
  if (character >= kFirstShifted) {
    if (character >= kFirstShifted + kShiftedCount) return std::nullopt;
    return kTables.shifted[character - kFirstShifted];
  }
  if (!stands_for_itself(character)) return std::nullopt;
  return static_cast<std::uint8_t>(character);
}

std::string_view spelling(std::uint8_t byte) {
  return {kTables.spelling[byte].data(), kTables.character[byte] < 0x80 ? 1U : 2U};
}

void append_encoded(std::string_view bytes, std::string& out) {
  for (const char byte : bytes) out += spelling(static_cast<std::uint8_t>(byte));
}

bool append_decoded(std::string_view text, std::string& out) {
  const std::size_t size = out.size();
  while (!text.empty()) {
    const utf8::Character c = utf8::decode(text);
    const auto byte = to_byte(c.code_point);
    if (!byte) {
      out.resize(size);
      return false;
    }
    out.push_back(static_cast<char>(*byte));
    text.remove_prefix(c.length);
  }
  return true;
}

}  // namespace mistral::text::byte_level
