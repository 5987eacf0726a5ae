// Finds many fixed strings (special tokens) in a text at once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mistral::text {

// An Aho-Corasick automaton of the reversed patterns, run from the end of the text: its state at
// a position tells all patterns that begin there. Time is linear in the text for any patterns.
class PatternMatcher {
 public:
  struct Match {
    std::size_t begin;
    std::size_t end;
    std::size_t pattern;  // index into the constructor's list
  };
  // A match that also swallows blanks (ASCII) beside it, as far as no other match has them.
  struct Strip {
    bool left = false;
    bool right = false;
  };

  PatternMatcher() = default;
  // Of equal patterns the first wins; empty patterns never match.
  explicit PatternMatcher(const std::vector<std::string_view>& patterns);

  [[nodiscard]] bool empty() const { return nodes_.size() <= 1; }

  // From left to right, at each place the longest pattern; matches do not overlap.
  [[nodiscard]] std::vector<Match> leftmost_longest(std::string_view text) const;

  // The longest patterns first, anywhere in the text, then shorter ones in what is left (the rule
  // of llama.cpp). Sorted by position. `strips` is empty or has an entry for each pattern.
  [[nodiscard]] std::vector<Match> longest_first(std::string_view text,
                                                 const std::vector<Strip>& strips) const;

 private:
  struct Node {
    std::uint32_t first_edge = 0;
    std::uint32_t edge_count = 0;
    std::uint32_t fail = 0;
    std::uint32_t output = 0;   // this node or the nearest one on its fail path that ends a pattern
    std::uint32_t shorter = 0;  // the next such node after `output`
    std::uint32_t depth = 0;
    std::int32_t pattern = -1;
  };
  struct Edge {
    std::uint8_t byte;
    std::uint32_t target;
  };

  [[nodiscard]] std::uint32_t child(std::uint32_t node, std::uint8_t byte) const;
  [[nodiscard]] std::uint32_t step(std::uint32_t node, std::uint8_t byte) const;
  // For each position the longest pattern's node that begins there, 0 when none.
  [[nodiscard]] std::vector<std::uint32_t> outputs(std::string_view text) const;

  std::vector<Node> nodes_;
  std::vector<Edge> edges_;
  std::array<std::uint32_t, 256> root_{};
};

}  // namespace mistral::text
