// A static trie over byte strings: which of them begin at a place of a text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace mistral::text {

class PrefixTrie {
 public:
  static constexpr std::int32_t kNoValue = -1;
  struct Key {
    std::string_view text;
    std::int32_t value;  // >= 0; of equal texts the last key wins
  };

  PrefixTrie() = default;
  explicit PrefixTrie(std::vector<Key> keys);

  // Calls `visit(length, value)` for each key that `text` begins with, the shortest first.
  template <typename Visit>
  void for_each_prefix(std::string_view text, Visit&& visit) const {
    std::uint32_t node = 0;
    for (std::size_t i = 0; i < text.size() && !nodes_.empty(); ++i) {
      node = child(node, static_cast<std::uint8_t>(text[i]));
      if (node == 0) return;
      if (nodes_[node].value != kNoValue) visit(i + 1, nodes_[node].value);
    }
  }

  // How far `text` goes along any key.
  [[nodiscard]] std::size_t common_length(std::string_view text) const;

 private:
  struct Node {
    std::uint32_t first_edge = 0;
    std::uint32_t edge_count = 0;
    std::int32_t value = kNoValue;
  };
  [[nodiscard]] std::uint32_t child(std::uint32_t node, std::uint8_t byte) const;

  std::vector<Node> nodes_;
  std::vector<std::uint8_t> labels_;  // of the edges; edge i leads to node i + 1
};

}  // namespace mistral::text
