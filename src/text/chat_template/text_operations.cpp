#include "text/chat_template/text_operations.h"

#include <cstring>

#include "text/chat_template/number_format.h"
#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {

std::string replace_text(std::string_view text, std::string_view from, std::string_view to,
                         std::int64_t limit) {
  Budget::spend_bytes(text.size());
  TextBuilder out;
  if (from.empty()) {
    std::size_t at = 0;
    for (std::int64_t done = 0; limit < 0 || done < limit; ++done) {
      out.append(to);
      Budget::spend_bytes(to.size());
      if (at >= text.size()) break;
      const std::size_t start = at;
      (void)decode_at(text, at);
      out.append(text.substr(start, at - start));
      if (at >= text.size() && limit >= 0 && done + 1 >= limit) break;
    }
    out.append(text.substr(at));
    return out.take();
  }
  std::size_t start = 0;
  for (std::int64_t done = 0; limit < 0 || done < limit; ++done) {
    const std::size_t hit = find_text(text, from, start);
    if (hit == std::string_view::npos) break;
    out.append(text.substr(start, hit - start));
    out.append(to);
    Budget::spend_bytes(to.size());
    start = hit + from.size();
  }
  out.append(text.substr(start));
  return out.take();
}

Value replace_in(const Value& text, std::string_view from, std::string_view to,
                 std::int64_t limit) {
  const std::string& whole = text.text();
  if (!from.empty() && find_text(whole, from) == std::string_view::npos) {
    Budget::spend_bytes(whole.size());
    return text;
  }
  return Value::string_like(text, replace_text(whole, from, to, limit));
}

std::size_t rfind_text(std::string_view text, std::string_view needle) {
  if (needle.size() > text.size()) return std::string_view::npos;
  if (needle.empty()) return text.size();
  Budget::spend_bytes(text.size());
  for (std::size_t at = text.size() - needle.size() + 1; at-- > 0;) {
    if (text[at] != needle.front() || text[at + needle.size() - 1] != needle.back()) continue;
    Budget::spend_bytes(needle.size());
    if (std::memcmp(text.data() + at, needle.data(), needle.size()) == 0) return at;
  }
  return std::string_view::npos;
}

std::string center_text(std::string_view text, std::int64_t width, std::string_view fill) {
  const auto length = static_cast<std::int64_t>(count_code_points(text));
  if (width <= length) return std::string(text);
  const std::int64_t missing = width - length;
  const std::int64_t left = missing / 2 + (missing & width & 1);
  return pad(pad(text, length + left, '>', fill), width, '<', fill);
}

bool is_upper_text(std::string_view text) {
  bool cased = false;
  Budget::spend_bytes(text.size() * 4);
  for (std::size_t i = 0; i < text.size();) {
    const char32_t c = decode_at(text, i);
    if (is_lower(c) || is_title(c)) return false;
    cased = cased || is_upper(c);
  }
  return cased;
}

bool is_lower_text(std::string_view text) {
  bool cased = false;
  Budget::spend_bytes(text.size() * 4);
  for (std::size_t i = 0; i < text.size();) {
    const char32_t c = decode_at(text, i);
    if (is_upper(c) || is_title(c)) return false;
    cased = cased || is_lower(c);
  }
  return cased;
}

}  // namespace mistral::text::jinja
