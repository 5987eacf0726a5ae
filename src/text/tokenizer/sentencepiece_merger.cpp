#include "text/tokenizer/sentencepiece_merger.h"

#include <algorithm>
#include <array>
#include <limits>
#include <queue>
#include <unordered_map>

#include "text/tokenizer/escaped_space.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

constexpr std::uint32_t kNone = ~0U;

struct Symbol {
  std::size_t begin;
  std::uint32_t length;  // 0: merged away
  std::uint32_t previous;
  std::uint32_t next;
  bool whole;
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

using Part = SentencePieceMerger::Part;

// Longer words go through the queue.
constexpr std::size_t kFewBytes = 40;

// How unused tokens came about, to undo it: the length of the left part, the last time counts.
using Splits = std::unordered_map<std::string_view, std::size_t>;

// Undoes the merges that made the unused token at the end of `out`, and those in its parts.
void take_apart(std::string_view text, const Splits& splits, Part part, std::vector<Part>& out) {
  std::vector<Part> open{part};
  while (!open.empty()) {
    part = open.back();
    open.pop_back();
    const auto split = splits.find(text.substr(part.begin, part.length));
    if (split == splits.end()) {
      out.push_back(part);
      continue;
    }
    const std::size_t left = split->second;
    open.push_back({part.begin + left, part.length - left});
    open.push_back({part.begin, left});
  }
}

}  // namespace

SentencePieceMerger::SentencePieceMerger(const Vocabulary& vocabulary,
                                         std::span<const float> scores,
                                         std::span<const std::uint8_t> unused)
    : vocabulary_(vocabulary), scores_(scores), unused_(unused), words_(unused.empty()) {
  for (std::size_t i = 0; i < vocabulary.size() && words_; ++i) {
    words_ = is_escaped_word(vocabulary.text(static_cast<TokenId>(i)));
  }
}

std::vector<Part> SentencePieceMerger::characters(std::string_view text, std::size_t begin,
                                                  std::size_t end) const {
  std::vector<Part> parts;
  parts.reserve(end - begin);
  while (begin < end) {
    const std::uint32_t length = utf8::length_of(text[begin]);
    parts.push_back({begin, length});
    begin += length;
  }
  return parts;
}

std::vector<Part> SentencePieceMerger::merge(std::string_view text) const {
  if (!words_) return merge(text, characters(text, 0, text.size()));
  std::vector<Part> parts;
  parts.reserve(text.size() / 3 + 4);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = escaped_word_end(text, begin);
    if (end - begin <= kFewBytes) {
      merge_few(text, begin, end, parts);
    } else {
      const std::vector<Part> word = merge(text, characters(text, begin, end));
      parts.insert(parts.end(), word.begin(), word.end());
    }
    begin = end;
  }
  return parts;
}

void SentencePieceMerger::merge_few(std::string_view text, std::size_t begin, std::size_t end,
                                    std::vector<Part>& out) const {
  std::array<std::uint32_t, kFewBytes + 1> starts;  // of the symbols, within the word
  std::array<float, kFewBytes> scores;              // of symbol i joined with the next
  const std::string_view word = text.substr(begin, end - begin);
  std::size_t count = 0;
  for (std::uint32_t at = 0; at < word.size(); at += utf8::length_of(word[at])) {
    starts[count++] = at;
  }
  starts[count] = static_cast<std::uint32_t>(word.size());
  constexpr float kNoToken = -std::numeric_limits<float>::infinity();
  std::array<bool, kFewBytes> joins;
  const auto look_up = [&](std::size_t i) {
    const TokenId id = vocabulary_.find_id(word.substr(starts[i], starts[i + 2] - starts[i]));
    joins[i] = id >= 0;
    scores[i] = id < 0 ? kNoToken : scores_[static_cast<std::size_t>(id)];
  };
  for (std::size_t i = 0; i + 1 < count; ++i) look_up(i);
  while (true) {
    std::size_t best = count;
    for (std::size_t i = 0; i + 1 < count; ++i) {
      if (joins[i] && (best == count || scores[i] > scores[best])) best = i;
    }
    if (best == count) break;
    --count;
    for (std::size_t i = best + 1; i <= count; ++i) starts[i] = starts[i + 1];
    for (std::size_t i = best + 1; i + 1 < count; ++i) {
      scores[i] = scores[i + 1];
      joins[i] = joins[i + 1];
    }
    if (best + 1 < count) look_up(best);
    if (best > 0) look_up(best - 1);
  }
  for (std::size_t i = 0; i < count; ++i) {
    out.push_back({begin + starts[i], starts[i + 1] - starts[i]});
  }
}

std::vector<Part> SentencePieceMerger::merge(std::string_view text,
                                             std::span<const Part> initial) const {
  std::vector<Symbol> symbols;
  symbols.reserve(initial.size());
  for (const Part& part : initial) {
    const auto index = static_cast<std::uint32_t>(symbols.size());
    symbols.push_back({part.begin, static_cast<std::uint32_t>(part.length),
                       index > 0 ? index - 1 : kNone, index + 1, part.whole});
  }
  if (symbols.empty()) return {};
  symbols.back().next = kNone;

  Splits splits;
  std::priority_queue<Candidate> queue;
  const auto consider = [&](std::uint32_t left, std::uint32_t right) {
    if (left == kNone || right == kNone || symbols[left].whole || symbols[right].whole) return;
    const std::uint32_t length = symbols[left].length + symbols[right].length;
    if (length > vocabulary_.longest()) return;
    const std::string_view both = text.substr(symbols[left].begin, length);
    const TokenId id = vocabulary_.find_id(both);
    if (id < 0) return;
    const auto index = static_cast<std::size_t>(id);
    queue.push({scores_[index], left, right, length});
    if (!unused_.empty() && unused_[index] != 0) splits[both] = symbols[left].length;
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
    if (symbol.length == 0) continue;
    const Part part{symbol.begin, symbol.length};
    if (splits.empty() || symbol.whole) {
      parts.push_back(part);
    } else {
      take_apart(text, splits, part, parts);
    }
  }
  return parts;
}

}  // namespace mistral::text
