// The functions that every template finds: range, dict, namespace, raise_exception, ...
#include <array>

#include "text/chat_template/builtins.h"
#include "text/chat_template/format.h"
#include "text/chat_template/interpreter.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/runtime_objects.h"
#include "text/chat_template/time_format.h"

namespace mistral::text::jinja {
namespace {

constexpr std::int64_t kMaxRange = 100'000;

Value range(Interpreter& /*in*/, const Value& /*self*/, CallArgs& args) {
  require_arguments("range", args, 1, 3);
  std::int64_t bounds[3] = {0, 0, 1};
  const auto& given = args.positional;
  if (given.size() == 1) {
    bounds[1] = to_index(given[0]);
  } else {
    for (std::size_t i = 0; i < given.size(); ++i) bounds[i] = to_index(given[i]);
  }
  const auto [start, stop, step] = bounds;
  if (step == 0) throw runtime_error("ValueError: range() arg 3 must not be zero");
  // Differences of 64-bit numbers need 65 bits.
  const BigInt distance = step > 0 ? BigInt(stop) - BigInt(start) : BigInt(start) - BigInt(stop);
  const BigInt limit = BigInt(kMaxRange) * (step > 0 ? BigInt(step) : -BigInt(step));
  if (distance > limit) {
    throw runtime_error(
        "OverflowError: Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).",
        kMaxRange);
  }
  return Value::instance(Ref<Instance>(make_object<Range>(start, stop, step).get()));
}

// Entries of a mapping or of an iterable of pairs, then the keywords, as dict() takes them.
Ref<DictObject> make_dict(const CallArgs& args) {
  if (args.positional.size() > 1) {
    throw runtime_error("TypeError: dict expected at most 1 argument, got {}",
                        args.positional.size());
  }
  auto dict = Ref<DictObject>(new DictObject);
  if (!args.positional.empty()) {
    const Value& source = args.positional[0];
    if (source.is_dict()) {
      for (const auto& [key, value] : source.dict().entries()) {
        Budget::spend(1);
        dict->set(key, value);
      }
    } else {
      const Ref<Iterator> iterator = iterate(source);
      Value pair;
      for (std::int64_t position = 0; iterator->next(pair); ++position) {
        Budget::spend(1);
        const Ref<Iterator> parts = try_iterate(pair);
        if (!parts) {
          throw runtime_error(
              "TypeError: cannot convert dictionary update sequence element #{} to a sequence",
              position);
        }
        const std::vector<Value> values = collect(pair);
        if (values.size() != 2) {
          throw runtime_error(
              "ValueError: dictionary update sequence element #{} has length {}; 2 is required",
              position, values.size());
        }
        dict->set(values[0], values[1]);
      }
    }
  }
  for (const auto& [key, value] : args.keyword) dict->set(key, value);
  return dict;
}

Value dict(Interpreter& /*in*/, const Value& /*self*/, CallArgs& args) {
  return Value::dict(make_dict(args));
}

Value namespace_(Interpreter& in, const Value& /*self*/, CallArgs& args) {
  const Ref<DictObject> attributes = make_dict(args);
  auto space = make_object<Namespace>(in.registry());
  for (const auto& [key, value] : attributes->entries()) {
    // Attributes that are not strings can never be read.
    if (key.is_string()) space->set(key, value);
  }
  return Value::instance(Ref<Instance>(space.get()));
}

Value cycler(Interpreter& in, const Value& /*self*/, CallArgs& args) {
  if (!args.keyword.empty()) {
    throw runtime_error("TypeError: cycler() got an unexpected keyword argument");
  }
  if (args.positional.empty()) {
    throw runtime_error("RuntimeError: at least one item has to be provided");
  }
  return Value::instance(Ref<Instance>(make_object<Cycler>(in.registry(), args.positional).get()));
}

Value joiner(Interpreter& in, const Value& /*self*/, CallArgs& args) {
  const auto bound = bind_arguments("joiner", args, {"sep"});
  const Value separator = bound[0].is_missing() ? Value::string(", ") : bound[0];
  return Value::instance(Ref<Instance>(make_object<Joiner>(in.registry(), separator).get()));
}

Value raise_exception(Interpreter& /*in*/, const Value& /*self*/, CallArgs& args) {
  const auto bound = bind_arguments("raise_exception", args, {"message"}, 1);
  throw EvalError(TemplateErrorKind::kRaise, to_str(bound[0]));
}

Value strftime_now(Interpreter& in, const Value& /*self*/, CallArgs& args) {
  const auto bound = bind_arguments("strftime_now", args, {"format"}, 1);
  if (!bound[0].is_string()) {
    throw runtime_error("TypeError: strftime() argument 1 must be str, not {}",
                        type_name(bound[0]));
  }
  return Value::string(format_time(bound[0].text(), in.now()));
}

Value lipsum(Interpreter& /*in*/, const Value& /*self*/, CallArgs& /*args*/) {
  throw runtime_error("lipsum() is refused: it would give other text in each rendering");
}

struct Global {
  std::string_view name;
  NativeFunction function;
};

constexpr std::array<Global, 8> kGlobals = {{
    {"range", range},
    {"dict", dict},
    {"namespace", namespace_},
    {"cycler", cycler},
    {"joiner", joiner},
    {"raise_exception", raise_exception},
    {"strftime_now", strftime_now},
    {"lipsum", lipsum},
}};

}  // namespace

Value find_global(std::string_view name) {
  for (const Global& global : kGlobals) {
    if (global.name != name) continue;
    return Value::instance(
        Ref<Instance>(make_object<Callable>(global.name, Value(), global.function).get()));
  }
  return {};
}

}  // namespace mistral::text::jinja
