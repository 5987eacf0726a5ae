#include "text/chat_template/interpreter_scopes.h"

#include <algorithm>

namespace mistral::text::jinja {

std::vector<Value> unpack(const Value& value, std::size_t count) {
  const Ref<Iterator> iterator = try_iterate(value);
  if (!iterator) {
    throw runtime_error("TypeError: cannot unpack non-iterable {} object", type_name(value));
  }
  std::vector<Value> values;
  Value item;
  while (values.size() < count && iterator->next(item)) values.push_back(std::move(item));
  if (values.size() < count) {
    throw runtime_error("ValueError: not enough values to unpack (expected {}, got {})", count,
                        values.size());
  }
  if (iterator->next(item)) {
    throw runtime_error("ValueError: too many values to unpack (expected {})", count);
  }
  return values;
}

void assign_in_order(const Expr& target, const Value& value, const TargetSlots& slots,
                     FrameObject& frame, std::size_t& next) {
  if (target.kind == ExprKind::kName) {
    frame.slot(slots.indices[next++]) = value;
    return;
  }
  const auto& names = static_cast<const SequenceExpr&>(target).items;
  const std::vector<Value> values = unpack(value, names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    assign_in_order(*names[i], values[i], slots, frame, next);
  }
}

void bind_macro_arguments(const MacroFunction& macro, CallArgs& args, FrameObject& frame) {
  const std::size_t count = macro.parameters.size();
  const std::size_t positional = std::min(args.positional.size(), count);
  for (std::size_t i = 0; i < positional; ++i) {
    frame.slot(macro.parameters[i]->slot.index) = std::move(args.positional[i]);
  }
  const auto take = [&](std::string_view name, Value& value) {
    const auto found = std::find_if(args.keyword.begin(), args.keyword.end(),
                                    [&](const auto& entry) { return entry.first.text() == name; });
    if (found == args.keyword.end()) return false;
    value = std::move(found->second);
    args.keyword.erase(found);
    return true;
  };
  bool found_caller = positional == count && macro.explicit_caller;
  for (std::size_t i = positional; i < count; ++i) {
    const std::string& name = macro.parameters[i]->name;
    (void)take(name, frame.slot(macro.parameters[i]->slot.index));
    if (name == "caller") found_caller = true;
  }
  if (macro.uses_caller && !found_caller) {
    Value caller;
    if (!take("caller", caller) || caller.is_none()) caller = Value::undefined("No caller defined");
    if (!macro.explicit_caller) frame.slot(macro.caller_slot) = std::move(caller);
  }
  if (macro.uses_kwargs) {
    auto kwargs = Ref<DictObject>(new DictObject);
    for (auto& [name, value] : args.keyword) kwargs->set(name, std::move(value));
    frame.slot(macro.kwargs_slot) = Value::dict(std::move(kwargs));
  } else if (!args.keyword.empty()) {
    throw runtime_error("TypeError: macro '{}' takes no keyword argument '{}'", macro.name,
                        args.keyword[0].first.text());
  }
  if (macro.uses_varargs) {
    frame.slot(macro.varargs_slot) = Value::tuple(
        {args.positional.begin() + static_cast<std::ptrdiff_t>(positional), args.positional.end()});
  } else if (args.positional.size() > count) {
    throw runtime_error("TypeError: macro '{}' takes not more than {} argument(s)", macro.name,
                        count);
  }
}

}  // namespace mistral::text::jinja
