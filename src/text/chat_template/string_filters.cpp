// Filters on text.
#include <algorithm>

#include "text/chat_template/filter_helpers.h"
#include "text/chat_template/number_format.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/percent_format.h"
#include "text/chat_template/text_operations.h"
#include "text/chat_template/text_wrap.h"
#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {
namespace {

template <std::string (*map)(std::string_view), std::size_t cost>
Value map_text(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("filter", args, 0, 0);
  const Value text = soft_string(self);
  Budget::spend_bytes(text.text().size() * cost);
  return Value::string_like(text, map(text.text()));
}

// Every word with a capital; words begin after spaces, hyphens and opening brackets.
Value title(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("title", args, 0, 0);
  const Value source = soft_string(self);
  const std::string& text = source.text();
  Budget::spend_bytes(text.size() * 16);
  TextBuilder out;
  const auto separates = [](char32_t c) {
    return is_space(c) || c == U'-' || c == U'(' || c == U'{' || c == U'[' || c == U'<';
  };
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t start = i;
    if (separates(decode_at(text, i))) {
      out.append(std::string_view(text).substr(start, i - start));
      continue;
    }
    const std::size_t rest = i;
    std::size_t end = i;
    while (end < text.size()) {
      std::size_t next = end;
      if (separates(decode_at(text, next))) break;
      end = next;
    }
    out.append(to_upper(std::string_view(text).substr(start, rest - start)));
    out.append(to_lower(std::string_view(text).substr(rest, end - rest)));
    i = end;
  }
  return Value::string(out.take());
}

Value trim(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("trim", args, {"chars"});
  const Value text = soft_string(self);
  Budget::spend_bytes(text.text().size());
  if (bound[0].is_missing() || bound[0].is_none()) {
    return Value::part_of(text, strip_space(text.text(), StripSide::kBoth));
  }
  if (!bound[0].is_string()) throw runtime_error("TypeError: strip arg must be None or str");
  const std::string& characters = bound[0].text();
  Budget::spend(characters.size() > 64 ? text.text().size() * (characters.size() / 64) : 0);
  return Value::part_of(text, strip_characters(text.text(), characters, StripSide::kBoth));
}

Value replace(Interpreter& in, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("replace", args, {"old", "new", "count"}, 2);
  const std::int64_t limit =
      bound[2].is_missing() || bound[2].is_none() ? std::int64_t{-1} : to_index(bound[2]);
  if (!in.autoescape()) {
    return replace_in(soft_string(self).with_markup(false), soft_string(bound[0]).text(),
                      soft_string(bound[1]).text(), limit);
  }
  const bool escapes = bound[0].is_markup() || (bound[1].is_markup() && !self.is_markup());
  const Value text = escapes ? escape_value(self) : soft_string(self);
  const Value replacement = text.is_markup() ? escape_value(bound[1]) : soft_string(bound[1]);
  return replace_in(text, soft_string(bound[0]).text(), replacement.text(), limit);
}

Value center(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("center", args, {"width"});
  const std::int64_t width = bound[0].is_missing() ? 80 : to_index(bound[0]);
  const Value text = soft_string(self);
  return Value::string_like(text, center_text(text.text(), width, " "));
}

Value indent(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("indent", args, {"width", "first", "blank"});
  std::string indentation;
  if (bound[0].is_string()) {
    indentation = bound[0].text();
  } else {
    const Value width = bound[0].is_missing() ? Value::integer(std::int64_t{4}) : bound[0];
    indentation = binary(BinaryOp::kMul, Value::string(" "), width).text();
  }
  const bool first = truthy(bound[1]);
  const bool blank = truthy(bound[2]);
  const Value text = binary(BinaryOp::kAdd, self, Value::string("\n"));
  if (!text.is_string()) {
    throw runtime_error("AttributeError: '{}' object has no attribute 'splitlines'",
                        type_name(text));
  }
  Budget::spend_bytes(text.text().size() * 4);
  Budget::require(text.text().size() * 2);
  TextBuilder out;
  bool is_first = true;
  for (const std::string_view line : split_lines(text.text(), false)) {
    if (!is_first) out.append("\n");
    if (is_first ? first : blank || !line.empty()) {
      Budget::spend_bytes(indentation.size());
      out.append(indentation);
    }
    out.append(line);
    is_first = false;
  }
  return Value::string_like(self, out.take());
}

Value require_length(const Value& value) {
  const auto size = length_of(value);
  if (!size) throw runtime_error("TypeError: object of type '{}' has no len()", type_name(value));
  return Value::integer(*size);
}

Value truncate(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("truncate", args, {"length", "killwords", "end", "leeway"});
  const Value length = bound[0].is_missing() ? Value::integer(std::int64_t{255}) : bound[0];
  const Value end = bound[2].is_missing() ? Value::string("...") : bound[2];
  const bool usual_leeway = bound[3].is_missing() || bound[3].is_none();
  const Value leeway = usual_leeway ? Value::integer(std::int64_t{5}) : bound[3];
  const Value end_length = require_length(end);
  if (!compare(CompareOp::kGe, length, end_length)) {
    throw runtime_error("AssertionError: expected length >= {}, got {}", to_str(end_length),
                        to_str(length));
  }
  if (!compare(CompareOp::kGe, leeway, Value::integer(std::int64_t{0}))) {
    throw runtime_error("AssertionError: expected leeway >= 0, got {}", to_str(leeway));
  }
  const Value limit = binary(BinaryOp::kAdd, length, leeway);
  if (compare(CompareOp::kLe, require_length(self), limit)) return self;
  const Value stop = binary(BinaryOp::kSub, length, end_length);
  const Value kept = slice(self, Value(), stop, Value());
  if (truthy(bound[1])) return binary(BinaryOp::kAdd, kept, end);
  if (!kept.is_string()) {
    throw runtime_error("AttributeError: '{}' object has no attribute 'rsplit'", type_name(kept));
  }
  const std::size_t space = kept.text().rfind(' ');
  return binary(BinaryOp::kAdd, Value::string_like(kept, kept.text().substr(0, space)), end);
}

Value wordwrap(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments(
      "wordwrap", args, {"width", "break_long_words", "wrapstring", "break_on_hyphens"});
  if (self.is_undefined()) self.undefined_object().fail();
  if (!self.is_string()) {
    throw runtime_error("AttributeError: '{}' object has no attribute 'splitlines'",
                        type_name(self));
  }
  WrapOptions options;
  if (bound[0].is_float()) {
    options.width = static_cast<std::int64_t>(std::clamp(bound[0].as_float(), -1.0, 1e9));
  } else if (!bound[0].is_missing() && !self.text().empty()) {
    if (bound[0].is_undefined()) bound[0].undefined_object().fail();
    options.width = to_index(bound[0]);
  }
  if (!bound[1].is_missing()) options.break_long_words = truthy(bound[1]);
  if (!bound[3].is_missing()) options.break_on_hyphens = truthy(bound[3]);
  std::string separator = "\n";
  if (!bound[2].is_missing() && !bound[2].is_none()) {
    if (!bound[2].is_string()) {
      throw runtime_error("AttributeError: '{}' object has no attribute 'join'",
                          type_name(bound[2]));
    }
    separator = bound[2].text();
  }
  Budget::spend_bytes(self.text().size() * 16);
  TextBuilder out;
  bool first_line = true;
  for (const std::string_view line : split_lines(self.text(), false)) {
    if (!first_line) out.append(separator);
    first_line = false;
    bool first_part = true;
    for (const std::string& part : wrap_line(line, options)) {
      if (!first_part) out.append(separator);
      first_part = false;
      out.append(part);
    }
  }
  return Value::string(out.take());
}

Value wordcount(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("wordcount", args, 0, 0);
  const Value source = soft_string(self);
  const std::string& text = source.text();
  Budget::spend_bytes(text.size() * 4);
  std::int64_t words = 0;
  bool inside = false;
  for (std::size_t i = 0; i < text.size();) {
    const char32_t c = decode_at(text, i);
    const bool word = c == U'_' || is_alnum(c);
    if (word && !inside) ++words;
    inside = word;
  }
  return Value::integer(words);
}

Value format(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  if (!args.positional.empty() && !args.keyword.empty()) {
    throw runtime_error("can't handle positional and keyword arguments at the same time");
  }
  const Value text = soft_string(self);
  if (args.keyword.empty()) return percent_format(text, Value::tuple(args.positional));
  auto named = Ref<DictObject>(new DictObject);
  for (const auto& [key, value] : args.keyword) named->set(key, value);
  return percent_format(text, Value::dict(std::move(named)));
}

Value string(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("string", args, 0, 0);
  return soft_string(self);
}

}  // namespace

void add_string_filters(BuiltinTable& table) {
  table.insert(table.end(), {
                                {"capitalize", map_text<capitalize, 16>},
                                {"center", center},
                                {"format", format},
                                {"indent", indent},
                                {"lower", map_text<to_lower, 4>},
                                {"replace", replace},
                                {"string", string},
                                {"title", title},
                                {"trim", trim},
                                {"truncate", truncate},
                                {"upper", map_text<to_upper, 4>},
                                {"wordcount", wordcount},
                                {"wordwrap", wordwrap},
                            });
}

}  // namespace mistral::text::jinja
