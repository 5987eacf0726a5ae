// The tests of the template language: {{ x is defined }}.
#include <algorithm>
#include <array>

#include "text/chat_template/builtins.h"
#include "text/chat_template/format.h"
#include "text/chat_template/lookup.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/text_operations.h"

namespace mistral::text::jinja {
namespace {

Value answer(bool yes) {
  return Value::boolean(yes);
}

void no_arguments(const CallArgs& args) {
  require_arguments("test", args, 0, 0);
}

// value % divisor == remainder
bool leaves(const Value& value, const Value& divisor, std::int64_t remainder) {
  return equal(binary(BinaryOp::kMod, value, divisor), Value::integer(remainder));
}

template <std::int64_t remainder>
Value parity(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  no_arguments(args);
  return answer(leaves(self, Value::integer(std::int64_t{2}), remainder));
}

Value divisible_by(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("divisibleby", args, {"num"}, 1);
  return answer(leaves(self, bound[0], 0));
}

template <bool (*predicate)(const Value&)>
Value check(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  no_arguments(args);
  return answer(predicate(self));
}

bool is_defined(const Value& value) {
  return !value.is_undefined();
}
bool is_undefined(const Value& value) {
  return value.is_undefined();
}
bool is_none(const Value& value) {
  return value.is_none();
}
bool is_boolean(const Value& value) {
  return value.is_bool();
}
bool is_false(const Value& value) {
  return value.is_bool() && !value.as_bool();
}
bool is_true(const Value& value) {
  return value.is_bool() && value.as_bool();
}
bool is_integer(const Value& value) {
  return value.is_int() && !value.is_bool();
}
bool is_float(const Value& value) {
  return value.is_float();
}
bool is_number(const Value& value) {
  return value.is_number();
}
bool is_string(const Value& value) {
  return value.is_string();
}
bool is_mapping(const Value& value) {
  return value.is_dict();
}
bool is_escaped(const Value& value) {
  return value.is_markup();
}
bool is_lower_case(const Value& value) {
  return is_lower_text(to_str(value));
}
bool is_upper_case(const Value& value) {
  return is_upper_text(to_str(value));
}
bool is_iterable(const Value& value) {
  return static_cast<bool>(try_iterate(value));
}
bool is_filter(const Value& value) {
  (void)hash_value(value);  // names are looked up in a dict
  return value.is_string() && find_filter(value.text()) != nullptr;
}
bool is_test(const Value& value) {
  (void)hash_value(value);
  return value.is_string() && find_test(value.text()) != nullptr;
}

bool is_callable(const Value& value) {
  // Undefined values can be called; it is the call that fails.
  return value.is_undefined() || (value.is_instance() && value.instance().callable());
}

bool is_sequence(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
      return true;
    default:
      return value.instance_as<Range>() != nullptr;
  }
}

Value same_as(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("sameas", args, {"other"}, 1);
  return answer(self.same_object(bound[0]));
}

Value in(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("in", args, {"seq"}, 1);
  return answer(contains(bound[0], self));
}

template <CompareOp op>
Value compares(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("comparison", args, 1, 1);
  return answer(compare(op, self, args.positional[0]));
}

constexpr std::array<Builtin, 39> kTests = {{
    {"!=", compares<CompareOp::kNe>},
    {"<", compares<CompareOp::kLt>},
    {"<=", compares<CompareOp::kLe>},
    {"==", compares<CompareOp::kEq>},
    {">", compares<CompareOp::kGt>},
    {">=", compares<CompareOp::kGe>},
    {"boolean", check<is_boolean>},
    {"callable", check<is_callable>},
    {"defined", check<is_defined>},
    {"divisibleby", divisible_by},
    {"eq", compares<CompareOp::kEq>},
    {"equalto", compares<CompareOp::kEq>},
    {"escaped", check<is_escaped>},
    {"even", parity<0>},
    {"false", check<is_false>},
    {"filter", check<is_filter>},
    {"float", check<is_float>},
    {"ge", compares<CompareOp::kGe>},
    {"greaterthan", compares<CompareOp::kGt>},
    {"gt", compares<CompareOp::kGt>},
    {"in", in},
    {"integer", check<is_integer>},
    {"iterable", check<is_iterable>},
    {"le", compares<CompareOp::kLe>},
    {"lessthan", compares<CompareOp::kLt>},
    {"lower", check<is_lower_case>},
    {"lt", compares<CompareOp::kLt>},
    {"mapping", check<is_mapping>},
    {"ne", compares<CompareOp::kNe>},
    {"none", check<is_none>},
    {"number", check<is_number>},
    {"odd", parity<1>},
    {"sameas", same_as},
    {"sequence", check<is_sequence>},
    {"string", check<is_string>},
    {"test", check<is_test>},
    {"true", check<is_true>},
    {"undefined", check<is_undefined>},
    {"upper", check<is_upper_case>},
}};

}  // namespace

const Builtin* find_test(std::string_view name) {
  const auto* at = std::lower_bound(
      kTests.begin(), kTests.end(), name,
      [](const Builtin& test, std::string_view wanted) { return test.name < wanted; });
  return at != kTests.end() && at->name == name ? at : nullptr;
}

}  // namespace mistral::text::jinja
