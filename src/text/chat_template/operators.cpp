#include "text/chat_template/operators.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "text/chat_template/format.h"
#include "text/chat_template/percent_format.h"
#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {
namespace {

constexpr std::string_view kSymbols[] = {"+", "-", "*", "/", "//", "%", "** or pow()"};

[[noreturn]] void unsupported(BinaryOp op, const Value& left, const Value& right) {
  throw runtime_error("TypeError: unsupported operand type(s) for {}: '{}' and '{}'",
                      kSymbols[static_cast<int>(op)], type_name(left), type_name(right));
}

double floor_mod(double a, double b) {
  double remainder = std::fmod(a, b);
  if (remainder != 0) {
    if ((b < 0) != (remainder < 0)) remainder += b;
  } else {
    remainder = std::copysign(0.0, b);
  }
  return remainder;
}

double floor_quotient(double a, double b) {
  const double remainder = std::fmod(a, b);
  double quotient = (a - remainder) / b;
  if (remainder != 0 && (b < 0) != (remainder < 0)) quotient -= 1;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floored = std::floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}

Value float_power(double base, double exponent) {
  if (base == 0 && exponent < 0) {
    throw runtime_error("ZeroDivisionError: 0.0 cannot be raised to a negative power");
  }
  if (base < 0 && std::isfinite(base) && std::isfinite(exponent) &&
      exponent != std::floor(exponent)) {
    throw runtime_error("the result would be a complex number, which templates cannot use");
  }
  const double result = std::pow(base, exponent);
  if (std::isinf(result) && std::isfinite(base) && std::isfinite(exponent)) {
    throw runtime_error("OverflowError: (34, 'Numerical result out of range')");
  }
  return Value::floating(result);
}

// Multiplication works limb by limb, division bit by bit.
void spend_big(const BigInt& a, const BigInt& b, bool division) {
  const std::size_t left = division ? a.bits() : a.bits() / 32;
  Budget::spend(1 + (left + 1) * (b.bits() / 32 + 1) / 16);
}

Value int_power(const Value& left, const Value& right) {
  if (right.kind() == Kind::kBigInt ? right.as_big_int().negative() : right.as_int() < 0) {
    return float_power(to_double(left), to_double(right));
  }
  BigInt base = left.widened();
  if (right.kind() == Kind::kBigInt || (base.bits() > 1 && right.as_int() > 100'000)) {
    if (base.bits() <= 1) return Value::integer(right.widened().odd() ? base : base * base);
    throw limit_error("the power has too many digits");
  }
  BigInt result(1);
  for (std::int64_t exponent = right.as_int(); exponent > 0; exponent >>= 1) {
    spend_big(base, base, false);
    if ((exponent & 1) != 0) result = result * base;
    if (exponent > 1) base = base * base;
    if (result.bits() > 40'000 || base.bits() > 40'000) {
      throw limit_error("the power has too many digits");
    }
  }
  return Value::integer(std::move(result));
}

Value big_arithmetic(BinaryOp op, const BigInt& a, const BigInt& b) {
  spend_big(a, b, op == BinaryOp::kFloorDiv || op == BinaryOp::kMod);
  switch (op) {
    case BinaryOp::kAdd:
      return Value::integer(a + b);
    case BinaryOp::kSub:
      return Value::integer(a - b);
    case BinaryOp::kMul:
      return Value::integer(a * b);
    default: {
      if (b.is_zero()) throw runtime_error("ZeroDivisionError: integer division or modulo by zero");
      auto [quotient, remainder] = floor_divide(a, b);
      return Value::integer(op == BinaryOp::kFloorDiv ? std::move(quotient) : std::move(remainder));
    }
  }
}

Value int_arithmetic(BinaryOp op, const Value& left, const Value& right) {
  if (left.is_small_int() && right.is_small_int()) {
    const std::int64_t a = left.as_int();
    const std::int64_t b = right.as_int();
    std::int64_t result = 0;
    switch (op) {
      case BinaryOp::kAdd:
        if (!__builtin_add_overflow(a, b, &result)) return Value::integer(result);
        break;
      case BinaryOp::kSub:
        if (!__builtin_sub_overflow(a, b, &result)) return Value::integer(result);
        break;
      case BinaryOp::kMul:
        if (!__builtin_mul_overflow(a, b, &result)) return Value::integer(result);
        break;
      default:
        if (b == 0) {
          throw runtime_error("ZeroDivisionError: integer division or modulo by zero");
        }
        if (b != -1) {
          const std::int64_t remainder = a % b;
          const bool adjust = remainder != 0 && (remainder < 0) != (b < 0);
          if (op == BinaryOp::kMod) return Value::integer(adjust ? remainder + b : remainder);
          return Value::integer(a / b - (adjust ? 1 : 0));
        }
    }
  }
  return big_arithmetic(op, left.widened(), right.widened());
}

// The quotient of two ints, rounded once.
double true_quotient(const Value& left, const Value& right) {
  constexpr std::int64_t kExact = std::int64_t{1} << 53;
  const auto exact = [](const Value& v) {
    return v.is_small_int() && v.as_int() <= kExact && v.as_int() >= -kExact;
  };
  if (exact(left) && exact(right)) {
    return static_cast<double>(left.as_int()) / static_cast<double>(right.as_int());
  }
  // Scale so that the integer quotient has more bits than a double holds, keep a sticky bit.
  const BigInt a = left.widened();
  const BigInt b = right.widened();
  const auto shift = static_cast<std::int64_t>(b.bits()) - static_cast<std::int64_t>(a.bits()) + 66;
  constexpr std::uint64_t kStepsOfSetup = 100;
  Budget::spend(kStepsOfSetup + static_cast<std::uint64_t>(std::abs(shift)));
  spend_big(a, b, true);
  BigInt factor(1);
  for (std::int64_t i = 0; i < std::abs(shift); ++i) factor = factor + factor;
  const BigInt numerator = shift > 0 ? a * factor : a;
  const BigInt denominator = shift > 0 ? b : b * factor;
  auto [quotient, remainder] = floor_divide(numerator, denominator);
  quotient = quotient + quotient;
  if (!remainder.is_zero()) quotient = quotient + BigInt(1);
  const double scaled = quotient.to_double().value_or(0);
  const double result = std::ldexp(scaled, static_cast<int>(-shift - 1));
  if (std::isinf(result)) {
    throw runtime_error("OverflowError: integer division result too large for a float");
  }
  return result;
}

Value numeric(BinaryOp op, const Value& left, const Value& right) {
  if (left.is_int() && right.is_int()) {
    if (op == BinaryOp::kPow) return int_power(left, right);
    if (op != BinaryOp::kDiv) return int_arithmetic(op, left, right);
    if (!truthy(right)) throw runtime_error("ZeroDivisionError: division by zero");
    return Value::floating(true_quotient(left, right));
  }
  const double a = to_double(left);
  const double b = to_double(right);
  switch (op) {
    case BinaryOp::kAdd:
      return Value::floating(a + b);
    case BinaryOp::kSub:
      return Value::floating(a - b);
    case BinaryOp::kMul:
      return Value::floating(a * b);
    case BinaryOp::kPow:
      return float_power(a, b);
    default:
      if (b == 0) throw runtime_error("ZeroDivisionError: float division by zero");
      if (op == BinaryOp::kDiv) return Value::floating(a / b);
      return Value::floating(op == BinaryOp::kMod ? floor_mod(a, b) : floor_quotient(a, b));
  }
}

Value concatenate(const Value& left, const Value& right) {
  if (left.is_string() && right.is_string()) {
    if (left.is_markup() || right.is_markup()) {
      const Value a = escape_value(left);
      const Value b = escape_value(right);
      Budget::require(a.text().size() + b.text().size());
      return Value::markup(a.text() + b.text());
    }
    const std::size_t size = left.text().size() + right.text().size();
    Budget::spend_bytes(size);
    Budget::require(size);
    std::string text;
    text.reserve(size);
    text += left.text();
    text += right.text();
    return Value::string(std::move(text));
  }
  if (left.is_markup() || right.is_markup()) unsupported(BinaryOp::kAdd, left, right);
  if (left.kind() == Kind::kBytes && right.kind() == Kind::kBytes) {
    Budget::require(left.text().size() + right.text().size());
    return Value::bytes(left.text() + right.text());
  }
  if (left.kind() == right.kind() && left.is_sequence()) {
    ListBuilder items;
    items.reserve(left.items().size() + right.items().size());
    Budget::spend(left.items().size() + right.items().size());
    for (const Value& item : left.items()) items.push(item);
    for (const Value& item : right.items()) items.push(item);
    return left.is_list() ? items.list() : items.tuple();
  }
  if (left.is_string() || left.is_sequence() || left.kind() == Kind::kBytes) {
    throw runtime_error("TypeError: can only concatenate {} (not \"{}\") to {}", type_name(left),
                        type_name(right), type_name(left));
  }
  unsupported(BinaryOp::kAdd, left, right);
}

Value repeat(const Value& value, const Value& times) {
  if (times.kind() == Kind::kBigInt) {
    throw runtime_error("OverflowError: cannot fit 'int' into an index-sized integer");
  }
  const auto count = static_cast<std::uint64_t>(std::max<std::int64_t>(times.as_int(), 0));
  const bool text = value.is_string() || value.kind() == Kind::kBytes;
  const std::uint64_t size = text ? value.text().size() : value.items().size();
  if (size != 0 && count > std::numeric_limits<std::uint32_t>::max() / size) {
    throw limit_error("a repetition of {} items {} times is too large", size, count);
  }
  Budget::spend(text ? size * count / Budget::kBytesPerStep : size * count);
  Budget::require(size * count * (text ? 1 : sizeof(Value)));
  if (text) {
    std::string result;
    if (size != 0) {
      result.reserve(size * count);
      for (std::uint64_t i = 0; i < count; ++i) result += value.text();
    }
    return value.is_string() ? Value::string_like(value, std::move(result))
                             : Value::bytes(std::move(result));
  }
  ListBuilder items;
  if (size != 0) {
    items.reserve(size * count);
    for (std::uint64_t i = 0; i < count; ++i) {
      for (const Value& item : value.items()) items.push(item);
    }
  }
  return value.is_list() ? items.list() : items.tuple();
}

bool repeatable(const Value& value) {
  return value.is_string() || value.is_sequence() || value.kind() == Kind::kBytes;
}

std::partial_ordering order_numbers(const Value& left, const Value& right) {
  if (left.is_small_int() && right.is_small_int()) return left.as_int() <=> right.as_int();
  if (left.is_float() && right.is_float()) return left.as_float() <=> right.as_float();
  if (left.is_int() && right.is_int()) return left.widened() <=> right.widened();
  const bool flipped = left.is_float();
  const double number = flipped ? left.as_float() : right.as_float();
  if (std::isnan(number)) return std::partial_ordering::unordered;
  std::partial_ordering order = std::partial_ordering::equivalent;
  if (std::isinf(number)) {
    order = number > 0 ? std::partial_ordering::less : std::partial_ordering::greater;
  } else {
    const double whole = std::floor(number);
    order = (flipped ? right : left).widened() <=> BigInt::from_double(whole);
    if (order == 0 && whole < number) order = std::partial_ordering::less;
  }
  return flipped ? 0 <=> order : order;
}

constexpr std::string_view kCompareSymbols[] = {"==", "!=", "<", "<=", ">", ">=", "in", "not in"};

bool holds(CompareOp op, std::partial_ordering order) {
  switch (op) {
    case CompareOp::kLt:
      return order < 0;
    case CompareOp::kLe:
      return order <= 0;
    case CompareOp::kGt:
      return order > 0;
    default:
      return order >= 0;
  }
}

bool ordered(CompareOp op, const Value& left, const Value& right, int depth) {
  if (depth > kMaxDataDepth) throw limit_error("comparison of data nested too deep");
  if (left.is_number() && right.is_number()) return holds(op, order_numbers(left, right));
  if (left.is_undefined()) left.undefined_object().fail();
  if (right.is_undefined()) right.undefined_object().fail();
  const bool text = left.is_string() || left.kind() == Kind::kBytes;
  if (text && left.kind() == right.kind()) {
    // UTF-8 sorts like the code points it encodes.
    Budget::spend_bytes(std::min(left.text().size(), right.text().size()));
    return holds(op, left.text().compare(right.text()) <=> 0);
  }
  if (left.is_sequence() && left.kind() == right.kind()) {
    const auto& a = left.items();
    const auto& b = right.items();
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      Budget::spend(1);
      if (!equal(a[i], b[i], depth + 1)) return ordered(op, a[i], b[i], depth + 1);
    }
    return holds(op, a.size() <=> b.size());
  }
  throw runtime_error("TypeError: '{}' not supported between instances of '{}' and '{}'",
                      kCompareSymbols[static_cast<int>(op)], type_name(left), type_name(right));
}

std::int64_t clamp_bound(const Value& bound, std::int64_t fallback) {
  if (bound.is_missing() || bound.is_none()) return fallback;
  if (bound.kind() == Kind::kBigInt) {
    return bound.as_big_int().negative() ? std::numeric_limits<std::int64_t>::min() + 1
                                         : std::numeric_limits<std::int64_t>::max();
  }
  if (!bound.is_small_int()) {
    throw runtime_error(
        "TypeError: slice indices must be integers or None or have an __index__ method");
  }
  return bound.as_int();
}

Value slice_string(const Value& value, const SliceRange& range) {
  const std::string& text = value.text();
  const bool narrow = value.kind() == Kind::kBytes || value.string_object().ascii();
  std::string result;
  const auto wrap = [&](std::string part) {
    return value.is_string() ? Value::string_like(value, std::move(part))
                             : Value::bytes(std::move(part));
  };
  Budget::spend_bytes(text.size());
  if (range.count == 0) return wrap({});
  if (range.step == 1) {
    const auto start = static_cast<std::size_t>(range.start);
    const std::size_t begin = byte_offset(text, start, narrow);
    const std::size_t size = byte_offset(std::string_view(text).substr(begin),
                                         static_cast<std::size_t>(range.count), narrow);
    return wrap(text.substr(begin, size));
  }
  Budget::require(text.size());
  if (narrow) {
    for (std::int64_t i = 0; i < range.count; ++i) {
      result += text[static_cast<std::size_t>(range.start + i * range.step)];
    }
  } else {
    const std::u32string points = decode(text);
    for (std::int64_t i = 0; i < range.count; ++i) {
      append_code_point(result, points[static_cast<std::size_t>(range.start + i * range.step)]);
    }
  }
  return wrap(std::move(result));
}

}  // namespace

double to_double(const Value& number) {
  if (number.is_float()) return number.as_float();
  if (number.is_small_int()) return static_cast<double>(number.as_int());
  const auto converted = number.as_big_int().to_double();
  if (!converted) throw runtime_error("OverflowError: int too large to convert to float");
  return *converted;
}

std::int64_t to_index(const Value& value) {
  if (value.is_small_int()) return value.as_int();
  if (value.kind() == Kind::kBigInt) {
    throw runtime_error("OverflowError: Python int too large to convert to C ssize_t");
  }
  throw runtime_error("TypeError: '{}' object cannot be interpreted as an integer",
                      type_name(value));
}

Value binary(BinaryOp op, const Value& left, const Value& right) {
  if (left.is_number() && right.is_number()) return numeric(op, left, right);
  if (op == BinaryOp::kMod && left.is_string()) return percent_format(left, right);
  if (left.is_undefined()) left.undefined_object().fail();
  // A safe string multiplies itself before it asks the other operand.
  if (op == BinaryOp::kMul && left.is_markup())
    return repeat(left, Value::integer(to_index(right)));
  if (right.is_undefined()) right.undefined_object().fail();
  if (op == BinaryOp::kAdd) return concatenate(left, right);
  if (op == BinaryOp::kMul) {
    if (repeatable(left) && right.is_int()) return repeat(left, right);
    if (left.is_int() && repeatable(right)) return repeat(right, left);
    if (repeatable(left) || repeatable(right)) {
      throw runtime_error("TypeError: can't multiply sequence by non-int of type '{}'",
                          type_name(repeatable(left) ? right : left));
    }
  }
  unsupported(op, left, right);
}

Value unary(UnaryOp op, const Value& operand) {
  if (op == UnaryOp::kNot) return Value::boolean(!truthy(operand));
  if (operand.is_undefined()) operand.undefined_object().fail();
  if (!operand.is_number()) {
    throw runtime_error("TypeError: bad operand type for unary {}: '{}'",
                        op == UnaryOp::kNegate ? '-' : '+', type_name(operand));
  }
  if (op == UnaryOp::kPlus) {
    return operand.is_bool() ? Value::integer(operand.as_int()) : operand;
  }
  if (operand.is_float()) return Value::floating(-operand.as_float());
  return int_arithmetic(BinaryOp::kSub, Value::integer(std::int64_t{0}), operand);
}

bool compare(CompareOp op, const Value& left, const Value& right) {
  switch (op) {
    case CompareOp::kEq:
      return equal(left, right);
    case CompareOp::kNe:
      return !equal(left, right);
    case CompareOp::kIn:
      return contains(right, left);
    case CompareOp::kNotIn:
      return !contains(right, left);
    default:
      return ordered(op, left, right, 0);
  }
}

bool less(const Value& left, const Value& right) {
  return ordered(CompareOp::kLt, left, right, 0);
}

bool contains(const Value& container, const Value& value) {
  switch (container.kind()) {
    case Kind::kUndefined:
      return false;
    case Kind::kString:
      if (!value.is_string()) {
        throw runtime_error("TypeError: 'in <string>' requires string as left operand, not {}",
                            type_name(value));
      }
      Budget::spend_bytes(container.text().size());
      return find_text(container.text(), value.text()) != std::string_view::npos;
    case Kind::kList:
    case Kind::kTuple:
      for (const Value& item : container.items()) {
        Budget::spend(1);
        if (item.same_object(value) || equal(item, value)) return true;
      }
      return false;
    case Kind::kDict:
      return container.dict().find(value) != nullptr;
    case Kind::kInstance: {
      bool supported = false;
      const bool found = container.instance().contains(value, supported);
      if (supported) return found;
      break;
    }
    default:
      break;
  }
  throw runtime_error("TypeError: argument of type '{}' is not iterable", type_name(container));
}

SliceRange resolve_slice(const Value& start, const Value& stop, const Value& step,
                         std::int64_t length) {
  SliceRange range{};
  range.step = std::max(clamp_bound(step, 1), std::numeric_limits<std::int64_t>::min() + 1);
  if (range.step == 0) throw runtime_error("ValueError: slice step cannot be zero");
  const bool down = range.step < 0;
  const auto settle = [&](std::int64_t bound) {
    if (bound < 0) bound += length;
    return std::clamp<std::int64_t>(bound, down ? -1 : 0, down ? length - 1 : length);
  };
  const bool whole_start = start.is_missing() || start.is_none();
  const bool whole_stop = stop.is_missing() || stop.is_none();
  range.start = whole_start ? (down ? length - 1 : 0) : settle(clamp_bound(start, 0));
  range.stop = whole_stop ? (down ? -1 : length) : settle(clamp_bound(stop, 0));
  if (down) {
    range.count = range.stop < range.start ? (range.start - range.stop - 1) / -range.step + 1 : 0;
  } else {
    range.count = range.start < range.stop ? (range.stop - range.start - 1) / range.step + 1 : 0;
  }
  return range;
}

Value slice(const Value& value, const Value& start, const Value& stop, const Value& step) {
  if (value.is_undefined()) value.undefined_object().fail();
  auto* numbers = value.instance_as<Range>();
  if (!value.is_string() && !value.is_sequence() && value.kind() != Kind::kBytes &&
      numbers == nullptr) {
    if (value.is_dict()) throw runtime_error("TypeError: unhashable type: 'slice'");
    throw runtime_error("TypeError: '{}' object is not subscriptable", type_name(value));
  }
  const SliceRange range = resolve_slice(start, stop, step, length_of(value).value_or(0));
  if (numbers != nullptr) return numbers->slice(range.start, range.stop, range.step);
  if (!value.is_sequence()) return slice_string(value, range);
  ListBuilder items;
  items.reserve(static_cast<std::size_t>(range.count));
  Budget::spend(static_cast<std::uint64_t>(range.count));
  for (std::int64_t i = 0; i < range.count; ++i) {
    items.push(value.items()[static_cast<std::size_t>(range.start + i * range.step)]);
  }
  return value.is_list() ? items.list() : items.tuple();
}

std::vector<Value> sort_by_keys(std::vector<Value> items, const std::vector<Value>& keys,
                                bool reverse) {
  // Merge sort by hand: a comparison that throws must be the one Python would make first only in
  // kind, but it must never corrupt, as an inconsistent order can in std::stable_sort.
  std::vector<std::size_t> order(items.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  // Python reverses before and after, so that equal items keep their order.
  if (reverse) std::reverse(order.begin(), order.end());
  std::vector<std::size_t> merged(order.size());
  for (std::size_t width = 1; width < order.size(); width *= 2) {
    for (std::size_t low = 0; low < order.size(); low += 2 * width) {
      const std::size_t middle = std::min(low + width, order.size());
      const std::size_t high = std::min(low + 2 * width, order.size());
      std::size_t left = low;
      std::size_t right = middle;
      for (std::size_t at = low; at < high; ++at) {
        Budget::spend(1);
        const bool take_right =
            left == middle || (right < high && less(keys[order[right]], keys[order[left]]));
        merged[at] = order[take_right ? right++ : left++];
      }
    }
    order.swap(merged);
  }
  if (reverse) std::reverse(order.begin(), order.end());
  std::vector<Value> sorted;
  sorted.reserve(items.size());
  for (const std::size_t index : order) sorted.push_back(std::move(items[index]));
  return sorted;
}

}  // namespace mistral::text::jinja
