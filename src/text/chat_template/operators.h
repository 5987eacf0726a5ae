// The operators of the template language on values, with Python's semantics. All of them throw
// EvalError where Python would raise an exception.
#pragma once

#include <cstdint>
#include <vector>

#include "text/chat_template/instance.h"
#include "text/chat_template/value.h"

namespace mistral::text::jinja {

enum class BinaryOp : std::uint8_t { kAdd, kSub, kMul, kDiv, kFloorDiv, kMod, kPow };
enum class UnaryOp : std::uint8_t { kNot, kNegate, kPlus };
enum class CompareOp : std::uint8_t { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };

[[nodiscard]] Value binary(BinaryOp op, const Value& left, const Value& right);
[[nodiscard]] Value unary(UnaryOp op, const Value& operand);
[[nodiscard]] bool compare(CompareOp op, const Value& left, const Value& right);
// left < right
[[nodiscard]] bool less(const Value& left, const Value& right);
// `value` in `container`
[[nodiscard]] bool contains(const Value& container, const Value& value);
// value[start:stop:step]; None and missing mean the default.
[[nodiscard]] Value slice(const Value& value, const Value& start, const Value& stop,
                          const Value& step);
// Sorts like sorted(): stable; `keys` decide, `items` follow.
[[nodiscard]] std::vector<Value> sort_by_keys(std::vector<Value> items,
                                              const std::vector<Value>& keys, bool reverse);

// A whole number for an argument such as a width or a count. Throws TypeError for other types and
// OverflowError beyond 64 bits.
[[nodiscard]] std::int64_t to_index(const Value& value);
// A number as double; throws OverflowError when an int is too large. Requires is_number().
[[nodiscard]] double to_double(const Value& number);
// Resolves slice bounds against a length; the result selects `count` items.
struct SliceRange {
  std::int64_t start;
  std::int64_t stop;
  std::int64_t step;
  std::int64_t count;
};
[[nodiscard]] SliceRange resolve_slice(const Value& start, const Value& stop, const Value& step,
                                       std::int64_t length);

}  // namespace mistral::text::jinja
