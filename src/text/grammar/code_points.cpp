#include "text/grammar/code_points.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace mistral::grammar {
namespace {

constexpr std::uint32_t kFirstSurrogate = 0xD800;
constexpr std::uint32_t kLastSurrogate = 0xDFFF;

int utf8_length(std::uint32_t code_point) {
  if (code_point < 0x80) return 1;
  if (code_point < 0x800) return 2;
  return code_point < 0x10000 ? 3 : 4;
}

int encode(std::uint32_t code_point, std::array<std::uint8_t, 4>& bytes) {
  const int length = utf8_length(code_point);
  constexpr std::array<std::uint8_t, 5> kLead = {0, 0, 0xC0, 0xE0, 0xF0};
  for (int i = length - 1; i > 0; --i) {
    bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(0x80U | (code_point & 0x3FU));
    code_point >>= 6U;
  }
  bytes[0] = static_cast<std::uint8_t>(kLead[static_cast<std::size_t>(length)] | code_point);
  return length;
}

}  // namespace

void CodePointSet::add(std::uint32_t low, std::uint32_t high) {
  if (low > high) return;
  if (!ranges_.empty() && low <= ranges_.back().high + 1) normal_ = false;
  ranges_.push_back({low, high});
}

void CodePointSet::add(const CodePointSet& other) {
  const std::vector<CodePointRange> added = other.ranges();
  for (const CodePointRange& range : added) add(range.low, range.high);
}

void CodePointSet::normalise() const {
  if (normal_) return;
  std::sort(ranges_.begin(), ranges_.end(),
            [](const CodePointRange& a, const CodePointRange& b) { return a.low < b.low; });
  std::size_t kept = 0;
  for (std::size_t i = 1; i < ranges_.size(); ++i) {
    if (ranges_[i].low <= ranges_[kept].high + 1) {
      ranges_[kept].high = std::max(ranges_[kept].high, ranges_[i].high);
    } else {
      ranges_[++kept] = ranges_[i];
    }
  }
  if (!ranges_.empty()) ranges_.resize(kept + 1);
  normal_ = true;
}

CodePointSet CodePointSet::complement(std::uint32_t highest) const {
  CodePointSet out;
  std::uint32_t next = 0;
  for (const CodePointRange& range : ranges()) {
    if (range.low > highest) break;
    if (range.low > next) out.add(next, range.low - 1);
    next = range.high + 1;
  }
  if (next <= highest) out.add(next, highest);
  return out;
}

CodePointSet CodePointSet::intersection(const CodePointSet& other) const {
  CodePointSet out;
  auto a = ranges().begin();
  auto b = other.ranges().begin();
  while (a != ranges_.end() && b != other.ranges_.end()) {
    out.add(std::max(a->low, b->low), std::min(a->high, b->high));
    a->high < b->high ? ++a : ++b;
  }
  return out;
}

bool CodePointSet::contains(std::uint32_t code_point) const {
  const auto& all = ranges();
  const auto after = std::upper_bound(
      all.begin(), all.end(), code_point,
      [](std::uint32_t value, const CodePointRange& range) { return value < range.low; });
  return after != all.begin() && std::prev(after)->high >= code_point;
}

void append_utf8_sequences(std::uint32_t low, std::uint32_t high, std::vector<ByteSequence>& out) {
  if (low > high) return;
  if (low <= kLastSurrogate && high >= kFirstSurrogate) {
    if (low < kFirstSurrogate) append_utf8_sequences(low, kFirstSurrogate - 1, out);
    if (high > kLastSurrogate) append_utf8_sequences(kLastSurrogate + 1, high, out);
    return;
  }
  // Split where the length changes, then where the continuation bytes do not run over their whole
  // range.
  constexpr std::array<std::uint32_t, 3> kLastOfLength = {0x7F, 0x7FF, 0xFFFF};
  for (const std::uint32_t last : kLastOfLength) {
    if (low <= last && high > last) {
      append_utf8_sequences(low, last, out);
      append_utf8_sequences(last + 1, high, out);
      return;
    }
  }
  const int length = utf8_length(low);
  for (int i = 1; i < length; ++i) {
    const std::uint32_t mask = (1U << static_cast<unsigned>(6 * i)) - 1;
    if ((low & ~mask) == (high & ~mask)) continue;
    if ((low & mask) != 0) {
      append_utf8_sequences(low, low | mask, out);
      append_utf8_sequences((low | mask) + 1, high, out);
      return;
    }
    if ((high & mask) != mask) {
      append_utf8_sequences(low, (high & ~mask) - 1, out);
      append_utf8_sequences(high & ~mask, high, out);
      return;
    }
  }
  std::array<std::uint8_t, 4> first{};
  std::array<std::uint8_t, 4> last{};
  encode(low, first);
  encode(high, last);
  ByteSequence sequence;
  for (std::size_t i = 0; i < static_cast<std::size_t>(length); ++i) {
    sequence.push_back({first[i], last[i]});
  }
  out.push_back(std::move(sequence));
}

void append_utf8(std::uint32_t code_point, std::string& out) {
  std::array<std::uint8_t, 4> bytes{};
  const int length = encode(code_point, bytes);
  for (int i = 0; i < length; ++i) out += static_cast<char>(bytes[static_cast<std::size_t>(i)]);
}

bool read_utf8(std::string_view text, std::size_t& at, std::uint32_t& code_point) {
  if (at >= text.size()) return false;
  const auto lead = static_cast<std::uint8_t>(text[at]);
  std::size_t length = 1;
  if (lead >= 0x80) length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
  if (length == 0 || at + length > text.size()) return false;
  constexpr std::array<std::uint8_t, 5> kBits = {0, 0x7F, 0x1F, 0x0F, 0x07};
  std::uint32_t value = lead & kBits[length];
  for (std::size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<std::uint8_t>(text[at + i]);
    if ((byte & 0xC0U) != 0x80) return false;
    value = value << 6U | (byte & 0x3FU);
  }
  if (value > kMaxCodePoint || (value >= kFirstSurrogate && value <= kLastSurrogate) ||
      static_cast<std::size_t>(utf8_length(value)) != length) {
    return false;
  }
  code_point = value;
  at += length;
  return true;
}

}  // namespace mistral::grammar
