#include "text/chat_template/html.h"

#include <algorithm>
#include <array>
#include <memory>

#include <oniguruma.h>

#include "text/chat_template/eval_error.h"
#include "text/chat_template/html_entities.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/text_operations.h"
#include "text/chat_template/unicode.h"
#include "text/chat_template/value.h"

namespace mistral::text::jinja {
namespace {

// What browsers read for the numbers that Windows-1252 uses.
constexpr std::array<char32_t, 32> kWindows1252 = {
    0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021, 0x2C6,  0x2030, 0x160,
    0x2039, 0x152,  0x8D,   0x17D,  0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178};

void append_numeric_reference(std::string& out, char32_t number) {
  if (number == 0 || number > 0x10FFFF || (number >= 0xD800 && number <= 0xDFFF)) {
    append_code_point(out, 0xFFFD);
  } else if (number >= 0x80 && number <= 0x9F) {
    append_code_point(out, kWindows1252[number - 0x80]);
  } else {
    const bool control =
        number < 0x20 && number != 9 && number != 10 && number != 12 && number != 13;
    const bool invalid = control || number == 0x7F || (number >= 0xFDD0 && number <= 0xFDEF) ||
                         (number & 0xFFFEU) == 0xFFFE;
    if (!invalid) append_code_point(out, number);
  }
}

// "&#..." at `at`, which is behind the ampersand; returns the end, or `at` if it is none.
std::size_t numeric_reference(std::string_view text, std::size_t at, std::string& out) {
  std::size_t i = at + 1;
  const bool hex = i < text.size() && (text[i] | 0x20) == 'x';
  if (hex) ++i;
  const std::size_t digits = i;
  char32_t number = 0;
  for (; i < text.size(); ++i) {
    int digit = -1;
    if (text[i] >= '0' && text[i] <= '9') digit = text[i] - '0';
    const char lower = static_cast<char>(text[i] | 0x20);
    if (hex && lower >= 'a' && lower <= 'f') digit = lower - 'a' + 10;
    if (digit < 0) break;
    number = std::min<char32_t>(number * (hex ? 16 : 10) + static_cast<char32_t>(digit), 0x110000);
  }
  if (i == digits) return at;
  append_numeric_reference(out, number);
  if (i < text.size() && text[i] == ';') ++i;
  return i;
}

// "&name" at `at`, behind the ampersand; returns the end, or `at` if it is none.
std::size_t named_reference(std::string_view text, std::size_t at, std::string& out) {
  constexpr std::size_t kLongestName = 32;
  const std::size_t stop = std::min(text.find_first_of("\t\n\f <&#;", at), text.size());
  const std::string_view name = text.substr(at, std::min(stop - at, kLongestName));
  const std::size_t end = at + name.size();
  const HtmlEntity* entity = find_html_entity(name);
  if (entity != nullptr && end < text.size() && text[end] == ';') {
    append_code_point(out, entity->code_point);
    return end + 1;
  }
  for (std::size_t length = name.size(); length > 1; --length) {
    entity = find_html_entity(name.substr(0, length));
    if (entity == nullptr || !entity->bare) continue;
    append_code_point(out, entity->code_point);
    return at + length;
  }
  return at;
}

std::string remove_comments(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    out += text[i++];
    if (!out.ends_with("<!--")) continue;
    // The end may use the dashes of the beginning.
    const std::string_view rest = text.substr(i);
    std::size_t end = find_text(rest, "-->");
    if (end != std::string_view::npos) end += 3;
    if (rest.starts_with(">")) end = 1;
    if (rest.starts_with("->")) end = 2;
    if (end == std::string_view::npos) return out + std::string(rest);
    out.resize(out.size() - 4);
    i += end;
  }
  return out;
}

std::string remove_tags(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t start = std::min(text.find('<', i), text.size());
    out += text.substr(i, start - i);
    const std::size_t end = text.find('>', start);
    if (end == std::string_view::npos) {
      out += text.substr(start);
      break;
    }
    i = end + 1;
  }
  return out;
}

class Regex {
 public:
  explicit Regex(std::string_view pattern) {
    // Needed once in a process; repeating it does no harm.
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    onig_initialize(encodings, 1);
    const auto* begin = reinterpret_cast<const OnigUChar*>(pattern.data());
    regex_t* compiled = nullptr;
    if (onig_new(&compiled, begin, begin + pattern.size(),
                 ONIG_OPTION_IGNORECASE | ONIG_OPTION_EXTEND, ONIG_ENCODING_UTF8,
                 ONIG_SYNTAX_PYTHON, nullptr) != ONIG_NORMAL) {
      throw runtime_error("the pattern for links cannot be compiled");
    }
    regex_.reset(compiled);
  }
  [[nodiscard]] bool matches(std::string_view text) const {
    Budget::spend_bytes(text.size() * 32);
    constexpr unsigned long kMaxRetries = 200'000;
    const auto* begin = reinterpret_cast<const OnigUChar*>(text.data());
    const std::unique_ptr<OnigMatchParam, void (*)(OnigMatchParam*)> param(onig_new_match_param(),
                                                                           onig_free_match_param);
    onig_initialize_match_param(param.get());
    onig_set_retry_limit_in_match_of_match_param(param.get(), kMaxRetries);
    return onig_match_with_param(regex_.get(), begin, begin + text.size(), begin, nullptr,
                                 ONIG_OPTION_NONE, param.get()) >= 0;
  }

 private:
  struct Free {
    void operator()(regex_t* regex) const { onig_free(regex); }
  };
  std::unique_ptr<regex_t, Free> regex_;
};

bool is_web_address(std::string_view text) {
  static const Regex regex(R"(
      ^(
        (https?://|www\.)(([\w%-]+\.)+)?([a-z]{2,63}|xn--[\w%]{2,59})
      | ([\w%-]{2,63}\.)+(com|net|int|edu|gov|org|info|mil)
      | (https?://)(((\d{1,3})(\.\d{1,3}){3})|(\[([\da-f]{0,4}:){2}([\da-f]{0,4}:?){1,6}\]))
      )
      (?::\d{1,5})?
      (?:[/?\#]\S*)?
      $)");
  return regex.matches(text);
}

bool is_mail_address(std::string_view text) {
  static const Regex regex(R"(^\S+@\w[\w.-]*\.\w+$)");
  return regex.matches(text);
}

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = find_text(text, part); at != std::string_view::npos;
       at = find_text(text, part, at + part.size())) {
    ++count;
  }
  return count;
}

// What it costs to look for an address in a word, besides its length.
constexpr std::uint64_t kStepsPerWord = 24;

// A word without the brackets and punctuation around it.
struct Word {
  std::string head;
  std::string middle;
  std::string tail;
};

Word take_apart(std::string_view text) {
  Word word;
  std::size_t begin = 0;
  for (;;) {
    if (text.substr(begin).starts_with("&lt;")) {
      begin += 4;
    } else if (begin < text.size() && (text[begin] == '(' || text[begin] == '<')) {
      ++begin;
    } else {
      break;
    }
  }
  std::size_t end = text.size();
  for (;;) {
    const std::string_view rest = text.substr(begin, end - begin);
    if (rest.ends_with("&gt;")) {
      end -= 4;
    } else if (!rest.empty() &&
               std::string_view(")>.,\n").find(rest.back()) != std::string_view::npos) {
      --end;
    } else {
      break;
    }
  }
  word.head = std::string(text.substr(0, begin));
  word.middle = std::string(text.substr(begin, end - begin));
  word.tail = std::string(text.substr(end));
  // Closing brackets belong to the URL as long as they balance opening ones.
  constexpr std::pair<std::string_view, std::string_view> kPairs[] = {
      {"(", ")"}, {"<", ">"}, {"&lt;", "&gt;"}};
  for (const auto& [open, close] : kPairs) {
    const std::size_t opened = count_of(word.middle, open);
    if (opened <= count_of(word.middle, close)) continue;
    std::size_t moved = 0;
    for (std::size_t moves = std::min(opened, count_of(word.tail, close)); moves > 0; --moves) {
      moved = word.tail.find(close, moved) + close.size();
    }
    word.middle += word.tail.substr(0, moved);
    word.tail.erase(0, moved);
  }
  return word;
}

std::string shown(const std::string& url, const UrlizeOptions& options) {
  if (options.trim.is_missing() || options.trim.is_none()) return url;
  const Value whole = Value::string(url);
  const Value length = Value::integer(static_cast<std::int64_t>(count_code_points(url)));
  if (!compare(CompareOp::kGt, length, options.trim)) return url;
  return slice(whole, Value(), options.trim, Value()).text() + "...";
}

std::string link(const std::string& middle, const UrlizeOptions& options) {
  const std::string attributes =
      (options.rel.empty() ? "" : " rel=\"" + options.rel + "\"") +
      (options.target.empty() ? "" : " target=\"" + options.target + "\"");
  const auto anchor = [&](const std::string& href, const std::string& text, bool attributed) {
    return "<a href=\"" + href + "\"" + (attributed ? attributes : "") + ">" + text + "</a>";
  };
  if (is_web_address(middle)) {
    const bool complete = middle.starts_with("https://") || middle.starts_with("http://");
    return anchor((complete ? "" : "https://") + middle, shown(middle, options), true);
  }
  if (middle.starts_with("mailto:") && is_mail_address(std::string_view(middle).substr(7))) {
    return anchor(middle, middle.substr(7), false);
  }
  const bool may_be_mail = middle.find('@') != std::string::npos && !middle.starts_with("www.") &&
                           !middle.starts_with("@") && middle.find(':') == std::string::npos;
  if (may_be_mail && is_mail_address(middle)) return anchor("mailto:" + middle, middle, false);
  std::string result = middle;
  for (const std::string& scheme : options.extra_schemes) {
    if (result != scheme && result.starts_with(scheme)) result = anchor(result, result, true);
  }
  return result;
}

}  // namespace

std::string unescape_html(std::string_view text) {
  Budget::spend_bytes(text.size() * 8);
  Budget::require(text.size() * 2);
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t reference = std::min(text.find('&', i), text.size());
    out += text.substr(i, reference - i);
    i = reference;
    if (i >= text.size()) break;
    ++i;
    const std::size_t end = i < text.size() && text[i] == '#' ? numeric_reference(text, i, out)
                                                              : named_reference(text, i, out);
    if (end == i) out += '&';
    i = end;
  }
  return out;
}

std::string strip_tags(std::string_view text) {
  Budget::spend_bytes(text.size() * 8);
  Budget::require(text.size() * 4);
  const std::string plain = remove_tags(remove_comments(text));
  std::string joined;
  std::string_view rest = strip_space(plain, StripSide::kBoth);
  while (!rest.empty()) {
    std::size_t end = 0;
    while (end < rest.size()) {
      std::size_t next = end;
      if (is_space(decode_at(rest, next))) break;
      end = next;
    }
    if (!joined.empty()) joined += ' ';
    joined += rest.substr(0, end);
    rest = strip_space(rest.substr(end), StripSide::kLeft);
  }
  return unescape_html(joined);
}

std::string quote_url(std::string_view text, bool query) {
  Budget::spend_bytes(text.size() * 4);
  Budget::require(text.size() * 3);
  std::string out;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    const bool mark = std::string_view("_.-~").find(c) != std::string_view::npos;
    if (letter || mark || (c == '/' && !query)) {
      out += c;
    } else if (c == ' ' && query) {
      out += '+';
    } else {
      constexpr std::string_view kDigits = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(c);
      out.append({'%', kDigits[byte >> 4U], kDigits[byte & 15U]});
    }
  }
  return out;
}

std::string urlize(const std::string& escaped, const UrlizeOptions& options) {
  UrlizeOptions quoted = options;
  const auto quote = [](std::string& text) {
    text = replace_text(text, "&", "&amp;", -1);
    text = replace_text(text, "\"", "&#34;", -1);
    text = replace_text(text, "'", "&#39;", -1);
    text = replace_text(text, "<", "&lt;", -1);
    text = replace_text(text, ">", "&gt;", -1);
  };
  quote(quoted.rel);
  quote(quoted.target);
  TextBuilder out;
  for (std::size_t i = 0; i < escaped.size();) {
    const std::size_t start = i;
    const bool space = is_space(decode_at(escaped, i));
    while (i < escaped.size()) {
      std::size_t next = i;
      if (is_space(decode_at(escaped, next)) != space) break;
      i = next;
    }
    const std::string_view part = std::string_view(escaped).substr(start, i - start);
    if (space) {
      out.append(part);
      continue;
    }
    Budget::spend(kStepsPerWord + 2 * part.size());
    const Word word = take_apart(part);
    out.append(word.head);
    out.append(link(word.middle, quoted));
    out.append(word.tail);
  }
  return out.take();
}

}  // namespace mistral::text::jinja
