// Filters on numbers, and conversions to them.
#include <array>
#include <charconv>
#include <cmath>

#include "text/chat_template/filter_helpers.h"
#include "text/chat_template/number_format.h"
#include "text/chat_template/operators.h"

namespace mistral::text::jinja {
namespace {

[[noreturn]] void not_a_number(std::string_view function, const Value& value) {
  throw runtime_error("TypeError: {}() argument must be a number, not '{}'", function,
                      type_name(value));
}

Value abs(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("abs", args, 0, 0);
  if (!self.is_number()) not_a_number("abs", self);
  if (self.is_float()) return Value::floating(std::fabs(self.as_float()));
  const BigInt number = self.widened();
  return Value::integer(number.negative() ? -number : number);
}

// int(float): nothing for nan and the infinities.
std::optional<Value> whole(double number) {
  if (!std::isfinite(number)) return std::nullopt;
  return Value::integer(BigInt::from_double(number));
}

Value to_int(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("int", args, {"default", "base"});
  const Value fallback = bound[0].is_missing() ? Value::integer(std::int64_t{0}) : bound[0];
  if (self.is_undefined()) self.undefined_object().fail();
  if (self.is_int()) return Value::integer(self.widened());
  if (self.is_float()) {
    if (std::isinf(self.as_float())) {
      throw runtime_error("OverflowError: cannot convert float infinity to integer");
    }
    return whole(self.as_float()).value_or(fallback);
  }
  if (!self.is_string()) return fallback;
  Budget::spend_bytes(self.text().size() * 128);
  const Value base = bound[1].is_missing() ? Value::integer(std::int64_t{10}) : bound[1];
  const bool usable =
      base.is_small_int() && (base.as_int() == 0 || (base.as_int() >= 2 && base.as_int() <= 36));
  if (usable) {
    if (const auto number = parse_int(self.text(), static_cast<int>(base.as_int()))) {
      return Value::integer(*number);
    }
  }
  const auto number = parse_float(self.text());
  return number ? whole(*number).value_or(fallback) : fallback;
}

Value to_float(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("float", args, {"default"});
  if (self.is_undefined()) self.undefined_object().fail();
  if (self.is_number()) return Value::floating(to_double(self));
  if (self.is_string()) {
    Budget::spend_bytes(self.text().size() * 8);
    if (const auto number = parse_float(self.text())) return Value::floating(*number);
  }
  return bound[0].is_missing() ? Value::floating(0) : bound[0];
}

BigInt power_of_ten(std::int64_t exponent) {
  BigInt result(1);
  Budget::spend(static_cast<std::uint64_t>(exponent));
  for (std::int64_t i = 0; i < exponent; ++i) result = result * BigInt(10);
  return result;
}

// The multiple of 10^digits nearest to `number` (plus a fraction if `sticky`), ties to even.
BigInt round_to_tens(const BigInt& number, bool sticky, std::int64_t digits) {
  const BigInt unit = power_of_ten(digits);
  auto [quotient, remainder] = floor_divide(number, unit);
  const auto order = remainder + remainder <=> unit;
  const bool up = order > 0 || (order == 0 && (sticky || quotient.odd()));
  if (up) quotient = quotient + BigInt(1);
  return quotient * unit;
}

Value round_int(const Value& value, std::int64_t precision) {
  const BigInt number = value.widened();
  if (precision >= 0) return Value::integer(number);
  if (-precision > static_cast<std::int64_t>(number.bits())) {
    return Value::integer(std::int64_t{0});
  }
  const BigInt rounded = round_to_tens(number.negative() ? -number : number, false, -precision);
  return Value::integer(number.negative() ? -rounded : rounded);
}

double round_float(double number, std::int64_t precision) {
  // Beyond these no digit changes, or none is left.
  constexpr std::int64_t kMostDigits = 323;
  constexpr std::int64_t kFewestDigits = -308;
  if (!std::isfinite(number) || precision > kMostDigits) return number;
  if (precision < kFewestDigits) return std::copysign(0.0, number);
  if (precision < 0) {
    const double magnitude = std::fabs(number);
    const BigInt rounded = round_to_tens(BigInt::from_double(magnitude),
                                         magnitude != std::floor(magnitude), -precision);
    const auto result = rounded.to_double();
    if (!result) throw runtime_error("OverflowError: rounded value too large to represent");
    return std::copysign(*result, number);
  }
  const std::string digits = format_magnitude(std::fabs(number), 'f', precision, false);
  double result = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), result);
  return std::copysign(result, number);
}

Value round(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("round", args, {"precision", "method"});
  const std::string method = bound[1].is_missing()  ? "common"
                             : bound[1].is_string() ? bound[1].text()
                                                    : std::string();
  if (method != "common" && method != "ceil" && method != "floor") {
    throw runtime_error("method must be common, ceil or floor");
  }
  const Value precision = bound[0].is_missing() ? Value::integer(std::int64_t{0}) : bound[0];
  if (method == "common") {
    if (!self.is_number()) {
      throw runtime_error("TypeError: type {} doesn't define __round__ method", type_name(self));
    }
    const bool plain = precision.is_none();
    const std::int64_t digits = plain ? 0 : to_index(precision);
    if (self.is_int()) return round_int(self, digits);
    const double rounded = round_float(self.as_float(), digits);
    if (!plain) return Value::floating(rounded);
    const auto integer = whole(rounded);
    if (!integer) throw runtime_error("ValueError: cannot convert float to integer");
    return *integer;
  }
  const Value factor = binary(BinaryOp::kPow, Value::integer(std::int64_t{10}), precision);
  const Value scaled = binary(BinaryOp::kMul, self, factor);
  if (!scaled.is_number()) not_a_number(method, scaled);
  Value integer = scaled;
  if (scaled.is_float()) {
    const double number = scaled.as_float();
    const auto result = whole(method == "ceil" ? std::ceil(number) : std::floor(number));
    if (!result) throw runtime_error("OverflowError: cannot convert float to integer");
    integer = *result;
  }
  return binary(BinaryOp::kDiv, integer, factor);
}

Value filesizeformat(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("filesizeformat", args, {"binary"});
  if (self.is_undefined()) self.undefined_object().fail();
  std::optional<double> bytes;
  if (self.is_number()) bytes = to_double(self);
  if (self.is_string()) bytes = parse_float(self.text());
  if (!bytes) throw runtime_error("ValueError: could not convert to float: {}", to_repr(self));
  const bool binary_units = truthy(bound[0]);
  const double base = binary_units ? 1024 : 1000;
  constexpr std::array<char, 8> kDecimal = {'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'};
  if (*bytes == 1) return Value::string("1 Byte");
  if (*bytes < base) {
    const auto count = whole(*bytes);
    if (!count) throw runtime_error("OverflowError: cannot convert float infinity to integer");
    return Value::string(to_str(*count) + " Bytes");
  }
  double unit = base;
  std::size_t index = 0;
  for (;; ++index) {
    unit *= base;
    if (*bytes < unit || index + 1 == kDecimal.size()) break;
  }
  const double scaled = base * *bytes / unit;
  std::string text = std::signbit(scaled) && !std::isnan(scaled) ? "-" : "";
  text += format_magnitude(std::fabs(scaled), 'f', 1, false) + " ";
  text += index == 0 && binary_units ? 'K' : kDecimal[index];
  return Value::string(text + (binary_units ? "iB" : "B"));
}

}  // namespace

void add_number_filters(BuiltinTable& table) {
  table.insert(table.end(), {
                                {"abs", abs},
                                {"filesizeformat", filesizeformat},
                                {"float", to_float},
                                {"int", to_int},
                                {"round", round},
                            });
}

}  // namespace mistral::text::jinja
