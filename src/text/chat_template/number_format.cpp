#include "text/chat_template/number_format.h"

#include <charconv>
#include <cmath>

#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {
namespace {

std::string chars(double value, std::chars_format format, int precision) {
  std::string buffer(400 + static_cast<std::size_t>(precision), '\0');
  const auto result =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format, precision);
  buffer.resize(static_cast<std::size_t>(result.ptr - buffer.data()));
  return buffer;
}

// The digits of general notation: fixed or scientific, whichever Python's %g would take.
std::string general(double magnitude, int precision, bool alternate) {
  if (precision == 0) precision = 1;
  const std::string scientific = chars(magnitude, std::chars_format::scientific, precision - 1);
  const std::size_t e = scientific.find('e');
  int exponent = 0;
  const std::size_t digits = e + (scientific[e + 1] == '+' ? 2 : 1);
  std::from_chars(scientific.data() + digits, scientific.data() + scientific.size(), exponent);
  std::string mantissa = scientific.substr(0, e);
  std::string suffix = scientific.substr(e);
  if (exponent >= -4 && exponent < precision) {
    mantissa = chars(magnitude, std::chars_format::fixed, precision - 1 - exponent);
    suffix.clear();
  }
  if (!alternate && mantissa.find('.') != std::string::npos) {
    mantissa.erase(mantissa.find_last_not_of('0') + 1);
    if (mantissa.back() == '.') mantissa.pop_back();
  }
  if (alternate && mantissa.find('.') == std::string::npos) mantissa += '.';
  return mantissa + suffix;
}

}  // namespace

std::string format_magnitude(double magnitude, char conversion, std::int64_t precision,
                             bool alternate) {
  const bool upper = conversion >= 'A' && conversion <= 'Z';
  if (std::isnan(magnitude)) return upper ? "NAN" : "nan";
  if (std::isinf(magnitude)) return upper ? "INF" : "inf";
  if (precision > kMaxFormatWidth) throw limit_error("a precision of {} is too large", precision);
  Budget::require(static_cast<std::size_t>(precision));
  Budget::spend_bytes(static_cast<std::size_t>(precision));
  const int digits = static_cast<int>(precision);
  std::string text;
  switch (conversion) {
    case 'f':
    case 'F':
      text = chars(magnitude, std::chars_format::fixed, digits);
      if (alternate && digits == 0) text += '.';
      break;
    case 'e':
    case 'E':
      text = chars(magnitude, std::chars_format::scientific, digits);
      if (alternate && digits == 0) text.insert(text.find('e'), ".");
      break;
    default:
      text = general(magnitude, digits, alternate);
  }
  return upper ? to_upper(text) : text;
}

std::optional<BigInt> parse_int(std::string_view text, int base) {
  // Decimal digits of every script count.
  std::string ascii;
  const std::string_view stripped = strip_space(text, StripSide::kBoth);
  for (std::size_t i = 0; i < stripped.size();) {
    const char32_t c = decode_at(stripped, i);
    const int digit = c < 0x80 ? -1 : decimal_value(c);
    if (c >= 0x80 && digit < 0) return std::nullopt;
    ascii += c < 0x80 ? static_cast<char>(c) : static_cast<char>('0' + digit);
  }
  std::string_view rest = ascii;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '+' || rest[0] == '-')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  const bool automatic = base == 0;
  bool prefixed = false;
  if (rest.size() > 2 && rest[0] == '0') {
    const char letter = static_cast<char>(rest[1] | 0x20);
    const int implied = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (implied != 0 && (automatic || implied == base)) {
      base = implied;
      rest.remove_prefix(2);
      prefixed = true;
    }
  }
  if (base == 0) base = 10;
  std::string digits;
  bool underscore_allowed = prefixed;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    if (rest[i] == '_') {
      if (!underscore_allowed || i + 1 == rest.size()) return std::nullopt;
      underscore_allowed = false;
    } else {
      digits += rest[i];
      underscore_allowed = true;
    }
  }
  if (digits.empty() || digits.size() > 4300) return std::nullopt;
  const std::optional<BigInt> number = BigInt::parse(digits, base);
  if (!number) return std::nullopt;
  const bool leading_zero = automatic && !prefixed && digits[0] == '0';
  if (leading_zero && !number->is_zero()) return std::nullopt;
  return negative ? -*number : *number;
}

std::optional<double> parse_float(std::string_view text) {
  std::string ascii;
  const std::string_view stripped = strip_space(text, StripSide::kBoth);
  char previous = '\0';
  for (std::size_t i = 0; i < stripped.size();) {
    const char32_t c = decode_at(stripped, i);
    const int digit = decimal_value(c);
    if (c >= 0x80 && digit < 0) return std::nullopt;
    const char letter = c < 0x80 ? static_cast<char>(c) : static_cast<char>('0' + digit);
    const bool is_number = letter >= '0' && letter <= '9';
    // An underscore stands between two digits.
    if (letter == '_' && !(previous >= '0' && previous <= '9')) return std::nullopt;
    if (previous == '_' && !is_number) return std::nullopt;
    if (letter != '_') ascii += letter;
    previous = letter;
  }
  if (previous == '_') return std::nullopt;
  std::string_view rest = ascii;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '+' || rest[0] == '-')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  double value = 0;
  const std::string lowered = to_lower(rest);
  if (lowered == "inf" || lowered == "infinity") {
    value = HUGE_VAL;
  } else if (lowered == "nan") {
    value = std::nan("");
  } else {
    if (rest.empty() || !((rest[0] >= '0' && rest[0] <= '9') || rest[0] == '.'))
      return std::nullopt;
    const auto result = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (result.ptr != rest.data() + rest.size()) return std::nullopt;
    if (result.ec == std::errc::result_out_of_range) {
      // Too large or too small; the exponent's sign tells which.
      const std::size_t e = lowered.find('e');
      const bool tiny =
          (e != std::string::npos && e + 1 < lowered.size() && lowered[e + 1] == '-') ||
          lowered.starts_with("0.") || lowered.starts_with(".");
      value = tiny ? 0.0 : HUGE_VAL;
    } else if (result.ec != std::errc()) {
      return std::nullopt;
    }
  }
  return negative ? -value : value;
}

std::string pad(std::string_view text, std::int64_t width, char align, std::string_view fill) {
  const auto length = static_cast<std::int64_t>(count_code_points(text));
  if (width <= length) return std::string(text);
  const auto missing = static_cast<std::size_t>(width - length);
  // No template is larger than this, so more can only be an attack.
  constexpr std::size_t kMaxFill = std::size_t{1} << 40U;
  if (missing > kMaxFill) throw limit_error("a width of {} is too large", width);
  Budget::require(text.size() + missing * fill.size());
  Budget::spend_bytes(missing * fill.size());
  std::size_t left = 0;
  if (align == '>') left = missing;
  if (align == '^') left = missing / 2;
  std::string result;
  result.reserve(text.size() + missing * fill.size());
  for (std::size_t i = 0; i < left; ++i) result += fill;
  result += text;
  for (std::size_t i = left; i < missing; ++i) result += fill;
  return result;
}

}  // namespace mistral::text::jinja
