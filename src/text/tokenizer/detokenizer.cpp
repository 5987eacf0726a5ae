#include <algorithm>

#include "text/tokenizer/tokenizer.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

constexpr std::size_t kWindow = 16;  // tokens; decoders look at most at the token before

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
  window_.push_back(id);
  const std::string text = tokenizer_.decode(window_, skip_special_);
  if (!text.ends_with(utf8::kReplacementBytes) && text.starts_with(window_text_)) {
    piece_ = text.substr(window_text_.size());
    window_text_ = text;
    if (window_.size() >= kWindow) {
      window_.erase(window_.begin(), window_.end() - 2);
      window_text_ = tokenizer_.decode(window_, skip_special_);
    }
  }
  return piece_;
}

std::string_view Detokenizer::finish() {
  piece_.clear();
  if (tokenizer_.decodes_by_token()) {
    utf8::append_repaired(pending_, piece_);
    pending_.clear();
  } else {
    const std::string text = tokenizer_.decode(window_, skip_special_);
    piece_ = text.substr(std::min(text.size(), window_text_.size()));
    window_.clear();
    window_text_.clear();
  }
  first_ = true;
  return piece_;
}

}  // namespace mistral::text
