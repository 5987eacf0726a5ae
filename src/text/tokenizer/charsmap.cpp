#include "text/tokenizer/charsmap.h"

#include "core/error.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

// A unit: bits 0-7 label, 8 has a leaf, 9 the offset is in units of 256, 10-30 offset; a leaf's
// unit has bit 31 and a 31-bit value.
std::uint32_t offset_of(std::uint32_t unit) {
  return (unit >> 10U) << ((unit & 0x200U) >> 6U);
}
std::uint32_t label_of(std::uint32_t unit) {
  return unit & 0x800000FFU;
}
bool has_leaf(std::uint32_t unit) {
  return (unit & 0x100U) != 0;
}
std::uint32_t value_of(std::uint32_t unit) {
  return unit & 0x7FFFFFFFU;
}

}  // namespace

Charsmap::Charsmap(std::string_view blob) {
  const auto word = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 4; i-- > 0;) {
      value = value << 8U | static_cast<unsigned char>(blob[at + i]);
    }
    return value;
  };
  if (blob.size() < 4) {
    throw make_error(ErrorKind::kInvalidFile, "character map: {} bytes are too few", blob.size());
  }
  const std::size_t size = word(0);
  if (size % 4 != 0 || size == 0 || size > blob.size() - 4) {
    throw make_error(ErrorKind::kInvalidFile,
                     "character map: an array of {} bytes does not fit in {} bytes", size,
                     blob.size());
  }
  units_.reserve(size / 4);
  for (std::size_t at = 4; at < 4 + size; at += 4) units_.push_back(word(at));
  replacements_ = blob.substr(4 + size);
  // Replacements must be text: cut what is not.
  replacements_.push_back('\0');
}

template <typename Visit>
void Charsmap::walk(std::string_view text, Visit&& visit) const {
  if (units_.empty()) return;
  std::uint32_t node = offset_of(units_[0]);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == 0) return;
    node ^= byte;
    if (node >= units_.size() || label_of(units_[node]) != byte) return;
    const std::uint32_t unit = units_[node];
    node ^= offset_of(unit);
    if (node >= units_.size()) return;
    if (has_leaf(unit) && !visit(i + 1, value_of(units_[node]))) return;
  }
}

std::string_view Charsmap::replacement(std::uint32_t offset) const {
  if (offset >= replacements_.size()) return {};
  return std::string_view(replacements_).substr(offset, replacements_.find('\0', offset) - offset);
}

std::optional<Charsmap::Match> Charsmap::shortest(std::string_view text) const {
  std::optional<Match> match;
  walk(text, [&](std::size_t length, std::uint32_t offset) {
    match = Match{length, replacement(offset)};
    return false;
  });
  return match;
}

std::optional<Charsmap::Match> Charsmap::longest(std::string_view text) const {
  std::optional<Match> match;
  walk(text, [&](std::size_t length, std::uint32_t offset) {
    match = Match{length, replacement(offset)};
    return true;
  });
  return match;
}

}  // namespace mistral::text
