// Sets of Unicode scalar values, and how they are written as UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace mistral::grammar {

constexpr std::uint32_t kMaxCodePoint = 0x10FFFF;

// Both ends belong to it.
struct CodePointRange {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  friend bool operator==(const CodePointRange&, const CodePointRange&) = default;
};

// Ranges in rising order that neither touch nor overlap.
class CodePointSet {
 public:
  CodePointSet() = default;
  CodePointSet(std::initializer_list<CodePointRange> ranges) {
    for (const CodePointRange& range : ranges) add(range.low, range.high);
  }
  [[nodiscard]] static CodePointSet all() { return {{0, kMaxCodePoint}}; }

  void add(std::uint32_t low, std::uint32_t high);
  void add(std::uint32_t code_point) { add(code_point, code_point); }
  void add(const CodePointSet& other);

  // Within 0 to `highest`.
  [[nodiscard]] CodePointSet complement(std::uint32_t highest = kMaxCodePoint) const;
  [[nodiscard]] CodePointSet intersection(const CodePointSet& other) const;
  [[nodiscard]] bool contains(std::uint32_t code_point) const;
  [[nodiscard]] bool empty() const { return ranges().empty(); }
  [[nodiscard]] const std::vector<CodePointRange>& ranges() const {
    normalise();
    return ranges_;
  }
  friend bool operator==(const CodePointSet& a, const CodePointSet& b) {
    return a.ranges() == b.ranges();
  }

 private:
  void normalise() const;

  // Sorted and merged when somebody asks: sets are built range by range.
  mutable std::vector<CodePointRange> ranges_;
  mutable bool normal_ = true;
};

struct ByteRange {
  std::uint8_t low = 0;
  std::uint8_t high = 0;
};
using ByteSequence = std::vector<ByteRange>;  // a byte of each range in turn

// Appends sequences that together spell exactly the code points from low to high, without
// surrogates.
void append_utf8_sequences(std::uint32_t low, std::uint32_t high, std::vector<ByteSequence>& out);

void append_utf8(std::uint32_t code_point, std::string& out);

// Reads the character at `at` and moves past it; nothing for text that is not UTF-8.
[[nodiscard]] bool read_utf8(std::string_view text, std::size_t& at, std::uint32_t& code_point);

}  // namespace mistral::grammar
