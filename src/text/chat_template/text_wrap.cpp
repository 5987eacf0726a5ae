#include "text/chat_template/text_wrap.h"

#include <algorithm>

#include "text/chat_template/eval_error.h"
#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {
namespace {

using View = std::u32string_view;

bool is_blank(char32_t c) {
  return (c >= 9 && c <= 13) || c == U' ';
}
bool is_word(char32_t c) {
  return c == U'_' || is_alnum(c);
}
bool is_letter(char32_t c) {
  return is_word(c) && !is_decimal(c);
}
bool is_word_or_mark(char32_t c) {
  return is_word(c) || View(U"!\"'&.,?").find(c) != View::npos;
}

bool all_space(View text) {
  return std::all_of(text.begin(), text.end(), is_space);
}

// The number of hyphens from `at` on.
std::size_t hyphens(View text, std::size_t at) {
  std::size_t count = 0;
  while (at + count < text.size() && text[at + count] == U'-') ++count;
  return count;
}

// A dash of at least two hyphens between words starts at `at`.
bool dash_at(View text, std::size_t at) {
  if (at == 0 || !is_word_or_mark(text[at - 1])) return false;
  const std::size_t count = hyphens(text, at);
  return count >= 2 && at + count < text.size() && is_word(text[at + count]);
}

// Whether a word may be broken behind the hyphen at `at`: letters must surround it.
bool breakable_hyphen(View text, std::size_t at) {
  const auto letter = [&](std::size_t i) { return i < text.size() && is_letter(text[i]); };
  if (at < 2 || !letter(at - 1)) return false;
  const bool behind_two_letters = letter(at - 2);
  const bool behind_one_letter = at >= 3 && text[at - 2] == U'-' && letter(at - 3);
  if (!behind_two_letters && !behind_one_letter) return false;
  std::size_t after = at + 1;
  if (!letter(after)) return false;
  ++after;
  if (after < text.size() && text[after] == U'-') ++after;
  return letter(after);
}

// Splits into words, parts of hyphenated words, dashes and runs of blanks.
std::vector<View> chunks_of(View text, bool break_on_hyphens) {
  std::vector<View> chunks;
  for (std::size_t start = 0; start < text.size();) {
    std::size_t end = start;
    if (is_blank(text[start])) {
      while (end < text.size() && is_blank(text[end])) ++end;
    } else if (break_on_hyphens && dash_at(text, start)) {
      end = start + hyphens(text, start);
    } else {
      for (end = start + 1; end < text.size() && !is_blank(text[end]); ++end) {
        if (!break_on_hyphens) continue;
        if (text[end] == U'-' && breakable_hyphen(text, end)) {
          ++end;
          break;
        }
        if (dash_at(text, end)) break;
      }
    }
    chunks.push_back(text.substr(start, end - start));
    start = end;
  }
  return chunks;
}

}  // namespace

std::vector<std::string> wrap_line(std::string_view line, const WrapOptions& options) {
  if (options.width <= 0) {
    throw runtime_error("ValueError: invalid width {} (must be > 0)", options.width);
  }
  const std::u32string text = decode(line);
  std::vector<View> chunks = chunks_of(text, options.break_on_hyphens);
  std::reverse(chunks.begin(), chunks.end());
  const auto width = static_cast<std::size_t>(options.width);
  std::vector<std::string> lines;
  while (!chunks.empty()) {
    std::vector<View> current;
    std::size_t length = 0;
    if (all_space(chunks.back()) && !lines.empty()) chunks.pop_back();
    while (!chunks.empty() && length + chunks.back().size() <= width) {
      length += chunks.back().size();
      current.push_back(chunks.back());
      chunks.pop_back();
    }
    if (!chunks.empty() && chunks.back().size() > width) {
      if (options.break_long_words) {
        View& chunk = chunks.back();
        std::size_t taken = width - length;
        if (options.break_on_hyphens && chunk.size() > taken) {
          // Rather behind a hyphen that follows something other than hyphens.
          const std::size_t hyphen = chunk.substr(0, taken).rfind(U'-');
          const bool useful = hyphen != View::npos && hyphen > 0 &&
                              chunk.substr(0, hyphen).find_first_not_of(U'-') != View::npos;
          if (useful) taken = hyphen + 1;
        }
        current.push_back(chunk.substr(0, taken));
        chunk.remove_prefix(taken);
      } else if (current.empty()) {
        current.push_back(chunks.back());
        chunks.pop_back();
      }
    }
    if (!current.empty() && all_space(current.back())) current.pop_back();
    if (current.empty()) continue;
    std::string joined;
    for (const View part : current) joined += encode(part);
    lines.push_back(std::move(joined));
  }
  return lines;
}

}  // namespace mistral::text::jinja
