// Evaluation of expressions.
#include <algorithm>

#include "text/chat_template/builtins.h"
#include "text/chat_template/format.h"
#include "text/chat_template/interpreter.h"
#include "text/chat_template/interpreter_scopes.h"

namespace mistral::text::jinja {

AttributeExpr::AttributeExpr(Position where, ExprPtr expr, std::string attribute)
    : Expr(ExprKind::kAttribute, where),
      object(std::move(expr)),
      name(std::move(attribute)),
      dict_method(find_dict_method(name)),
      string_method(find_string_method(name)),
      private_name(!name.empty() && name[0] == '_'),
      undefined_in_dict(
          Value::undefined(fmt::format("'dict object' has no attribute '{}'", name))) {}

Value& Interpreter::variable(const Slot& slot) {
  if (slot.where == Slot::Where::kContext) return context_[slot.index];
  FrameObject* frame = frame_.get();
  for (std::uint16_t hops = slot.hops; hops > 0; --hops) frame = frame->parent();
  return frame->slot(slot.index);
}

const Value& Interpreter::read(const NameExpr& name) {
  const Value& value = variable(name.slot);
  return value.is_missing() ? name.undefined : value;
}

const Value& Interpreter::evaluate(const Expr& expr, Value& storage) {
  if (expr.kind == ExprKind::kName) {
    budget_.step();
    return read(static_cast<const NameExpr&>(expr));
  }
  if (expr.kind == ExprKind::kConstant) return static_cast<const ConstantExpr&>(expr).value;
  storage = evaluate_compound(expr);
  return storage;
}

Value Interpreter::evaluate(const Expr& expr) {
  if (expr.kind == ExprKind::kName) {
    budget_.step();
    return read(static_cast<const NameExpr&>(expr));
  }
  if (expr.kind == ExprKind::kConstant) return static_cast<const ConstantExpr&>(expr).value;
  return evaluate_compound(expr);
}

Value Interpreter::evaluate_compound(const Expr& expr) {
  budget_.step();
  const Depth depth(*this);
  switch (expr.kind) {
    case ExprKind::kConstant:
    case ExprKind::kName:
    case ExprKind::kNamespaceRef:
    case ExprKind::kSlice:
      break;
    case ExprKind::kTuple:
    case ExprKind::kList: {
      std::vector<Value> items;
      for (const auto& item : static_cast<const SequenceExpr&>(expr).items) {
        items.push_back(evaluate(*item));
      }
      return expr.kind == ExprKind::kList ? Value::list(std::move(items))
                                          : Value::tuple(std::move(items));
    }
    case ExprKind::kDict:
      return evaluate_dict(static_cast<const DictExpr&>(expr));
    case ExprKind::kUnary: {
      const auto& unary_expr = static_cast<const UnaryExpr&>(expr);
      Value storage;
      const Value& operand = evaluate(*unary_expr.operand, storage);
      position_ = expr.position;
      return unary(unary_expr.op, operand);
    }
    case ExprKind::kBinary: {
      const auto& operation = static_cast<const BinaryExpr&>(expr);
      Value left_storage;
      Value right_storage;
      const Value& left = evaluate(*operation.left, left_storage);
      const Value& right = evaluate(*operation.right, right_storage);
      position_ = expr.position;
      return binary(operation.op, left, right);
    }
    case ExprKind::kAnd:
    case ExprKind::kOr: {
      const auto& operation = static_cast<const BinaryExpr&>(expr);
      Value left = evaluate(*operation.left);
      if (truthy(left) == (expr.kind == ExprKind::kOr)) return left;
      return evaluate(*operation.right);
    }
    case ExprKind::kConcat:
      return concat(static_cast<const ConcatExpr&>(expr));
    case ExprKind::kCompare:
      return comparison(static_cast<const CompareExpr&>(expr));
    case ExprKind::kConditional:
      return conditional(static_cast<const ConditionalExpr&>(expr));
    case ExprKind::kAttribute:
      return attribute(static_cast<const AttributeExpr&>(expr));
    case ExprKind::kItem:
      return item(static_cast<const ItemExpr&>(expr));
    case ExprKind::kCall:
      return call(static_cast<const CallExpr&>(expr), nullptr);
    case ExprKind::kFilter:
    case ExprKind::kTest:
      return filter(static_cast<const FilterExpr&>(expr), nullptr);
  }
  return Value::none();
}

Value Interpreter::evaluate_dict(const DictExpr& expr) {
  auto dict = Ref<DictObject>(new DictObject);
  dict->reserve(expr.items.size());
  for (const auto& [key_expr, value_expr] : expr.items) {
    Value key = evaluate(*key_expr);
    Value value = evaluate(*value_expr);
    position_ = expr.position;
    dict->set(std::move(key), std::move(value));
  }
  return Value::dict(std::move(dict));
}

Value Interpreter::concat(const ConcatExpr& expr) {
  if (escapes(expr.escape)) {
    // Joined as safe text as soon as one part is safe.
    std::vector<Value> parts;
    bool safe = false;
    for (const auto& item : expr.items) {
      parts.push_back(evaluate(*item));
      safe = safe || parts.back().is_markup();
    }
    TextBuilder out;
    for (const Value& part : parts) {
      if (safe) {
        out.append(escape_value(part).text());
      } else {
        append_str(out, part);
      }
    }
    return safe ? Value::markup(out.take()) : Value::string(out.take());
  }
  // All operands are evaluated before the first is printed.
  Value storage[2];
  if (expr.items.size() == 2) {
    const Value& left = evaluate(*expr.items[0], storage[0]);
    const Value& right = evaluate(*expr.items[1], storage[1]);
    TextBuilder out;
    append_str(out, left);
    append_str(out, right);
    return Value::string(out.take());
  }
  std::vector<Value> parts;
  parts.reserve(expr.items.size());
  for (const auto& item : expr.items) parts.push_back(evaluate(*item));
  TextBuilder out;
  for (const Value& part : parts) append_str(out, part);
  return Value::string(out.take());
}

Value Interpreter::comparison(const CompareExpr& expr) {
  Value left_storage;
  const Value* left = &evaluate(*expr.first, left_storage);
  for (const auto& [op, operand] : expr.rest) {
    Value right_storage;
    const Value& right = evaluate(*operand, right_storage);
    position_ = expr.position;
    if (!compare(op, *left, right)) return Value::boolean(false);
    if (&right == &right_storage) {
      left_storage = std::move(right_storage);
      left = &left_storage;
    } else {
      left = &right;
    }
  }
  return Value::boolean(true);
}

Value Interpreter::conditional(const ConditionalExpr& expr) {
  Value storage;
  if (truthy(evaluate(*expr.test, storage))) return evaluate(*expr.then);
  if (expr.otherwise != nullptr) return evaluate(*expr.otherwise);
  return Value::undefined(
      fmt::format("the inline if-expression on line {} evaluated to false and no else section was "
                  "defined.",
                  expr.position.line));
}

Value Interpreter::attribute(const AttributeExpr& expr) {
  Value storage;
  const Value& object = evaluate(*expr.object, storage);
  position_ = expr.position;
  if (object.is_dict() && expr.dict_method == nullptr && !expr.private_name) {
    const Value* found = object.dict().find(std::string_view(expr.name));
    return found != nullptr ? *found : expr.undefined_in_dict;
  }
  return get_attribute(object, expr.name);
}

Value Interpreter::item(const ItemExpr& expr) {
  Value object_storage;
  const Value& object = evaluate(*expr.object, object_storage);
  if (expr.key->kind == ExprKind::kSlice) {
    const auto& bounds = static_cast<const SliceExpr&>(*expr.key);
    const Value start = bounds.start != nullptr ? evaluate(*bounds.start) : Value();
    const Value stop = bounds.stop != nullptr ? evaluate(*bounds.stop) : Value();
    const Value step = bounds.step != nullptr ? evaluate(*bounds.step) : Value();
    position_ = expr.position;
    if (!lenient_slices_ || object.is_undefined()) return slice(object, start, stop, step);
    const auto bound = [](const Value& v) { return v.is_missing() || v.is_none() || v.is_int(); };
    const bool sliceable = object.is_string() || object.is_sequence();
    if (sliceable && bound(start) && bound(stop) && bound(step)) {
      return slice(object, start, stop, step);
    }
    return Value::undefined(fmt::format("{} object has no such slice", type_name(object)));
  }
  Value key_storage;
  const Value& key = evaluate(*expr.key, key_storage);
  position_ = expr.position;
  return get_item(object, key);
}

void Interpreter::collect_arguments(const Arguments& arguments, CallArgs& args) {
  args.positional.reserve(arguments.positional.size());
  for (const auto& value : arguments.positional) args.positional.push_back(evaluate(*value));
  if (arguments.star != nullptr) {
    const Value star = evaluate(*arguments.star);
    const Ref<Iterator> iterator = try_iterate(star);
    if (!iterator) {
      throw runtime_error("TypeError: argument after * must be an iterable, not {}",
                          type_name(star));
    }
    Value item;
    while (iterator->next(item)) {
      Budget::spend(1);
      Budget::require(args.positional.size() * 2 * sizeof(Value));
      args.positional.push_back(std::move(item));
    }
  }
  args.keyword.reserve(arguments.keyword.size());
  for (const auto& [name, value] : arguments.keyword) {
    args.keyword.emplace_back(name, evaluate(*value));
  }
  if (arguments.star_star == nullptr) return;
  const Value named = evaluate(*arguments.star_star);
  if (!named.is_dict()) {
    throw runtime_error("TypeError: argument after ** must be a mapping, not {}", type_name(named));
  }
  for (const auto& [key, value] : named.dict().entries()) {
    if (!key.is_string()) throw runtime_error("TypeError: keywords must be strings");
    const bool repeated = std::any_of(
        args.keyword.begin(), args.keyword.end(),
        [&, &wanted = key](const auto& entry) { return entry.first.text() == wanted.text(); });
    if (repeated) {
      throw runtime_error("TypeError: got multiple values for keyword argument '{}'", key.text());
    }
    Budget::spend(args.keyword.size());
    args.keyword.emplace_back(key, value);
  }
}

Value Interpreter::call(const CallExpr& expr, const Value* caller) {
  // A method is called without making an object of it first.
  Value object_storage;
  const Method* method = nullptr;
  const Value* self = nullptr;
  Value callee;
  if (expr.callee->kind == ExprKind::kAttribute) {
    const auto& attribute_expr = static_cast<const AttributeExpr&>(*expr.callee);
    budget_.step();
    self = &evaluate(*attribute_expr.object, object_storage);
    position_ = attribute_expr.position;
    if (self->is_dict()) {
      method = attribute_expr.dict_method;
    } else if (self->is_string() && !self->is_markup()) {
      method = attribute_expr.string_method;
    } else {
      method = find_method(*self, attribute_expr.name);
    }
    if (method != nullptr && method->function == nullptr) method = nullptr;
    if (method == nullptr) callee = get_attribute(*self, attribute_expr.name);
  } else {
    callee = evaluate(*expr.callee);
  }
  const ArgumentsLease lease(*this);
  CallArgs& args = lease.args();
  collect_arguments(expr.arguments, args);
  position_ = expr.position;
  if (caller != nullptr) args.keyword.emplace_back(Value::string("caller"), *caller);
  return method != nullptr ? method->function(*this, *self, args) : call(callee, args);
}

Value Interpreter::call(const Value& callee, CallArgs& args) {
  if (callee.is_undefined()) callee.undefined_object().fail();
  if (callee.is_instance() && callee.instance().callable()) {
    // The call may outlive the variable that it came from.
    const Value kept = callee;
    return kept.instance().call(*this, args);
  }
  throw runtime_error("TypeError: '{}' object is not callable", type_name(callee));
}

Value Interpreter::filter(const FilterExpr& expr, const Value* block_text) {
  Value storage;
  // In a filter block, the innermost filter of the chain gets the text of the block.
  const Value* input = block_text;
  if (expr.operand != nullptr) {
    if (block_text != nullptr && expr.operand->kind == ExprKind::kFilter) {
      storage = filter(static_cast<const FilterExpr&>(*expr.operand), block_text);
      input = &storage;
    } else {
      input = &evaluate(*expr.operand, storage);
    }
  }
  const ArgumentsLease lease(*this);
  CallArgs& args = lease.args();
  collect_arguments(expr.arguments, args);
  position_ = expr.position;
  if (expr.function == nullptr) {
    throw runtime_error("No {} named '{}' found.",
                        expr.kind == ExprKind::kFilter ? "filter" : "test", expr.name);
  }
  return expr.function->function(*this, *input, args);
}

}  // namespace mistral::text::jinja
