// The methods of Python's str.
#include <algorithm>
#include <array>
#include <limits>

#include "text/chat_template/format.h"
#include "text/chat_template/html.h"
#include "text/chat_template/lookup.h"
#include "text/chat_template/number_format.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/str_format.h"
#include "text/chat_template/text_operations.h"
#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {
namespace {

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

const std::string& require_string(const Value& value) {
  if (!value.is_string()) {
    throw runtime_error("TypeError: must be str, not {}", type_name(value));
  }
  return value.text();
}

std::int64_t optional_int(const Value& value, std::int64_t fallback) {
  return value.is_missing() || value.is_none() ? fallback : to_index(value);
}

Value strings(const Value& model, const std::vector<std::string_view>& parts) {
  ListBuilder items;
  for (const std::string_view part : parts) {
    items.push(Value::string_like(model, std::string(part)));
  }
  return items.list();
}

// Views of the parts of a string, bounded like everything else that grows.
class Parts {
 public:
  void push(std::string_view part) {
    if (parts_.size() == parts_.capacity()) {
      Budget::require(3 * (parts_.size() + 8) * sizeof(std::string_view));
    }
    parts_.push_back(part);
  }
  [[nodiscard]] std::int64_t count() const { return static_cast<std::int64_t>(parts_.size()); }
  void reverse() { std::reverse(parts_.begin(), parts_.end()); }
  [[nodiscard]] const std::vector<std::string_view>& views() const { return parts_; }

 private:
  std::vector<std::string_view> parts_;
};

// Counting splits, a negative number means all of them.
std::int64_t split_limit(const Value& value) {
  const std::int64_t limit = optional_int(value, -1);
  return limit < 0 ? kUnlimited : limit;
}

Parts split_space(std::string_view text, std::int64_t limit) {
  Parts parts;
  text = strip_space(text, StripSide::kLeft);
  while (!text.empty()) {
    if (parts.count() == limit) {
      // What is left keeps its trailing space, as in Python.
      parts.push(text);
      break;
    }
    std::size_t end = 0;
    while (end < text.size()) {
      std::size_t next = end;
      if (is_space(decode_at(text, next))) break;
      end = next;
    }
    parts.push(text.substr(0, end));
    text = strip_space(text.substr(end), StripSide::kLeft);
  }
  return parts;
}

Parts rsplit_space(std::string_view text, std::int64_t limit) {
  Parts parts;
  text = strip_space(text, StripSide::kRight);
  while (!text.empty()) {
    if (parts.count() == limit) {
      parts.push(text);
      break;
    }
    std::size_t begin = text.size();
    while (begin > 0) {
      std::size_t previous = begin;
      if (is_space(decode_before(text, previous))) break;
      begin = previous;
    }
    parts.push(text.substr(begin));
    text = strip_space(text.substr(0, begin), StripSide::kRight);
  }
  parts.reverse();
  return parts;
}

const std::string& separator(const Value& value) {
  if (!value.is_string()) {
    throw runtime_error("TypeError: must be str or None, not {}", type_name(value));
  }
  if (value.text().empty()) throw runtime_error("ValueError: empty separator");
  return value.text();
}

Value split(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("split", args, {"sep", "maxsplit"});
  const std::int64_t limit = split_limit(bound[1]);
  const std::string_view text = self.text();
  Budget::spend_bytes(text.size());
  if (bound[0].is_missing() || bound[0].is_none())
    return strings(self, split_space(text, limit).views());
  const std::string& sep = separator(bound[0]);
  ListBuilder items;
  std::size_t start = 0;
  while (static_cast<std::int64_t>(items.size()) < limit) {
    const std::size_t hit = find_text(text, sep, start);
    if (hit == std::string_view::npos) break;
    items.push(Value::string_like(self, std::string(text.substr(start, hit - start))));
    start = hit + sep.size();
  }
  items.push(Value::string_like(self, std::string(text.substr(start))));
  return items.list();
}

Value rsplit(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("rsplit", args, {"sep", "maxsplit"});
  const std::int64_t limit = split_limit(bound[1]);
  const std::string_view text = self.text();
  Budget::spend_bytes(text.size());
  if (bound[0].is_missing() || bound[0].is_none())
    return strings(self, rsplit_space(text, limit).views());
  const std::string& sep = separator(bound[0]);
  Parts parts;
  std::size_t end = text.size();
  while (parts.count() < limit && end >= sep.size()) {
    const std::size_t hit = rfind_text(text.substr(0, end), sep);
    if (hit == std::string_view::npos) break;
    parts.push(text.substr(hit + sep.size(), end - hit - sep.size()));
    end = hit;
  }
  parts.push(text.substr(0, end));
  parts.reverse();
  return strings(self, parts.views());
}

Value splitlines(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("splitlines", args, {"keepends"});
  const bool keep_ends = !bound[0].is_missing() && to_index(bound[0]) != 0;
  Budget::spend_bytes(self.text().size() * 4);
  Budget::require(self.text().size() * 2);
  return strings(self, split_lines(self.text(), keep_ends));
}

template <StripSide side>
Value strip(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("strip", args, 0, 1);
  Budget::spend_bytes(self.text().size());
  if (args.positional.empty() || args.positional[0].is_none()) {
    return Value::part_of(self, strip_space(self.text(), side));
  }
  if (!args.positional[0].is_string())
    throw runtime_error("TypeError: strip arg must be None or str");
  const std::string& characters = args.positional[0].text();
  Budget::spend(characters.size() > 64 ? self.text().size() * (characters.size() / 64) : 0);
  return Value::part_of(self, strip_characters(self.text(), characters, side));
}

// The part of a string that find() and its relatives look at.
struct Window {
  std::string_view text;
  std::int64_t start = 0;   // in code points
  std::size_t begin = 0;    // in bytes
  std::int64_t count = -1;  // code points inside; negative if start lies behind the end
};

Window window_of(const Value& self, const Value& start, const Value& stop) {
  Window window;
  const std::string_view text = self.text();
  const bool ascii = self.string_object().ascii();
  const auto length = static_cast<std::int64_t>(self.string_object().length());
  const auto settle = [&](const Value& value, std::int64_t fallback) {
    if (value.is_missing() || value.is_none()) return fallback;
    if (!value.is_int()) {
      throw runtime_error(
          "TypeError: slice indices must be integers or None or have an __index__ method");
    }
    std::int64_t bound = value.is_small_int()            ? value.as_int()
                         : value.as_big_int().negative() ? std::numeric_limits<std::int64_t>::min()
                                                         : kUnlimited;
    if (bound < 0) bound = std::max<std::int64_t>(bound + length, 0);
    return bound;
  };
  window.start = settle(start, 0);
  const std::int64_t end = std::min(settle(stop, length), length);
  window.count = end - window.start;
  Budget::spend_bytes(text.size());
  if (window.count < 0) return window;
  window.begin = byte_offset(text, static_cast<std::size_t>(window.start), ascii);
  const std::string_view rest = text.substr(window.begin);
  window.text = rest.substr(0, byte_offset(rest, static_cast<std::size_t>(window.count), ascii));
  return window;
}

std::int64_t find_in(const Value& self, const CallArgs& args, std::string_view name,
                     bool from_right) {
  require_arguments(name, args, 1, 3);
  std::vector<Value> bound(args.positional);
  bound.resize(3);
  const std::string& needle = require_string(bound[0]);
  const Window window = window_of(self, bound[1], bound[2]);
  if (window.count < 0) return -1;
  const std::size_t hit =
      from_right ? rfind_text(window.text, needle) : find_text(window.text, needle);
  if (hit == std::string_view::npos) return -1;
  return window.start + static_cast<std::int64_t>(count_code_points(window.text.substr(0, hit)));
}

Value find(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  return Value::integer(find_in(self, args, "find", false));
}

Value rfind(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  return Value::integer(find_in(self, args, "rfind", true));
}

template <bool from_right>
Value index(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const std::int64_t position = find_in(self, args, "index", from_right);
  if (position < 0) throw runtime_error("ValueError: substring not found");
  return Value::integer(position);
}

Value count(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("count", args, 1, 3);
  std::vector<Value> bound(args.positional);
  bound.resize(3);
  const std::string& needle = require_string(bound[0]);
  const Window window = window_of(self, bound[1], bound[2]);
  if (window.count < 0) return Value::integer(std::int64_t{0});
  if (needle.empty()) return Value::integer(window.count + 1);
  std::int64_t hits = 0;
  for (std::size_t at = find_text(window.text, needle); at != std::string_view::npos;
       at = find_text(window.text, needle, at + needle.size())) {
    ++hits;
  }
  return Value::integer(hits);
}

template <bool at_end>
Value has_affix(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  constexpr std::string_view kName = at_end ? "endswith" : "startswith";
  require_arguments(kName, args, 1, 3);
  std::vector<Value> bound(args.positional);
  bound.resize(3);
  const Window window = window_of(self, bound[1], bound[2]);
  const auto matches = [&](const Value& affix) {
    if (!affix.is_string()) {
      throw runtime_error("TypeError: {} first arg must be str or a tuple of str, not {}", kName,
                          type_name(affix));
    }
    if (window.count < 0) return false;
    return at_end ? window.text.ends_with(affix.text()) : window.text.starts_with(affix.text());
  };
  if (!bound[0].is_tuple()) return Value::boolean(matches(bound[0]));
  for (const Value& affix : bound[0].items()) {
    if (matches(affix)) return Value::boolean(true);
  }
  return Value::boolean(false);
}

Value replace(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("replace", args, 2, 3);
  const std::string& old_text = require_string(args.positional[0]);
  Value replacement = args.positional[1];
  if (self.is_markup()) replacement = escape_value(replacement);
  const std::int64_t limit =
      args.positional.size() > 2 ? to_index(args.positional[2]) : std::int64_t{-1};
  return replace_in(self, old_text, require_string(replacement), limit);
}

Value join(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("join", args, 1, 1);
  const Ref<Iterator> iterator = try_iterate(args.positional[0]);
  if (!iterator) throw runtime_error("TypeError: can only join an iterable");
  TextBuilder out;
  Value item;
  for (std::int64_t position = 0; iterator->next(item); ++position) {
    if (position != 0) out.append(self.text());
    if (self.is_markup()) {
      out.append(escape_value(item).text());
    } else if (item.is_string()) {
      out.append(item.text());
    } else {
      throw runtime_error("TypeError: sequence item {}: expected str instance, {} found", position,
                          type_name(item));
    }
    Budget::spend_bytes(self.text().size() + 16);
  }
  return Value::string_like(self, out.take());
}

template <std::string (*map)(std::string_view), std::size_t cost>
Value map_text(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("str method", args, 0, 0);
  Budget::spend_bytes(self.text().size() * (self.string_object().ascii() ? 1 : cost));
  return Value::string_like(self, map(self.text()));
}

std::string fill_character(const Value& self, const CallArgs& args) {
  if (args.positional.size() < 2) return " ";
  const Value& fill = args.positional[1];
  const Value escaped = self.is_markup() ? escape_value(fill) : fill;
  if (!escaped.is_string() || escaped.string_object().length() != 1) {
    throw runtime_error("TypeError: The fill character must be exactly one character long");
  }
  return escaped.text();
}

template <char align>
Value justify(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("str method", args, 1, 2);
  const std::int64_t width = to_index(args.positional[0]);
  return Value::string_like(self, pad(self.text(), width, align, fill_character(self, args)));
}

Value center(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("center", args, 1, 2);
  return Value::string_like(
      self, center_text(self.text(), to_index(args.positional[0]), fill_character(self, args)));
}

Value zfill(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("zfill", args, 1, 1);
  const std::int64_t width = to_index(args.positional[0]);
  const std::string& text = self.text();
  const bool sign = !text.empty() && (text[0] == '+' || text[0] == '-');
  if (width <= 0) return self;
  const std::string rest =
      pad(std::string_view(text).substr(sign ? 1 : 0), width - (sign ? 1 : 0), '>', "0");
  return Value::string_like(self, (sign ? text.substr(0, 1) : std::string()) + rest);
}

Value expandtabs(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("expandtabs", args, {"tabsize"});
  const std::int64_t size = bound[0].is_missing() ? 8 : to_index(bound[0]);
  if (size > kMaxFormatWidth) throw limit_error("a tab size of {} is too large", size);
  TextBuilder out;
  std::int64_t column = 0;
  Budget::spend_bytes(self.text().size() * 4);
  for (const char c : self.text()) {
    if (c == '\t') {
      const std::int64_t fill = size > 0 ? size - column % size : 0;
      out.append(static_cast<std::size_t>(fill), ' ');
      column += fill;
      continue;
    }
    out.push(c);
    if (c == '\n' || c == '\r') {
      column = 0;
    } else if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80) {
      ++column;
    }
  }
  return Value::string_like(self, out.take());
}

template <bool from_right>
Value partition(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("partition", args, 1, 1);
  const std::string& sep = require_string(args.positional[0]);
  if (sep.empty()) throw runtime_error("ValueError: empty separator");
  const std::string& text = self.text();
  Budget::spend_bytes(text.size());
  const std::size_t hit = from_right ? rfind_text(text, sep) : find_text(text, sep);
  const auto part = [&](std::string piece) { return Value::string_like(self, std::move(piece)); };
  if (hit == std::string::npos) {
    if (from_right) return Value::tuple({part(""), part(""), part(text)});
    return Value::tuple({part(text), part(""), part("")});
  }
  return Value::tuple({part(text.substr(0, hit)), part(sep), part(text.substr(hit + sep.size()))});
}

template <bool at_end>
Value remove_affix(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("removeprefix", args, 1, 1);
  const std::string& affix = require_string(args.positional[0]);
  const std::string& text = self.text();
  if (at_end && text.ends_with(affix)) {
    return Value::string_like(self, text.substr(0, text.size() - affix.size()));
  }
  if (!at_end && text.starts_with(affix)) {
    return Value::string_like(self, text.substr(affix.size()));
  }
  return self;
}

// True if there is a character and all of them belong to the class.
template <bool (*belongs)(char32_t)>
Value all_are(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("str method", args, 0, 0);
  const std::string& text = self.text();
  Budget::spend_bytes(text.size() * 4);
  for (std::size_t i = 0; i < text.size();) {
    if (!belongs(decode_at(text, i))) return Value::boolean(false);
  }
  return Value::boolean(!text.empty());
}

Value isascii(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("isascii", args, 0, 0);
  return Value::boolean(all_ascii(self.text()));
}

Value isprintable(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("isprintable", args, 0, 0);
  Budget::spend_bytes(self.text().size() * 4);
  for (std::size_t i = 0; i < self.text().size();) {
    const char32_t c = decode_at(self.text(), i);
    if (c != U' ' && !is_printable(c)) return Value::boolean(false);
  }
  return Value::boolean(true);
}

Value isidentifier(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("isidentifier", args, 0, 0);
  const std::string& text = self.text();
  Budget::spend_bytes(text.size() * 4);
  for (std::size_t i = 0; i < text.size();) {
    const bool start = i == 0;
    const char32_t c = decode_at(text, i);
    if (start ? !is_identifier_start(c) : !is_identifier_part(c)) return Value::boolean(false);
  }
  return Value::boolean(!text.empty());
}

Value isupper(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("isupper", args, 0, 0);
  return Value::boolean(is_upper_text(self.text()));
}

Value islower(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("islower", args, 0, 0);
  return Value::boolean(is_lower_text(self.text()));
}

Value istitle(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("istitle", args, 0, 0);
  bool cased = false;
  bool inside_word = false;
  Budget::spend_bytes(self.text().size() * 4);
  for (std::size_t i = 0; i < self.text().size();) {
    const char32_t c = decode_at(self.text(), i);
    if (is_upper(c) || is_title(c)) {
      if (inside_word) return Value::boolean(false);
      inside_word = true;
      cased = true;
    } else if (is_lower(c)) {
      if (!inside_word) return Value::boolean(false);
      cased = true;
    } else {
      inside_word = false;
    }
  }
  return Value::boolean(cased);
}

Value encode_text(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("encode", args, {"encoding", "errors"});
  std::string name = bound[0].is_missing() ? "utf-8" : to_lower(require_string(bound[0]));
  std::replace(name.begin(), name.end(), '_', '-');
  if (name == "utf-8" || name == "utf8") return Value::bytes(self.text());
  const bool ascii = name == "ascii" || name == "us-ascii";
  if (!ascii && name != "latin-1" && name != "iso-8859-1" && name != "latin1") {
    throw runtime_error("LookupError: unknown encoding: {}", name);
  }
  std::string data;
  for (std::size_t i = 0; i < self.text().size();) {
    const char32_t c = decode_at(self.text(), i);
    if (c >= (ascii ? 0x80U : 0x100U)) {
      throw runtime_error("UnicodeEncodeError: '{}' codec can't encode a character", name);
    }
    data += static_cast<char>(c);
  }
  return Value::bytes(std::move(data));
}

Value format_method(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  return str_format(self, args);
}

Value format_map(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("format_map", args, 1, 1);
  CallArgs named;
  // Anything will do as long as the format names no field.
  if (!args.positional[0].is_dict()) return str_format(self, named);
  for (const auto& [key, value] : args.positional[0].dict().entries()) {
    if (key.is_string()) named.keyword.emplace_back(key, value);
  }
  return str_format(self, named);
}

Value maketrans(Interpreter& /*in*/, const Value& /*self*/, CallArgs& args) {
  require_arguments("maketrans", args, 1, 3);
  auto table = Ref<DictObject>(new DictObject);
  const auto code = [](const Value& character) {
    if (character.is_int()) return character;
    const std::string& text = require_string(character);
    if (character.string_object().length() != 1) {
      throw runtime_error("ValueError: string keys in translate table must be of length 1");
    }
    std::size_t at = 0;
    return Value::integer(static_cast<std::int64_t>(decode_at(text, at)));
  };
  if (args.positional.size() == 1) {
    if (!args.positional[0].is_dict()) {
      throw runtime_error(
          "TypeError: if you give only one argument to maketrans it must be a dict");
    }
    for (const auto& [key, value] : args.positional[0].dict().entries()) {
      table->set(code(key), value);
    }
    return Value::dict(std::move(table));
  }
  const std::u32string from = decode(require_string(args.positional[0]));
  const std::u32string to = decode(require_string(args.positional[1]));
  if (from.size() != to.size()) {
    throw runtime_error("ValueError: the first two maketrans arguments must have equal length");
  }
  for (std::size_t i = 0; i < from.size(); ++i) {
    table->set(Value::integer(static_cast<std::int64_t>(from[i])),
               Value::integer(static_cast<std::int64_t>(to[i])));
  }
  if (args.positional.size() == 3) {
    for (const char32_t c : decode(require_string(args.positional[2]))) {
      table->set(Value::integer(static_cast<std::int64_t>(c)), Value::none());
    }
  }
  return Value::dict(std::move(table));
}

Value translate(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("translate", args, 1, 1);
  const Value& table = args.positional[0];
  TextBuilder out;
  const std::string& text = self.text();
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t start = i;
    const char32_t c = decode_at(text, i);
    Budget::spend(1);
    Value mapped;
    if (table.is_dict()) {
      const Value* found = table.dict().find(Value::integer(static_cast<std::int64_t>(c)));
      if (found != nullptr) mapped = *found;
    } else if (table.is_sequence() || table.is_string()) {
      const Value index = Value::integer(static_cast<std::int64_t>(c));
      if (index.as_int() < *length_of(table)) mapped = get_item(table, index);
    } else {
      throw runtime_error("TypeError: '{}' object is not subscriptable", type_name(table));
    }
    if (mapped.is_missing()) {
      out.append(std::string_view(text).substr(start, i - start));
    } else if (mapped.is_small_int() && mapped.as_int() >= 0 && mapped.as_int() <= 0x10FFFF) {
      std::string character;
      append_code_point(character, static_cast<char32_t>(mapped.as_int()));
      out.append(character);
    } else if (mapped.is_string()) {
      out.append(mapped.text());
    } else if (!mapped.is_none()) {
      throw runtime_error("TypeError: character mapping must return integer, None or str");
    }
  }
  return Value::string_like(self, out.take());
}

Value markup_unescape(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("unescape", args, 0, 0);
  return Value::string(unescape_html(self.text()));
}

Value markup_striptags(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("striptags", args, 0, 0);
  return Value::string(strip_tags(self.text()));
}

Value markup_escape(Interpreter& /*in*/, const Value& /*self*/, CallArgs& args) {
  require_arguments("escape", args, 1, 1);
  return escape_value(args.positional[0]);
}

constexpr std::array<Method, 47> kMethods = {{
    {"capitalize", map_text<capitalize, 16>},
    {"casefold", map_text<case_fold, 16>},
    {"center", center},
    {"count", count},
    {"encode", encode_text},
    {"endswith", has_affix<true>},
    {"expandtabs", expandtabs},
    {"find", find},
    {"format", format_method},
    {"format_map", format_map},
    {"index", index<false>},
    {"isalnum", all_are<is_alnum>},
    {"isalpha", all_are<is_alpha>},
    {"isascii", isascii},
    {"isdecimal", all_are<is_decimal>},
    {"isdigit", all_are<is_digit>},
    {"isidentifier", isidentifier},
    {"islower", islower},
    {"isnumeric", all_are<is_numeric>},
    {"isprintable", isprintable},
    {"isspace", all_are<is_space>},
    {"istitle", istitle},
    {"isupper", isupper},
    {"join", join},
    {"ljust", justify<'<'>},
    {"lower", map_text<to_lower, 4>},
    {"lstrip", strip<StripSide::kLeft>},
    {"maketrans", maketrans},
    {"partition", partition<false>},
    {"removeprefix", remove_affix<false>},
    {"removesuffix", remove_affix<true>},
    {"replace", replace},
    {"rfind", rfind},
    {"rindex", index<true>},
    {"rjust", justify<'>'>},
    {"rpartition", partition<true>},
    {"rsplit", rsplit},
    {"rstrip", strip<StripSide::kRight>},
    {"split", split},
    {"splitlines", splitlines},
    {"startswith", has_affix<false>},
    {"strip", strip<StripSide::kBoth>},
    {"swapcase", map_text<swap_case, 16>},
    {"title", map_text<to_title, 16>},
    {"translate", translate},
    {"upper", map_text<to_upper, 4>},
    {"zfill", zfill},
}};

constexpr std::array<Method, 3> kMarkupMethods = {{
    {"escape", markup_escape},
    {"striptags", markup_striptags},
    {"unescape", markup_unescape},
}};

template <std::size_t n>
const Method* search(const std::array<Method, n>& methods, std::string_view name) {
  const auto* at = std::lower_bound(
      methods.begin(), methods.end(), name,
      [](const Method& method, std::string_view wanted) { return method.name < wanted; });
  return at != methods.end() && at->name == name ? at : nullptr;
}

}  // namespace

const Method* find_string_method(std::string_view name) {
  return search(kMethods, name);
}

const Method* find_markup_method(std::string_view name) {
  return search(kMarkupMethods, name);
}

}  // namespace mistral::text::jinja
