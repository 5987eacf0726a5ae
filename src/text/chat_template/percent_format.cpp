#include "text/chat_template/percent_format.h"

#include <cmath>
#include <limits>

#include "text/chat_template/format.h"
#include "text/chat_template/number_format.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {
namespace {

struct Spec {
  bool left = false;
  bool plus = false;
  bool space = false;
  bool alternate = false;
  bool zero = false;
  std::int64_t width = 0;
  std::int64_t precision = -1;
  char32_t conversion = 0;
};

class Formatter {
 public:
  Formatter(const Value& format, const Value& arguments)
      : text_(format.text()), arguments_(arguments), escape_(format.is_markup()) {}

  std::string run() {
    TextBuilder out;
    while (at_ < text_.size()) {
      const std::size_t percent = std::min(text_.find('%', at_), text_.size());
      out.append(text_.substr(at_, percent - at_));
      at_ = percent;
      if (at_ < text_.size()) conversion(out);
    }
    // Unused arguments are an error, except that anything with items may be a mapping.
    const bool mapping = arguments_.is_dict() || arguments_.is_list() ||
                         arguments_.is_undefined() || arguments_.is_instance() ||
                         arguments_.kind() == Kind::kBytes;
    const std::size_t given = arguments_.is_tuple() ? arguments_.items().size() : 1;
    if (next_ < given && !mapping && !named_) {
      throw runtime_error("TypeError: not all arguments converted during string formatting");
    }
    return out.take();
  }

 private:
  char32_t peek() const {
    std::size_t at = at_;
    if (at >= text_.size()) throw runtime_error("ValueError: incomplete format");
    return decode_at(text_, at);
  }

  char32_t take() {
    const char32_t c = peek();
    (void)decode_at(text_, at_);
    return c;
  }

  Value next_argument() {
    if (mapped_) return *mapped_;
    if (arguments_.is_tuple()) {
      if (next_ < arguments_.items().size()) return arguments_.items()[next_++];
    } else if (next_ == 0) {
      ++next_;
      return arguments_;
    }
    throw runtime_error("TypeError: not enough arguments for format string");
  }

  // "(name)" of a mapping; parentheses nest.
  void key() {
    const std::size_t start = ++at_;
    int depth = 1;
    while (depth > 0) {
      if (at_ >= text_.size()) throw runtime_error("ValueError: incomplete format key");
      if (text_[at_] == '(') ++depth;
      if (text_[at_] == ')') --depth;
      ++at_;
    }
    const std::string_view name = text_.substr(start, at_ - 1 - start);
    if (!arguments_.is_dict()) throw runtime_error("TypeError: format requires a mapping");
    const Value* found = arguments_.dict().find(name);
    if (found == nullptr) {
      throw runtime_error("KeyError: {}", to_repr(Value::string(std::string(name))));
    }
    mapped_ = *found;
    named_ = true;
  }

  std::int64_t number() {
    if (peek() == U'*') {
      ++at_;
      const Value value = next_argument();
      if (!value.is_small_int()) throw runtime_error("TypeError: * wants int");
      return value.as_int();
    }
    std::int64_t result = 0;
    while (peek() >= U'0' && peek() <= U'9') {
      result = result * 10 + static_cast<std::int64_t>(take() - U'0');
      if (result > std::numeric_limits<std::int32_t>::max()) {
        throw runtime_error("ValueError: width too big");
      }
    }
    return result;
  }

  void conversion(TextBuilder& out) {
    ++at_;
    if (peek() == U'%') {
      ++at_;
      out.push('%');
      return;
    }
    mapped_.reset();
    Spec spec;
    if (peek() == U'(') key();
    for (bool flag = true; flag;) {
      switch (peek()) {
        case U'-':
          spec.left = true;
          break;
        case U'+':
          spec.plus = true;
          break;
        case U' ':
          spec.space = true;
          break;
        case U'#':
          spec.alternate = true;
          break;
        case U'0':
          spec.zero = true;
          break;
        default:
          flag = false;
      }
      if (flag) ++at_;
    }
    spec.width = number();
    if (spec.width < 0) {
      spec.left = true;
      spec.width = -std::max(spec.width, -kMaxFormatWidth - 1);
    }
    if (peek() == U'.') {
      ++at_;
      spec.precision = std::max<std::int64_t>(number(), 0);
    }
    if (peek() == U'h' || peek() == U'l' || peek() == U'L') ++at_;
    spec.conversion = take();
    if (spec.width > kMaxFormatWidth) throw limit_error("a width of {} is too large", spec.width);
    emit(out, spec);
  }

  void emit(TextBuilder& out, const Spec& spec) {
    switch (spec.conversion) {
      case U's':
        return emit_text(out, spec, text_of(next_argument()));
      case U'r':
        return emit_text(out, spec, escaped(to_repr(next_argument())));
      case U'a':
        return emit_text(out, spec, escaped(to_ascii(next_argument())));
      case U'c':
        return emit_character(out, spec, next_argument());
      case U'd':
      case U'i':
      case U'u':
      case U'o':
      case U'x':
      case U'X':
        return emit_int(out, spec, next_argument());
      case U'e':
      case U'E':
      case U'f':
      case U'F':
      case U'g':
      case U'G':
        return emit_float(out, spec, next_argument());
      default:
        throw runtime_error("ValueError: unsupported format character at index {}", at_);
    }
  }

  std::string escaped(std::string text) const { return escape_ ? escape_html(text) : text; }

  std::string text_of(const Value& value) const {
    return escape_ ? escape_value(value).text() : to_str(value);
  }

  static std::string character(const Value& value) {
    if (value.is_string() && value.string_object().length() == 1) return value.text();
    if (!value.is_int()) throw runtime_error("TypeError: %c requires int or char");
    if (!value.is_small_int() || value.as_int() < 0 || value.as_int() > 0x10FFFF) {
      throw runtime_error("OverflowError: %c arg not in range(0x110000)");
    }
    std::string text;
    append_code_point(text, static_cast<char32_t>(value.as_int()));
    return text;
  }

  static void emit_character(TextBuilder& out, Spec spec, const Value& value) {
    spec.precision = -1;
    emit_text(out, spec, character(value));
  }

  static void emit_text(TextBuilder& out, const Spec& spec, std::string_view text) {
    if (spec.precision >= 0) {
      const auto length = static_cast<std::int64_t>(count_code_points(text));
      const auto keep = static_cast<std::size_t>(std::min(spec.precision, length));
      text = text.substr(0, byte_offset(text, keep, all_ascii(text)));
    }
    out.append(pad(text, spec.width, spec.left ? '<' : '>', " "));
  }

  static void emit_number(TextBuilder& out, const Spec& spec, bool negative,
                          std::string_view prefix, std::string_view digits) {
    std::string head = negative ? "-" : spec.plus ? "+" : spec.space ? " " : "";
    head += prefix;
    const std::int64_t missing =
        spec.width - static_cast<std::int64_t>(head.size() + digits.size());
    if (spec.zero && !spec.left && missing > 0) {
      head += std::string(static_cast<std::size_t>(missing), '0');
    }
    out.append(pad(head + std::string(digits), spec.width, spec.left ? '<' : '>', " "));
  }

  static void emit_int(TextBuilder& out, const Spec& spec, const Value& value) {
    const bool decimal =
        spec.conversion == U'd' || spec.conversion == U'i' || spec.conversion == U'u';
    if (decimal && value.is_undefined()) value.undefined_object().fail();
    if (!value.is_int() && !(decimal && value.is_float())) {
      throw runtime_error("TypeError: %{} format: {} is required, not {}",
                          static_cast<char>(spec.conversion),
                          decimal ? "a real number" : "an integer", type_name(value));
    }
    BigInt number;
    if (value.is_float()) {
      if (!std::isfinite(value.as_float())) {
        throw runtime_error("ValueError: cannot convert float {} to integer",
                            float_repr(value.as_float()));
      }
      number = BigInt::from_double(value.as_float());
    } else {
      number = value.widened();
    }
    const bool negative = number.negative();
    int base = 10;
    if (spec.conversion == U'o') base = 8;
    if (spec.conversion == U'x' || spec.conversion == U'X') base = 16;
    std::string digits = big_int_text(negative ? -number : number, base);
    if (spec.precision > kMaxFormatWidth) {
      throw limit_error("a precision of {} is too large", spec.precision);
    }
    if (spec.precision > static_cast<std::int64_t>(digits.size())) {
      digits.insert(0, static_cast<std::size_t>(spec.precision) - digits.size(), '0');
    }
    std::string prefix;
    if (spec.alternate && base != 10) prefix = base == 8 ? "0o" : "0x";
    if (spec.conversion == U'X') {
      digits = to_upper(digits);
      prefix = to_upper(prefix);
    }
    emit_number(out, spec, negative, prefix, digits);
  }

  static void emit_float(TextBuilder& out, const Spec& spec, const Value& value) {
    if (value.is_undefined()) value.undefined_object().fail();
    if (!value.is_number()) {
      throw runtime_error("TypeError: must be real number, not {}", type_name(value));
    }
    const double number = to_double(value);
    const bool negative = std::signbit(number) && !std::isnan(number);
    emit_number(out, spec, negative, "",
                format_magnitude(std::fabs(number), static_cast<char>(spec.conversion),
                                 spec.precision < 0 ? 6 : spec.precision, spec.alternate));
  }

  const std::string_view text_;
  const Value& arguments_;
  const bool escape_;
  std::size_t at_ = 0;
  std::size_t next_ = 0;
  bool named_ = false;
  std::optional<Value> mapped_;
};

}  // namespace

Value percent_format(const Value& format, const Value& arguments) {
  return Value::string_like(format, Formatter(format, arguments).run());
}

}  // namespace mistral::text::jinja
