#include "text/tokenizer/sentencepiece_merger.h"

#include <algorithm>
#include <queue>

#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

constexpr std::uint32_t kNone = ~0U;

struct Symbol {
  std::size_t begin;
  std::uint32_t length;  // 0: merged away
  std::uint32_t previous;
  std::uint32_t next;
};

struct Candidate {
  float score;
  std::uint32_t left;
  std::uint32_t right;
  std::uint32_t length;  // of the union when it was found; another length means it is stale
  bool operator<(const Candidate& other) const {
    return score != other.score ? score < other.score : left > other.left;
  }
};

}  // namespace

std::vector<SentencePieceMerger::Part> SentencePieceMerger::merge(std::string_view text) const {
  std::vector<Symbol> symbols;
  symbols.reserve(text.size());
  for (std::size_t begin = 0; begin < text.size();) {
    const std::uint32_t length = utf8::length_of(text[begin]);
    const auto index = static_cast<std::uint32_t>(symbols.size());
    symbols.push_back({begin, length, index > 0 ? index - 1 : kNone, index + 1});
    begin += length;
  }
  if (symbols.empty()) return {};
  symbols.back().next = kNone;

  std::priority_queue<Candidate> queue;
  const auto consider = [&](std::uint32_t left, std::uint32_t right) {
    if (left == kNone || right == kNone) return;
    const std::uint32_t length = symbols[left].length + symbols[right].length;
    if (length > vocabulary_.longest()) return;
    const TokenId id = vocabulary_.find_id(text.substr(symbols[left].begin, length));
    if (id >= 0) queue.push({scores_[static_cast<std::size_t>(id)], left, right, length});
  };
  for (std::uint32_t i = 1; i < symbols.size(); ++i) consider(i - 1, i);
  while (!queue.empty()) {
    const Candidate candidate = queue.top();
    queue.pop();
    Symbol& left = symbols[candidate.left];
    Symbol& right = symbols[candidate.right];
    if (left.length == 0 || right.length == 0 || left.length + right.length != candidate.length) {
      continue;
    }
    left.length = candidate.length;
    right.length = 0;
    left.next = right.next;
    if (left.next != kNone) symbols[left.next].previous = candidate.left;
    consider(left.previous, candidate.left);
    consider(candidate.left, left.next);
  }
  std::vector<Part> parts;
  for (const Symbol& symbol : symbols) {
    if (symbol.length > 0) parts.push_back({symbol.begin, symbol.length});
  }
  return parts;
}

}  // namespace mistral::text
