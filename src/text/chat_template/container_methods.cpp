// The methods of list, tuple, dict, numbers and bytes. Those that would change a list or a dict
// have no function: the sandbox refuses them.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "text/chat_template/format.h"
#include "text/chat_template/lookup.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {
namespace {

Value count_item(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("count", args, 1, 1);
  std::int64_t hits = 0;
  for (const Value& item : self.items()) {
    Budget::spend(1);
    if (equal(item, args.positional[0])) ++hits;
  }
  return Value::integer(hits);
}

Value index_item(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("index", args, 1, 3);
  const auto size = static_cast<std::int64_t>(self.items().size());
  const auto bound = [&](std::size_t position, std::int64_t fallback) {
    if (args.positional.size() <= position) return fallback;
    const std::int64_t value = to_index(args.positional[position]);
    return value < 0 ? std::max<std::int64_t>(value + size, 0) : value;
  };
  const std::int64_t end = std::min(bound(2, size), size);
  for (std::int64_t i = bound(1, 0); i < end; ++i) {
    Budget::spend(1);
    if (equal(self.items()[static_cast<std::size_t>(i)], args.positional[0])) {
      return Value::integer(i);
    }
  }
  if (self.is_tuple()) throw runtime_error("ValueError: tuple.index(x): x not in tuple");
  throw runtime_error("ValueError: {} is not in list", to_repr(args.positional[0]));
}

Value copy(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("copy", args, 0, 0);
  return self;
}

Value get(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("get", args, 1, 2);
  const Value* found = self.dict().find(args.positional[0]);
  if (found != nullptr) return *found;
  return args.positional.size() > 1 ? args.positional[1] : Value::none();
}

template <DictView::Part part>
Value view(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("dict view", args, 0, 0);
  return Value::instance(Ref<Instance>(make_object<DictView>(self, part).get()));
}

Value fromkeys(Interpreter& /*in*/, const Value& /*self*/, CallArgs& args) {
  require_arguments("fromkeys", args, 1, 2);
  auto dict = Ref<DictObject>(new DictObject);
  const Ref<Iterator> iterator = iterate(args.positional[0]);
  Value key;
  while (iterator->next(key)) {
    Budget::spend(1);
    dict->set(key, args.positional.size() > 1 ? args.positional[1] : Value::none());
  }
  return Value::dict(std::move(dict));
}

Value conjugate(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("conjugate", args, 0, 0);
  return unary(UnaryOp::kPlus, self);
}

Value bit_length(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("bit_length", args, 0, 0);
  return Value::integer(static_cast<std::int64_t>(self.widened().bits()));
}

Value bit_count(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("bit_count", args, 0, 0);
  const BigInt number = self.widened();
  const std::string digits = (number.negative() ? -number : number).to_string(2);
  return Value::integer(static_cast<std::int64_t>(std::count(digits.begin(), digits.end(), '1')));
}

Value as_integer_ratio(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("as_integer_ratio", args, 0, 0);
  if (self.is_int()) {
    return Value::tuple({Value::integer(self.widened()), Value::integer(std::int64_t{1})});
  }
  double number = self.as_float();
  if (!std::isfinite(number)) {
    throw runtime_error("OverflowError: cannot convert {} to integer ratio", float_repr(number));
  }
  BigInt denominator(1);
  while (number != std::floor(number)) {
    number *= 2;
    denominator = denominator + denominator;
  }
  return Value::tuple(
      {Value::integer(BigInt::from_double(number)), Value::integer(std::move(denominator))});
}

Value is_integer(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("is_integer", args, 0, 0);
  const double number = self.as_float();
  return Value::boolean(std::isfinite(number) && number == std::floor(number));
}

Value decode_bytes(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("decode", args, {"encoding", "errors"});
  const std::string name = bound[0].is_string() ? to_lower(bound[0].text()) : std::string("utf-8");
  if (name != "utf-8" && name != "utf8" && name != "ascii") {
    throw runtime_error("LookupError: unknown encoding: {}", name);
  }
  if (!valid_utf8(self.text()) || (name == "ascii" && !all_ascii(self.text()))) {
    throw runtime_error("UnicodeDecodeError: '{}' codec can't decode the bytes", name);
  }
  return Value::string(self.text());
}

Value hex(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("hex", args, 0, 0);
  TextBuilder out;
  for (const char byte : self.text()) {
    out.append(fmt::format("{:02x}", static_cast<unsigned>(static_cast<unsigned char>(byte))));
  }
  return Value::string(out.take());
}

constexpr std::array<Method, 11> kListMethods = {{
    {"append", nullptr},
    {"clear", nullptr},
    {"copy", copy},
    {"count", count_item},
    {"extend", nullptr},
    {"index", index_item},
    {"insert", nullptr},
    {"pop", nullptr},
    {"remove", nullptr},
    {"reverse", nullptr},
    {"sort", nullptr},
}};

constexpr std::array<Method, 2> kTupleMethods = {{{"count", count_item}, {"index", index_item}}};

constexpr std::array<Method, 11> kDictMethods = {{
    {"clear", nullptr},
    {"copy", copy},
    {"fromkeys", fromkeys},
    {"get", get},
    {"items", view<DictView::Part::kItems>},
    {"keys", view<DictView::Part::kKeys>},
    {"pop", nullptr},
    {"popitem", nullptr},
    {"setdefault", nullptr},
    {"update", nullptr},
    {"values", view<DictView::Part::kValues>},
}};

constexpr std::array<Method, 4> kIntMethods = {{
    {"as_integer_ratio", as_integer_ratio},
    {"bit_count", bit_count},
    {"bit_length", bit_length},
    {"conjugate", conjugate},
}};

constexpr std::array<Method, 3> kFloatMethods = {{
    {"as_integer_ratio", as_integer_ratio},
    {"conjugate", conjugate},
    {"is_integer", is_integer},
}};

constexpr std::array<Method, 2> kBytesMethods = {{{"decode", decode_bytes}, {"hex", hex}}};

template <std::size_t n>
const Method* search(const std::array<Method, n>& methods, std::string_view name) {
  const auto* at = std::find_if(methods.begin(), methods.end(),
                                [&](const Method& method) { return method.name == name; });
  return at != methods.end() ? at : nullptr;
}

}  // namespace

const Method* find_list_method(std::string_view name) {
  return search(kListMethods, name);
}

const Method* find_tuple_method(std::string_view name) {
  return search(kTupleMethods, name);
}

const Method* find_dict_method(std::string_view name) {
  return search(kDictMethods, name);
}

const Method* find_number_method(const Value& value, std::string_view name) {
  if (value.kind() == Kind::kBytes) return search(kBytesMethods, name);
  return value.is_float() ? search(kFloatMethods, name) : search(kIntMethods, name);
}

}  // namespace mistral::text::jinja
