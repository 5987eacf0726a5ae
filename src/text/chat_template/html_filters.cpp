// Filters for HTML and URLs.
#include <algorithm>
#include <set>

#include "text/chat_template/filter_helpers.h"
#include "text/chat_template/html.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {
namespace {

Value escape(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("escape", args, 0, 0);
  return escape_value(self);
}

Value forceescape(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("forceescape", args, 0, 0);
  return Value::markup(escape_html(to_str(self)));
}

Value safe(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("safe", args, 0, 0);
  return self.is_string() ? self.with_markup(true) : Value::markup(to_str(self));
}

Value striptags(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("striptags", args, 0, 0);
  return Value::string(strip_tags(to_str(self)));
}

std::string quoted(const Value& value, bool query) {
  return quote_url(value.kind() == Kind::kBytes ? value.text() : to_str(value), query);
}

Value urlencode(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("urlencode", args, 0, 0);
  const Ref<Iterator> iterator = self.is_string() ? Ref<Iterator>() : try_iterate(self);
  if (!iterator) return Value::string(quoted(self, false));
  TextBuilder out;
  bool first = true;
  const auto pair = [&](const Value& key, const Value& value) {
    if (!first) out.push('&');
    first = false;
    out.append(quoted(key, true));
    out.push('=');
    out.append(quoted(value, true));
  };
  if (self.is_dict()) {
    for (const auto& [key, value] : self.dict().entries()) pair(key, value);
    return Value::string(out.take());
  }
  Value item;
  while (iterator->next(item)) {
    Budget::spend(1);
    const std::vector<Value> parts = collect(item);
    if (parts.size() != 2) {
      throw runtime_error("ValueError: expected a pair of key and value, got {} values",
                          parts.size());
    }
    pair(parts[0], parts[1]);
  }
  return Value::string(out.take());
}

Value xmlattr(Interpreter& in, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("xmlattr", args, {"autospace"});
  if (self.is_undefined()) self.undefined_object().fail();
  if (!self.is_dict()) {
    throw runtime_error("AttributeError: '{}' object has no attribute 'items'", type_name(self));
  }
  TextBuilder out;
  const bool space_first = bound[0].is_missing() || truthy(bound[0]);
  bool first = true;
  for (const auto& [key, value] : self.dict().entries()) {
    if (value.is_none() || value.is_undefined()) continue;
    if (!key.is_string()) throw runtime_error("TypeError: expected string or bytes-like object");
    if (key.text().find_first_of(" \t\n\r\f\v/>=") != std::string::npos) {
      throw runtime_error("ValueError: Invalid character in attribute name: {}", to_repr(key));
    }
    if (!first || space_first) out.push(' ');
    first = false;
    out.append(escape_value(key).text());
    out.append("=\"");
    out.append(escape_value(value).text());
    out.push('"');
  }
  return in.autoescape() ? Value::markup(out.take()) : Value::string(out.take());
}

bool valid_scheme(std::string_view scheme) {
  std::size_t at = 0;
  std::size_t letters = 0;
  while (at < scheme.size()) {
    std::size_t next = at;
    const char32_t c = decode_at(scheme, next);
    if (c != U'_' && c != U'.' && c != U'+' && c != U'-' && !is_alnum(c)) break;
    at = next;
    ++letters;
  }
  const std::string_view rest = scheme.substr(at);
  return letters >= 2 && (rest == ":" || rest == ":/" || rest == "://");
}

Value urlize_filter(Interpreter& in, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments(
      "urlize", args, {"trim_url_limit", "nofollow", "target", "rel", "extra_schemes"});
  UrlizeOptions options;
  options.trim = bound[0];
  std::set<std::string> rel = {"noopener"};
  if (truthy(bound[1])) rel.insert("nofollow");
  if (truthy(bound[3])) {
    if (!bound[3].is_string()) {
      throw runtime_error("AttributeError: '{}' object has no attribute 'split'",
                          type_name(bound[3]));
    }
    std::string_view rest = strip_space(bound[3].text(), StripSide::kBoth);
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find_first_of(" \t\n\r\f\v"), rest.size());
      rel.emplace(rest.substr(0, end));
      rest = strip_space(rest.substr(end), StripSide::kLeft);
    }
  }
  for (const std::string& word : rel) options.rel += (options.rel.empty() ? "" : " ") + word;
  if (truthy(bound[2])) options.target = to_str(bound[2]);
  if (!bound[4].is_missing() && !bound[4].is_none()) {
    for (const Value& scheme : collect(bound[4])) {
      if (!scheme.is_string() || !valid_scheme(scheme.text())) {
        throw runtime_error("{} is not a valid URI scheme prefix.", to_repr(scheme));
      }
      options.extra_schemes.push_back(scheme.text());
    }
  }
  std::string text = urlize(escape_value(self).text(), options);
  return in.autoescape() ? Value::markup(std::move(text)) : Value::string(std::move(text));
}

}  // namespace

void add_html_filters(BuiltinTable& table) {
  table.insert(table.end(), {
                                {"e", escape},
                                {"escape", escape},
                                {"forceescape", forceescape},
                                {"safe", safe},
                                {"striptags", striptags},
                                {"urlencode", urlencode},
                                {"urlize", urlize_filter},
                                {"xmlattr", xmlattr},
                            });
}

}  // namespace mistral::text::jinja
