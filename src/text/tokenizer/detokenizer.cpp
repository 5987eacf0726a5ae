#include <algorithm>

#include "text/tokenizer/tokenizer.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

// Decoders look at most at the token before; a window of tokens that print something is decoded
// again with each new one, and cut to its newer part when it is full.
constexpr std::size_t kWindow = 32;
constexpr std::size_t kKept = 16;
// So many tokens are not waited with for the end of a character, or when a decoder changed what
// was printed already: the rest goes on behind it.
constexpr std::size_t kLongestWindow = 64;

}  // namespace

std::string_view Detokenizer::push(TokenId id) {
  if (!tokenizer_.decodes_by_token()) return push_by_window(id);
  piece_.clear();
  const std::size_t size = pending_.size();
  const bool skip = skip_special_ && std::find(shown_.begin(), shown_.end(), id) == shown_.end();
  tokenizer_.append_bytes(id, first_, skip, pending_);
  const bool skipped = skip && tokenizer_.is_special(id);
  const bool counts =
      !skipped && !tokenizer_.token(id).empty() && !tokenizer_.drops_all_leading_spaces();
  if (pending_.size() > size || counts) first_ = false;

  std::string_view rest = pending_;
  while (!rest.empty()) {
    const utf8::Scan next = utf8::scan(rest);
    if (next.kind == utf8::Scan::Kind::kIncomplete) break;
    piece_ += next.kind == utf8::Scan::Kind::kValid ? rest.substr(0, next.length)
                                                    : utf8::kReplacementBytes;
    rest.remove_prefix(next.length);
  }
  pending_.erase(0, pending_.size() - rest.size());
  return piece_;
}

std::string_view Detokenizer::push_by_window(TokenId id) {
  piece_.clear();
  const std::string_view token = tokenizer_.token(id);
  const bool unknown = token.empty() && tokenizer_.find(token) != id;
  const bool shown = std::find(shown_.begin(), shown_.end(), id) != shown_.end();
  // What prints nothing would push out of the window what the next token's text depends on.
  if (unknown || (skip_special_ && !shown && tokenizer_.is_special(id))) return piece_;
  window_.push_back(id);
  const std::string text = tokenizer_.decode(window_, /*skip_special=*/false);
  const bool certain = !text.ends_with(utf8::kReplacementBytes) && text.starts_with(window_text_);
  if (!certain && window_.size() < kLongestWindow) return piece_;
  append_from_window(text);
  const bool full = window_.size() >= kWindow;
  if (full) window_.erase(window_.begin(), window_.end() - kKept);
  window_text_ = full ? tokenizer_.decode(window_, /*skip_special=*/false) : text;
  return piece_;
}

// What `text` has beyond the printed text, whole characters only.
void Detokenizer::append_from_window(std::string_view text) {
  std::size_t begin = std::min(text.size(), window_text_.size());
  while (begin < text.size() && !utf8::is_boundary(text[begin])) ++begin;
  piece_ = text.substr(begin);
}

std::string_view Detokenizer::finish() {
  piece_.clear();
  if (tokenizer_.decodes_by_token()) {
    utf8::append_repaired(pending_, piece_);
    pending_.clear();
  } else {
    append_from_window(tokenizer_.decode(window_, /*skip_special=*/false));
    window_.clear();
    window_text_.clear();
  }
  first_ = true;
  return piece_;
}

}  // namespace mistral::text
