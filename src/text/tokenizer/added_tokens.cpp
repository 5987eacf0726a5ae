#include "text/tokenizer/added_tokens.h"

#include <algorithm>

#include "text/tokenizer/unicode.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

std::size_t blanks_at_end(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0) {
    const utf8::Character c = utf8::decode_last(text.substr(0, end));
    if (!unicode::is_space(c.code_point)) break;
    end -= c.length;
  }
  return end;
}

std::size_t blanks_at_begin(std::string_view text) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    const utf8::Character c = utf8::decode(text.substr(begin));
    if (!unicode::is_space(c.code_point)) break;
    begin += c.length;
  }
  return begin;
}

bool is_inside_word(std::string_view text, std::size_t begin, std::size_t end) {
  return (begin > 0 && unicode::is_word(utf8::decode_last(text.substr(0, begin)).code_point)) ||
         (end < text.size() && unicode::is_word(utf8::decode(text.substr(end)).code_point));
}

// Puts the empty pattern at each character where no other match begins, except right behind one.
std::vector<PatternMatcher::Match> with_empty_matches(
    std::string_view text, const std::vector<PatternMatcher::Match>& matches, std::size_t pattern) {
  std::vector<PatternMatcher::Match> all;
  const auto behind_character = [&](std::size_t at) {
    return at < text.size() ? at + utf8::decode(text.substr(at)).length : at + 1;
  };
  std::size_t at = 0;
  const auto fill = [&](std::size_t end) {
    for (; at < end; at = behind_character(at)) all.push_back({at, at, pattern});
  };
  for (const PatternMatcher::Match& match : matches) {
    fill(match.begin);
    all.push_back(match);
    at = behind_character(match.end);
  }
  fill(text.size() + 1);
  return all;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const Normalizer* normalizer)
    : tokens_(std::move(tokens)) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    by_id_[token.id] = i;
    by_content_[token.content] = i;
    if (token.special) special_.insert(token.content);
    order.push_back(i);
  }
  // Two tokens may become one text by normalisation. Then special tokens come first.
  std::stable_partition(order.begin(), order.end(),
                        [&](std::size_t i) { return tokens_[i].special; });
  std::vector<std::string> normalized_texts;
  for (const std::size_t i : order) {
    const AddedToken& token = tokens_[i];
    if (!token.normalized) {
      raw_.tokens.push_back(i);
      continue;
    }
    AlignedText text(token.content, 0, AlignedText::Tracking::kOff);
    if (normalizer != nullptr) normalizer->normalize(text);
    if (text.text().empty() && !normalized_.empty) normalized_.empty = normalized_.tokens.size();
    normalized_.tokens.push_back(i);
    normalized_texts.push_back(text.text());
  }
  std::vector<std::string_view> patterns;
  for (const std::size_t i : raw_.tokens) patterns.emplace_back(tokens_[i].content);
  raw_.matcher = PatternMatcher(patterns);
  normalized_.matcher = PatternMatcher({normalized_texts.begin(), normalized_texts.end()});
}

std::vector<Pieces::Piece> AddedTokens::cut(std::string_view text, const Group& group,
                                            bool match_special) const {
  std::vector<Pieces::Piece> pieces;
  std::vector<PatternMatcher::Match> matches = group.matcher.leftmost_longest(text);
  if (group.empty) matches = with_empty_matches(text, matches, *group.empty);
  std::size_t done = 0;
  ByteRange blanks{0, 0};  // known to be blanks, so that long stretches are looked at once
  for (const PatternMatcher::Match& match : matches) {
    const AddedToken& token = tokens_[group.tokens[match.pattern]];
    if (!match_special && is_special(token.content)) continue;
    if (token.single_word && is_inside_word(text, match.begin, match.end)) continue;
    std::size_t begin = match.begin;
    std::size_t end = match.end;
    if (token.lstrip) {
      begin = begin > done ? done + blanks_at_end(text.substr(done, begin - done)) : done;
    }
    if (token.rstrip) {
      if (end < blanks.begin || end > blanks.end) {
        blanks = {end, end + blanks_at_begin(text.substr(end))};
      }
      end = blanks.end;
    }
    // Nothing is left among the blanks that the token before swallowed. A token that does not look
    // to its left does not notice: it counts again, as in the format's own library.
    if (begin > end) continue;
    if (begin > done) pieces.push_back({done, begin, Pieces::kText});
    // An empty token only cuts the text.
    if (begin < end) pieces.push_back({begin, end, token.id});
    done = end;
  }
  if (done < text.size()) pieces.push_back({done, text.size(), Pieces::kText});
  return pieces;
}

Pieces AddedTokens::extract(std::string_view text, const Normalizer* normalizer,
                            AlignedText::Tracking tracking, bool match_special) const {
  AlignedText original(std::string(text), 0, tracking);
  std::vector<Pieces::Piece> raw = cut(text, raw_, match_special);
  if (normalizer == nullptr && normalized_.matcher.empty()) {
    return {std::move(original), std::move(raw)};
  }
  Pieces pieces(tracking);
  Pieces::Sharing sharing;
  for (const Pieces::Piece& piece : raw) {
    if (piece.token != Pieces::kText && sharing.covers(piece)) {
      pieces.append(sharing.moved(piece));
      continue;
    }
    AlignedText part(tracking);
    part.append(original, piece.begin, piece.end);
    if (piece.token != Pieces::kText) {
      sharing = {piece, pieces.all().text().size()};
      pieces.append(part, {{0, part.text().size(), piece.token}});
      continue;
    }
    if (normalizer != nullptr) normalizer->normalize(part);
    pieces.append(part, cut(part.text(), normalized_, match_special));
  }
  return pieces;
}

const AddedToken* AddedTokens::find(TokenId id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : &tokens_[it->second];
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto it = by_content_.find(std::string(content));
  return it == by_content_.end() ? nullptr : &tokens_[it->second];
}

}  // namespace mistral::text
