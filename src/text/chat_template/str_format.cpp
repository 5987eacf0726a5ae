#include "text/chat_template/str_format.h"

#include <cmath>

#include "text/chat_template/format.h"
#include "text/chat_template/lookup.h"
#include "text/chat_template/number_format.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {
namespace {

// [[fill]align][sign][z][#][0][width][grouping][.precision][type]
struct Spec {
  std::string fill = " ";
  char align = '\0';
  char sign = '\0';
  bool no_negative_zero = false;
  bool alternate = false;
  std::int64_t width = -1;
  char grouping = '\0';
  std::int64_t precision = -1;
  char type = '\0';
};

bool is_align(char32_t c) {
  return c == U'<' || c == U'>' || c == U'=' || c == U'^';
}

std::int64_t read_number(std::string_view spec, std::size_t& at) {
  std::int64_t number = -1;
  while (at < spec.size() && spec[at] >= '0' && spec[at] <= '9') {
    number = std::max<std::int64_t>(number, 0) * 10 + (spec[at++] - '0');
    if (number > kMaxFormatWidth) throw limit_error("a width or precision is too large");
  }
  return number;
}

Spec parse_spec(std::string_view text, std::string_view type) {
  Spec spec;
  std::size_t at = 0;
  bool fill_given = false;
  if (!text.empty()) {
    std::size_t after = 0;
    (void)decode_at(text, after);
    if (after < text.size() && is_align(static_cast<unsigned char>(text[after]))) {
      spec.fill = std::string(text.substr(0, after));
      spec.align = text[after];
      fill_given = true;
      at = after + 1;
    } else if (is_align(static_cast<unsigned char>(text[0]))) {
      spec.align = text[0];
      at = 1;
    }
  }
  const auto accept = [&](std::string_view any) -> char {
    if (at < text.size() && any.find(text[at]) != std::string_view::npos) return text[at++];
    return '\0';
  };
  if (const char sign = accept("+- ")) spec.sign = sign;
  spec.no_negative_zero = accept("z") != '\0';
  spec.alternate = accept("#") != '\0';
  // A leading zero fills numbers between sign and digits, text at its end.
  if (!fill_given && accept("0") != '\0') {
    spec.fill = "0";
    const bool text_type = type == "str";
    if (spec.align == '\0' && !text_type) spec.align = '=';
  }
  spec.width = read_number(text, at);
  spec.grouping = accept(",_");
  if (spec.grouping != '\0' && accept(",_") != '\0') {
    throw runtime_error("ValueError: Cannot specify both ',' and '_'.");
  }
  if (accept(".") != '\0') {
    spec.precision = read_number(text, at);
    if (spec.precision < 0) throw runtime_error("ValueError: Format specifier missing precision");
  }
  if (at + 1 < text.size()) {
    throw runtime_error("ValueError: Invalid format specifier '{}' for object of type '{}'", text,
                        type);
  }
  if (at < text.size()) spec.type = text[at];
  const std::string_view groupable = spec.grouping == ',' ? "deEfFgG%" : "deEfFgG%boxX";
  if (spec.grouping != '\0' && spec.type != '\0' &&
      groupable.find(spec.type) == std::string_view::npos) {
    throw runtime_error("ValueError: Cannot specify '{}' with '{}'.", std::string(1, spec.grouping),
                        std::string(1, spec.type));
  }
  return spec;
}

[[noreturn]] void unknown_code(const Spec& spec, std::string_view type) {
  throw runtime_error("ValueError: Unknown format code '{}' for object of type '{}'",
                      std::string(1, spec.type), type);
}

// Inserts separators every `group` digits from the right; `total` is the width to reach with
// zeros (0: none).
std::string group_digits(const std::string& digits, char separator, std::size_t group,
                         std::int64_t total) {
  if (separator == '\0') {
    std::string result = digits;
    if (total > static_cast<std::int64_t>(result.size())) {
      result.insert(0, static_cast<std::size_t>(total) - result.size(), '0');
    }
    return result;
  }
  std::string reversed;
  std::size_t count = 0;
  for (std::size_t i = digits.size();
       i > 0 || static_cast<std::int64_t>(reversed.size()) < total;) {
    if (count == group) {
      reversed += separator;
      count = 0;
    }
    reversed += i > 0 ? digits[--i] : '0';
    ++count;
  }
  return {reversed.rbegin(), reversed.rend()};
}

// Puts sign, prefix, digits and fill together. `tail` is what follows the grouped whole part.
std::string assemble(const Spec& spec, bool negative, const std::string& prefix,
                     const std::string& whole, const std::string& tail, std::size_t group) {
  std::string head = negative ? "-" : "";
  if (!negative && (spec.sign == '+' || spec.sign == ' ')) head = std::string(1, spec.sign);
  head += prefix;
  const char align = spec.align == '\0' ? '>' : spec.align;
  std::int64_t total = 0;
  if (align == '=' && spec.fill == "0") {
    total = spec.width - static_cast<std::int64_t>(head.size() + tail.size());
  }
  const std::string body = group_digits(whole, spec.grouping, group, total) + tail;
  if (align == '=') {
    return head + pad(body, spec.width - static_cast<std::int64_t>(head.size()), '>', spec.fill);
  }
  return pad(head + body, spec.width, align, spec.fill);
}

std::string format_float(double number, const Spec& spec, std::string_view type) {
  std::int64_t precision = spec.precision;
  char conversion = spec.type;
  std::string digits;
  const double magnitude = std::fabs(number);
  bool negative = std::signbit(number) && !std::isnan(number);
  if (conversion == '\0' && precision < 0) {
    digits = float_repr(magnitude);
    if (spec.alternate && digits.find('.') == std::string::npos) {
      const std::size_t e = digits.find('e');
      if (e != std::string::npos) digits.insert(e, ".");
    }
  } else {
    if (precision < 0) precision = 6;
    switch (conversion) {
      case '%':
        digits = format_magnitude(magnitude * 100, 'f', precision, spec.alternate) + "%";
        break;
      case '\0': {
        // Like g, but scientific one digit earlier and never without a fraction.
        if (precision == 0) precision = 1;
        digits = format_magnitude(magnitude, 'g', precision, spec.alternate);
        const bool plain = digits.find_first_of("en") == std::string::npos;
        const std::size_t whole = std::min(digits.find('.'), digits.size());
        const bool leading = digits[0] != '0' || magnitude == 0;
        if (plain && leading && static_cast<std::int64_t>(whole) >= precision) {
          digits = format_magnitude(magnitude, 'e', precision - 1, spec.alternate);
          const std::size_t e = digits.find('e');
          std::string mantissa = digits.substr(0, e);
          if (mantissa.find('.') != std::string::npos && !spec.alternate) {
            mantissa.erase(mantissa.find_last_not_of('0') + 1);
            if (mantissa.back() == '.') mantissa.pop_back();
          }
          digits = mantissa + digits.substr(e);
        } else if (plain && whole == digits.size()) {
          digits += ".0";
        }
        break;
      }
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        digits = format_magnitude(magnitude, conversion, precision, spec.alternate);
        break;
      case 'n':
        digits = format_magnitude(magnitude, 'g', precision, spec.alternate);
        break;
      default:
        unknown_code(spec, type);
    }
  }
  if (spec.no_negative_zero && digits.find_first_of("123456789in") == std::string::npos) {
    negative = false;
  }
  std::size_t whole = 0;
  while (whole < digits.size() && digits[whole] >= '0' && digits[whole] <= '9') ++whole;
  return assemble(spec, negative, "", digits.substr(0, whole), digits.substr(whole), 3);
}

std::string format_int(const Value& value, const Spec& spec) {
  const std::string_view type = type_name(value);
  if (std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos && spec.type != '\0') {
    return format_float(to_double(value), spec, type);
  }
  if (spec.no_negative_zero) {
    throw runtime_error(
        "ValueError: Negative zero coercion (z) not allowed in integer format specifier");
  }
  if (spec.precision >= 0) {
    throw runtime_error("ValueError: Precision not allowed in integer format specifier");
  }
  const BigInt number = value.widened();
  int base = 10;
  std::string prefix;
  switch (spec.type) {
    case '\0':
    case 'd':
    case 'n':
      break;
    case 'c': {
      if (spec.sign != '\0' || spec.alternate) {
        throw runtime_error(
            "ValueError: Sign and alternate form not allowed with integer format specifier 'c'");
      }
      if (!value.is_small_int() || value.as_int() < 0 || value.as_int() > 0x10FFFF) {
        throw runtime_error("OverflowError: %c arg not in range(0x110000)");
      }
      std::string text;
      append_code_point(text, static_cast<char32_t>(value.as_int()));
      return pad(text, spec.width, spec.align == '\0' || spec.align == '=' ? '>' : spec.align,
                 spec.fill);
    }
    case 'b':
      base = 2;
      prefix = "0b";
      break;
    case 'o':
      base = 8;
      prefix = "0o";
      break;
    case 'x':
      base = 16;
      prefix = "0x";
      break;
    case 'X':
      base = 16;
      prefix = "0X";
      break;
    default:
      unknown_code(spec, type);
  }
  std::string digits = big_int_text(number.negative() ? -number : number, base);
  if (spec.type == 'X') digits = to_upper(digits);
  return assemble(spec, number.negative(), spec.alternate ? prefix : "", digits, "",
                  base == 10 ? 3 : 4);
}

std::string format_string(const Value& value, const Spec& spec) {
  if (spec.type != '\0' && spec.type != 's') unknown_code(spec, type_name(value));
  if (spec.align == '=' || spec.sign != '\0' || spec.alternate || spec.no_negative_zero) {
    throw runtime_error(
        "ValueError: '=', sign, '#' and 'z' are not allowed in a string format specifier");
  }
  if (spec.grouping != '\0') {
    throw runtime_error("ValueError: Cannot specify '{}' with 's'.", std::string(1, spec.grouping));
  }
  std::string_view text = value.text();
  if (spec.precision >= 0) {
    const auto length = static_cast<std::int64_t>(value.string_object().length());
    const auto keep = static_cast<std::size_t>(std::min(spec.precision, length));
    text = text.substr(0, byte_offset(text, keep, value.string_object().ascii()));
  }
  return pad(text, spec.width, spec.align == '\0' ? '<' : spec.align, spec.fill);
}

class Formatter {
 public:
  Formatter(const CallArgs& args, bool escape) : args_(args), escape_(escape) {}

  // NOLINTNEXTLINE(misc-no-recursion): a specification may hold fields, one level deep.
  std::string run(std::string_view text, int depth) {
    if (depth > 2) throw runtime_error("ValueError: Max string recursion exceeded");
    TextBuilder out;
    for (std::size_t i = 0; i < text.size();) {
      const char c = text[i];
      const bool doubled = i + 1 < text.size() && text[i + 1] == c;
      if (c != '{' && c != '}') {
        const std::size_t end = std::min(text.find_first_of("{}", i), text.size());
        out.append(text.substr(i, end - i));
        i = end;
      } else if (doubled) {
        out.push(c);
        i += 2;
      } else if (c == '}') {
        throw runtime_error("ValueError: Single '}}' encountered in format string");
      } else {
        out.append(field(text, ++i, depth));
      }
    }
    return out.take();
  }

 private:
  // The field that starts at `i`, behind its brace; moves behind the closing one.
  std::string field(std::string_view text, std::size_t& i, int depth) {
    if (i >= text.size())
      throw runtime_error("ValueError: Single '{{' encountered in format string");
    const std::size_t start = i;
    int braces = 1;
    int brackets = 0;
    std::size_t name_end = std::string_view::npos;
    for (; i < text.size(); ++i) {
      const char c = text[i];
      if (name_end == std::string_view::npos) {
        if (c == '[') brackets = 1;
        if (c == ']') brackets = 0;
        if (brackets != 0) continue;
        if (c == '!' || c == ':') name_end = i;
      }
      if (c == '{') ++braces;
      if (c == '}' && --braces == 0) break;
    }
    if (i >= text.size()) throw runtime_error("ValueError: expected '}}' before end of string");
    const std::string_view whole = text.substr(start, i - start);
    ++i;
    std::string_view name = whole;
    std::string_view rest;
    if (name_end != std::string_view::npos) {
      name = whole.substr(0, name_end - start);
      rest = whole.substr(name_end - start);
    }
    Value value = lookup(name);
    if (!rest.empty() && rest[0] == '!') {
      std::size_t at = 1;
      if (rest.size() < 2)
        throw runtime_error("ValueError: end of string while looking for conversion specifier");
      const char32_t conversion = decode_at(rest, at);
      if (at < rest.size() && rest[at] != ':') {
        throw runtime_error("ValueError: expected ':' after conversion specifier");
      }
      value = convert(value, conversion);
      rest = rest.substr(at);
    }
    if (!rest.empty()) rest.remove_prefix(1);
    return print(value, run(rest, depth + 1));
  }

  static Value convert(const Value& value, char32_t conversion) {
    if (conversion == U's') return Value::string(to_str(value));
    if (conversion == U'r') return Value::string(to_repr(value));
    if (conversion == U'a') return Value::string(to_ascii(value));
    throw runtime_error("ValueError: Unknown conversion specifier");
  }

  std::string print(const Value& value, const std::string& spec) const {
    if (!escape_) return format_value(value, spec);
    if (value.is_markup()) {
      if (!spec.empty()) {
        throw runtime_error("ValueError: Unsupported format specification for Markup.");
      }
      return value.text();
    }
    return escape_html(format_value(value, spec));
  }

  Value lookup(std::string_view name) {
    const std::size_t end = std::min(name.find_first_of(".["), name.size());
    Value value = first(name.substr(0, end), name);
    for (std::size_t at = end; at < name.size();) {
      if (name[at] == '.') {
        const std::size_t stop = std::min(name.find_first_of(".[", at + 1), name.size());
        if (stop == at + 1) throw runtime_error("ValueError: Empty attribute in format string");
        value = get_attribute(value, name.substr(at + 1, stop - at - 1));
        at = stop;
      } else if (name[at] == '[') {
        const std::size_t stop = name.find(']', at);
        if (stop == std::string_view::npos) {
          throw runtime_error("ValueError: Missing ']' in format string");
        }
        const std::string key(name.substr(at + 1, stop - at - 1));
        if (key.empty()) throw runtime_error("ValueError: Empty attribute in format string");
        const auto index = number(key);
        value = get_item(value, index ? Value::integer(*index) : Value::string(key));
        at = stop + 1;
      } else {
        throw runtime_error("ValueError: Only '.' or '[' may follow ']' in format field specifier");
      }
    }
    return value;
  }

  static std::optional<std::int64_t> number(std::string_view text) {
    if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) {
      return std::nullopt;
    }
    if (text.size() > 18)
      throw runtime_error("ValueError: Too many decimal digits in format string");
    std::int64_t value = 0;
    for (const char c : text) value = value * 10 + (c - '0');
    return value;
  }

  // The argument that a field starts from. Only fields that are just a number, or nothing, take
  // part in the numbering.
  Value first(std::string_view name, std::string_view field) {
    if (field.empty()) {
      if (manual_) {
        throw runtime_error(
            "ValueError: cannot switch from manual field specification to automatic field "
            "numbering");
      }
      automatic_ = true;
    } else if (number(field)) {
      if (automatic_) {
        throw runtime_error(
            "ValueError: cannot switch from automatic field numbering to manual field "
            "specification");
      }
      manual_ = true;
    }
    const std::optional<std::int64_t> index = field.empty() ? next_++ : number(name);
    if (index) {
      if (*index >= static_cast<std::int64_t>(args_.positional.size())) {
        throw runtime_error(
            "IndexError: Replacement index {} out of range for positional args tuple", *index);
      }
      return args_.positional[static_cast<std::size_t>(*index)];
    }
    for (const auto& [key, value] : args_.keyword) {
      if (key.text() == name) return value;
    }
    throw runtime_error("KeyError: '{}'", name);
  }

  const CallArgs& args_;
  const bool escape_;
  std::int64_t next_ = 0;
  bool automatic_ = false;
  bool manual_ = false;
};

}  // namespace

std::string format_value(const Value& value, std::string_view spec) {
  if (spec.empty()) return to_str(value);
  if (value.is_int()) return format_int(value, parse_spec(spec, "int"));
  if (value.is_float()) return format_float(value.as_float(), parse_spec(spec, "float"), "float");
  if (value.is_string()) return format_string(value, parse_spec(spec, "str"));
  throw runtime_error("TypeError: unsupported format string passed to {}.__format__",
                      type_name(value));
}

Value str_format(const Value& format, const CallArgs& args) {
  Formatter formatter(args, format.is_markup());
  return Value::string_like(format, formatter.run(format.text(), 0));
}

}  // namespace mistral::text::jinja
