#include "text/chat_template/format.h"

#include <charconv>
#include <cmath>

#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {
namespace {

void append_escape(TextBuilder& out, char32_t c) {
  if (c < 0x100) {
    out.append(fmt::format("\\x{:02x}", static_cast<unsigned>(c)));
  } else if (c < 0x10000) {
    out.append(fmt::format("\\u{:04x}", static_cast<unsigned>(c)));
  } else {
    out.append(fmt::format("\\U{:08x}", static_cast<unsigned>(c)));
  }
}

char quote_for(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  const bool both = single && text.find('"') != std::string_view::npos;
  return single && !both ? '"' : '\'';
}

// True if the character was one of those that have a short escape.
bool append_short_escape(TextBuilder& out, char32_t c, char quote) {
  switch (c) {
    case U'\\':
      out.append("\\\\");
      return true;
    case U'\n':
      out.append("\\n");
      return true;
    case U'\r':
      out.append("\\r");
      return true;
    case U'\t':
      out.append("\\t");
      return true;
    default:
      if (c != static_cast<unsigned char>(quote)) return false;
      out.push('\\');
      out.push(quote);
      return true;
  }
}

constexpr std::uint64_t kStepsPerEscape = 4;

void append_string_repr(TextBuilder& out, std::string_view text) {
  const char quote = quote_for(text);
  out.push(quote);
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t start = i;
    const char32_t c = decode_at(text, i);
    if (append_short_escape(out, c, quote)) continue;
    if (c == U' ' || is_printable(c)) {
      out.append(text.substr(start, i - start));
    } else {
      Budget::spend(kStepsPerEscape);
      append_escape(out, c);
    }
  }
  out.push(quote);
}

void append_bytes_repr(TextBuilder& out, std::string_view data) {
  const char quote = quote_for(data);
  out.push('b');
  out.push(quote);
  for (const char byte : data) {
    const char32_t c = static_cast<unsigned char>(byte);
    if (append_short_escape(out, c, quote)) continue;
    if (c >= 0x20 && c < 0x7F) {
      out.push(byte);
    } else {
      append_escape(out, c);
    }
  }
  out.push(quote);
}

void append_sequence_repr(TextBuilder& out, const Value& value, int depth) {
  const auto& items = value.items();
  out.push(value.is_list() ? '[' : '(');
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i != 0) out.append(", ");
    append_repr(out, items[i], depth + 1);
  }
  if (value.is_tuple() && items.size() == 1) out.push(',');
  out.push(value.is_list() ? ']' : ')');
}

void append_dict_repr(TextBuilder& out, const DictObject& dict, int depth) {
  out.push('{');
  bool first = true;
  for (const auto& [key, item] : dict.entries()) {
    if (!first) out.append(", ");
    first = false;
    append_repr(out, key, depth + 1);
    out.append(": ");
    append_repr(out, item, depth + 1);
  }
  out.push('}');
}

}  // namespace

std::string float_repr(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, number, std::chars_format::scientific).ptr;
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  const std::size_t e = text.find('e');
  std::string digits;
  for (const char c : text.substr(0, e)) {
    if (c >= '0' && c <= '9') digits += c;
  }
  const bool negative_exponent = text[e + 1] == '-';
  int exponent = 0;
  std::from_chars(text.data() + e + 2, text.data() + text.size(), exponent);
  if (negative_exponent) exponent = -exponent;

  std::string result = text[0] == '-' ? "-" : "";
  // The range in which Python writes digits rather than an exponent.
  if (exponent < -4 || exponent >= 16) {
    result += digits[0];
    if (digits.size() > 1) result += "." + digits.substr(1);
    const int magnitude = negative_exponent ? -exponent : exponent;
    return result + fmt::format("e{}{:02}", negative_exponent ? '-' : '+', magnitude);
  }
  if (exponent < 0) {
    return result + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  }
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole)
    return result + digits + std::string(whole - digits.size(), '0') + ".0";
  return result + digits.substr(0, whole) + "." + digits.substr(whole);
}

void append_repr(TextBuilder& out, const Value& value, int depth) {
  if (depth > kMaxDataDepth) throw limit_error("printing of data nested too deep");
  Budget::spend(1);
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      out.append("Undefined");
      break;
    case Kind::kNone:
      out.append("None");
      break;
    case Kind::kBool:
      out.append(value.as_bool() ? "True" : "False");
      break;
    case Kind::kInt:
      out.append(fmt::format_int(value.as_int()).c_str());
      break;
    case Kind::kBigInt:
      out.append(big_int_text(value.as_big_int()));
      break;
    case Kind::kFloat:
      out.append(float_repr(value.as_float()));
      break;
    case Kind::kString:
      Budget::spend_bytes(value.text().size());
      if (value.is_markup()) out.append("Markup(");
      append_string_repr(out, value.text());
      if (value.is_markup()) out.push(')');
      break;
    case Kind::kBytes:
      append_bytes_repr(out, value.text());
      break;
    case Kind::kList:
    case Kind::kTuple:
      append_sequence_repr(out, value, depth);
      break;
    case Kind::kDict:
      append_dict_repr(out, value.dict(), depth);
      break;
    case Kind::kInstance:
      out.append(value.instance().repr());
      break;
  }
}

void append_str(TextBuilder& out, const Value& value) {
  if (value.is_string()) {
    Budget::spend_bytes(value.text().size());
    out.append(value.text());
  } else if (!value.is_undefined()) {
    append_repr(out, value);
  }
}

std::string to_str(const Value& value) {
  if (value.is_string()) return value.text();
  if (value.is_undefined()) return {};
  return to_repr(value);
}

std::string to_repr(const Value& value) {
  TextBuilder out;
  append_repr(out, value);
  return out.take();
}

std::string to_ascii(const Value& value) {
  const std::string text = to_repr(value);
  if (all_ascii(text)) return text;
  TextBuilder out;
  for (std::size_t i = 0; i < text.size();) {
    const char32_t c = decode_at(text, i);
    if (c < 0x80) {
      out.push(static_cast<char>(c));
    } else {
      append_escape(out, c);
    }
  }
  return out.take();
}

std::string escape_html(std::string_view text) {
  Budget::spend_bytes(text.size());
  TextBuilder out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out.append("&amp;");
        break;
      case '<':
        out.append("&lt;");
        break;
      case '>':
        out.append("&gt;");
        break;
      case '\'':
        out.append("&#39;");
        break;
      case '"':
        out.append("&#34;");
        break;
      default:
        out.push(c);
    }
  }
  return out.take();
}

Value escape_value(const Value& value) {
  if (value.is_markup()) return value;
  return Value::markup(escape_html(to_str(value)));
}

}  // namespace mistral::text::jinja
