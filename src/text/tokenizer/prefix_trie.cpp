#include "text/tokenizer/prefix_trie.h"

#include <algorithm>

namespace mistral::text {

PrefixTrie::PrefixTrie(std::vector<Key> keys) {
  if (keys.empty()) return;
  std::stable_sort(keys.begin(), keys.end(),
                   [](const Key& a, const Key& b) { return a.text < b.text; });
  struct Range {
    std::size_t begin;
    std::size_t end;
    std::size_t depth;
  };
  // Breadth first: the children of a node get consecutive numbers.
  std::vector<Range> ranges{{0, keys.size(), 0}};
  nodes_.emplace_back();
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    Range range = ranges[node];
    for (; range.begin < range.end && keys[range.begin].text.size() == range.depth; ++range.begin) {
      if (range.depth > 0) nodes_[node].value = keys[range.begin].value;
    }
    nodes_[node].first_edge = static_cast<std::uint32_t>(labels_.size());
    while (range.begin < range.end) {
      const char label = keys[range.begin].text[range.depth];
      std::size_t end = range.begin;
      while (end < range.end && keys[end].text[range.depth] == label) ++end;
      labels_.push_back(static_cast<std::uint8_t>(label));
      nodes_.emplace_back();
      ranges.push_back({range.begin, end, range.depth + 1});
      range.begin = end;
    }
    nodes_[node].edge_count = static_cast<std::uint32_t>(labels_.size()) - nodes_[node].first_edge;
  }
}

std::uint32_t PrefixTrie::child(std::uint32_t node, std::uint8_t byte) const {
  // Sorted as char was compared by string_view: as unsigned bytes.
  const auto* begin = labels_.data() + nodes_[node].first_edge;
  const auto* end = begin + nodes_[node].edge_count;
  const auto* label = std::lower_bound(begin, end, byte);
  if (label == end || *label != byte) return 0;
  return static_cast<std::uint32_t>(label - labels_.data()) + 1;
}

std::size_t PrefixTrie::common_length(std::string_view text) const {
  std::uint32_t node = 0;
  std::size_t length = 0;
  while (length < text.size() && !nodes_.empty()) {
    node = child(node, static_cast<std::uint8_t>(text[length]));
    if (node == 0) break;
    ++length;
  }
  return length;
}

}  // namespace mistral::text
