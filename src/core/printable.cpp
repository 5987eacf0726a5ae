#include "core/printable.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include <fmt/format.h>

namespace mistral {
namespace {

constexpr std::size_t kMaxBytes = 96;

// Length of the well-formed UTF-8 sequence at the front of `text`; 0 when there is none.
std::size_t sequence_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  std::size_t length = 0;
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) length = 2;
  if (lead >= 0xE0 && lead <= 0xEF) length = 3;
  if (lead >= 0xF0 && lead <= 0xF4) length = 4;
  if (length == 0 || text.size() < length) return 0;
  const bool continued = std::all_of(text.begin() + 1, text.begin() + length, [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
  });
  return continued ? length : 0;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out = "'";
  std::string_view rest = text;
  while (!rest.empty() && text.size() - rest.size() < kMaxBytes) {
    const std::size_t length = sequence_length(rest);
    const auto byte = static_cast<unsigned char>(rest[0]);
    if (length == 0 || byte < 0x20 || byte == 0x7F) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
      rest.remove_prefix(1);
    } else {
      out.append(rest.substr(0, length));
      rest.remove_prefix(length);
    }
  }
  out += '\'';
  if (!rest.empty()) fmt::format_to(std::back_inserter(out), "... ({} bytes)", text.size());
  return out;
}

}  // namespace mistral
