#include "text/tokenizer/pattern_matcher.h"

#include <algorithm>
#include <numeric>

namespace mistral::text {
namespace {

bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

}  // namespace

PatternMatcher::PatternMatcher(const std::vector<std::string_view>& patterns) {
  // Sorted by reversed text, a node is a range of patterns that share their last `depth` bytes.
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < patterns.size(); ++i) {
    if (!patterns[i].empty()) order.push_back(i);
  }
  if (order.empty()) return;
  // As unsigned bytes, the order in which child() looks for an edge.
  const auto less = [](char a, char b) {
    return static_cast<std::uint8_t>(a) < static_cast<std::uint8_t>(b);
  };
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::lexicographical_compare(patterns[a].rbegin(), patterns[a].rend(),
                                        patterns[b].rbegin(), patterns[b].rend(), less);
  });
  struct Range {
    std::size_t begin;
    std::size_t end;
  };
  std::vector<Range> ranges{{0, order.size()}};
  nodes_.emplace_back();
  for (std::uint32_t node = 0; node < nodes_.size(); ++node) {
    Range range = ranges[node];
    const std::uint32_t depth = nodes_[node].depth;
    if (node != 0) {
      const auto ends_here = [&] { return patterns[order[range.begin]].size() == depth; };
      if (ends_here()) nodes_[node].pattern = static_cast<std::int32_t>(order[range.begin]);
      while (range.begin < range.end && ends_here()) ++range.begin;
    }
    nodes_[node].first_edge = static_cast<std::uint32_t>(edges_.size());
    while (range.begin < range.end) {
      const auto byte_of = [&](std::size_t i) {
        const std::string_view pattern = patterns[order[i]];
        return static_cast<std::uint8_t>(pattern[pattern.size() - 1 - depth]);
      };
      const std::uint8_t byte = byte_of(range.begin);
      std::size_t end = range.begin;
      while (end < range.end && byte_of(end) == byte) ++end;
      edges_.push_back({byte, static_cast<std::uint32_t>(nodes_.size())});
      Node next;
      next.depth = depth + 1;
      nodes_.push_back(next);
      ranges.push_back({range.begin, end});
      range.begin = end;
    }
    nodes_[node].edge_count = static_cast<std::uint32_t>(edges_.size()) - nodes_[node].first_edge;
  }
  for (std::uint32_t i = 0; i < nodes_[0].edge_count; ++i) {
    root_[edges_[i].byte] = edges_[i].target;
  }
  // Nodes are in breadth-first order: a fail target is shallower and therefore done before.
  for (std::uint32_t node = 0; node < nodes_.size(); ++node) {
    Node& current = nodes_[node];
    const Node& fail = nodes_[current.fail];
    if (current.pattern >= 0) {
      current.output = node;
      current.shorter = fail.output;
    } else {
      current.output = fail.output;
      current.shorter = fail.shorter;
    }
    for (std::uint32_t i = 0; i < current.edge_count; ++i) {
      const Edge& edge = edges_[current.first_edge + i];
      nodes_[edge.target].fail = node == 0 ? 0 : step(current.fail, edge.byte);
    }
  }
}

std::uint32_t PatternMatcher::child(std::uint32_t node, std::uint8_t byte) const {
  if (node == 0) return root_[byte];
  const auto* begin = edges_.data() + nodes_[node].first_edge;
  const auto* end = begin + nodes_[node].edge_count;
  const auto* edge = std::lower_bound(
      begin, end, byte, [](const Edge& e, std::uint8_t value) { return e.byte < value; });
  return edge != end && edge->byte == byte ? edge->target : 0;
}

std::uint32_t PatternMatcher::step(std::uint32_t node, std::uint8_t byte) const {
  while (true) {
    if (const std::uint32_t next = child(node, byte); next != 0) return next;
    if (node == 0) return 0;
    node = nodes_[node].fail;
  }
}

std::vector<std::uint32_t> PatternMatcher::outputs(std::string_view text) const {
  std::vector<std::uint32_t> found(text.size());
  std::uint32_t node = 0;
  for (std::size_t i = text.size(); i-- > 0;) {
    node = step(node, static_cast<std::uint8_t>(text[i]));
    found[i] = nodes_[node].output;
  }
  return found;
}

std::vector<PatternMatcher::Match> PatternMatcher::leftmost_longest(std::string_view text) const {
  std::vector<Match> matches;
  if (empty()) return matches;
  const std::vector<std::uint32_t> found = outputs(text);
  for (std::size_t i = 0; i < text.size();) {
    if (found[i] == 0) {
      ++i;
      continue;
    }
    const Node& node = nodes_[found[i]];
    matches.push_back({i, i + node.depth, static_cast<std::size_t>(node.pattern)});
    i += node.depth;
  }
  return matches;
}

std::vector<PatternMatcher::Match> PatternMatcher::longest_first(
    std::string_view text, const std::vector<Strip>& strips) const {
  std::vector<Match> matches;
  if (empty()) return matches;
  std::vector<std::uint32_t> found = outputs(text);

  // The lengths that occur, each node looked at once.
  std::vector<bool> seen(nodes_.size());
  std::vector<std::uint32_t> lengths;
  for (std::uint32_t node : found) {
    for (; node != 0 && !seen[node]; node = nodes_[node].shorter) {
      seen[node] = true;
      lengths.push_back(nodes_[node].depth);
    }
  }
  std::sort(lengths.begin(), lengths.end(), std::greater<>());
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());

  // A taken stretch is at least as long as what is still tried, so its ends tell enough.
  std::vector<bool> taken(text.size());
  for (const std::uint32_t length : lengths) {
    for (std::size_t i = 0; i + length <= text.size(); ++i) {
      while (found[i] != 0 && nodes_[found[i]].depth > length) {
        found[i] = nodes_[found[i]].shorter;
      }
      if (found[i] == 0 || nodes_[found[i]].depth != length) continue;
      if (taken[i] || taken[i + length - 1]) continue;
      Match match{i, i + length, static_cast<std::size_t>(nodes_[found[i]].pattern)};
      const Strip strip = strips.empty() ? Strip{} : strips[match.pattern];
      while (strip.left && match.begin > 0 && !taken[match.begin - 1] &&
             is_blank(text[match.begin - 1])) {
        --match.begin;
      }
      while (strip.right && match.end < text.size() && !taken[match.end] &&
             is_blank(text[match.end])) {
        ++match.end;
      }
      std::fill(taken.begin() + static_cast<std::ptrdiff_t>(match.begin),
                taken.begin() + static_cast<std::ptrdiff_t>(match.end), true);
      matches.push_back(match);
      i = match.end - 1;
    }
  }
  std::sort(matches.begin(), matches.end(),
            [](const Match& a, const Match& b) { return a.begin < b.begin; });
  return matches;
}

}  // namespace mistral::text
