#include "text/chat_template/runtime_objects.h"

#include "text/chat_template/format.h"
#include "text/chat_template/interpreter.h"

namespace mistral::text::jinja {
namespace {

Value bound_method(std::string_view name, Instance& self, NativeFunction function) {
  return Value::instance(Ref<Instance>(
      make_object<Callable>(name, Value::instance(Ref<Instance>(&self)), function).get()));
}

// for item in loop: gives pairs of the item and the loop itself.
class LoopIterator final : public Iterator {
 public:
  explicit LoopIterator(Ref<LoopContext> loop) : loop_(std::move(loop)) {}
  [[nodiscard]] bool next(Value& item) override {
    Value current;
    if (!loop_->advance(current)) return false;
    item = Value::tuple({std::move(current), Value::instance(Ref<Instance>(loop_.get()))});
    return true;
  }

 private:
  const Ref<LoopContext> loop_;
};

}  // namespace

void FrameObject::clear() {
  slots_.clear();
  parent_ = {};
}

void FrameObject::reuse(std::size_t size, Ref<FrameObject> parent) {
  slots_.resize(size);
  parent_ = std::move(parent);
  account(sizeof(FrameObject) + payload_bytes());
}

std::string Macro::repr() const {
  if (function_.name.empty()) return "<Macro anonymous>";
  return fmt::format("<Macro {}>", to_repr(Value::string(function_.name)));
}

Value Macro::attribute(std::string_view name) {
  if (name == "name") {
    return function_.name.empty() ? Value::none() : Value::string(function_.name);
  }
  if (name == "arguments") {
    std::vector<Value> names;
    for (const auto& parameter : function_.parameters) {
      names.push_back(Value::string(parameter->name));
    }
    return Value::tuple(std::move(names));
  }
  if (name == "catch_kwargs") return Value::boolean(function_.uses_kwargs);
  if (name == "catch_varargs") return Value::boolean(function_.uses_varargs);
  if (name == "caller") return Value::boolean(function_.uses_caller);
  if (name == "explicit_caller") return Value::boolean(function_.explicit_caller);
  return {};
}

Value Macro::call(Interpreter& interpreter, CallArgs& args) {
  return interpreter.call_macro(function_, closure_, args);
}

std::string Namespace::repr() const {
  const NestingGuard guard;
  auto dict = Ref<DictObject>(new DictObject);
  for (const auto& [name, value] : attributes_) dict->set(name, value);
  return fmt::format("<Namespace {}>", to_repr(Value::dict(std::move(dict))));
}

Value Namespace::attribute(std::string_view name) {
  for (const auto& [key, value] : attributes_) {
    if (key.text() == name) return value;
  }
  return {};
}

void Namespace::set(const Value& name, Value value) {
  for (auto& [key, slot] : attributes_) {
    if (key.text() != name.text()) continue;
    slot = std::move(value);
    return;
  }
  attributes_.emplace_back(name, std::move(value));
  Budget::spend(attributes_.size() / 8);
  account(sizeof(Namespace) + attributes_.capacity() * sizeof(attributes_[0]));
}

LoopContext::LoopContext(MutableRegistry& registry, Value iterable, Ref<Iterator> iterator,
                         const ForStmt* statement, Ref<FrameObject> closure, std::int64_t depth0)
    : MutableInstance(registry),
      iterable_(std::move(iterable)),
      iterator_(std::move(iterator)),
      statement_(statement),
      closure_(std::move(closure)),
      depth0_(depth0) {}

void LoopContext::clear() {
  iterable_ = Value();
  iterator_ = {};
  closure_ = {};
  after_ = Value();
  current_ = Value();
  before_ = Value();
  last_changed_ = Value();
}

bool LoopContext::advance(Value& item) {
  const NestingGuard guard;
  Value next = std::move(after_);
  after_ = Value();
  if (next.is_missing() && (!iterator_ || !iterator_->next(next))) return false;
  ++index0_;
  before_ = std::move(current_);
  current_ = next;
  item = std::move(next);
  return true;
}

const Value& LoopContext::peek() {
  const NestingGuard guard;
  if (after_.is_missing() && iterator_) {
    Value next;
    if (iterator_->next(next)) after_ = std::move(next);
  }
  return after_;
}

std::int64_t LoopContext::count() {
  if (length_ >= 0) return length_;
  if (const auto known = length_of(iterable_)) {
    length_ = *known;
    return length_;
  }
  // A generator: read it to the end, keep what it gave.
  const Value rest = Value::list(collect(Value::instance(Ref<Instance>(iterator_.get()))));
  iterator_ = mistral::text::jinja::iterate(rest);
  length_ =
      static_cast<std::int64_t>(rest.items().size()) + index0_ + 1 + (after_.is_missing() ? 0 : 1);
  return length_;
}

std::string LoopContext::repr() const {
  auto& self = const_cast<LoopContext&>(*this);
  return fmt::format("<LoopContext {}/{}>", index0_ + 1, self.count());
}

Value LoopContext::attribute(std::string_view name) {
  if (name == "index0") return Value::integer(index0_);
  if (name == "index") return Value::integer(index0_ + 1);
  if (name == "first") return Value::boolean(index0_ == 0);
  if (name == "last") return Value::boolean(peek().is_missing());
  if (name == "length") return Value::integer(count());
  if (name == "revindex") return Value::integer(count() - index0_);
  if (name == "revindex0") return Value::integer(count() - index0_ - 1);
  if (name == "previtem") {
    return index0_ == 0 ? Value::undefined("there is no previous item") : before_;
  }
  if (name == "nextitem") {
    const Value& next = peek();
    return next.is_missing() ? Value::undefined("there is no next item") : next;
  }
  if (name == "depth") return Value::integer(depth0_ + 1);
  if (name == "depth0") return Value::integer(depth0_);
  if (name == "cycle") return method("cycle", cycle);
  if (name == "changed") return method("changed", changed);
  return {};
}

Value LoopContext::method(std::string_view name, NativeFunction function) {
  return bound_method(name, *this, function);
}

Ref<Iterator> LoopContext::iterate() {
  return Ref<Iterator>(make_object<LoopIterator>(Ref<LoopContext>(this)).get());
}

Value LoopContext::cycle(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("cycle", args, 0, args.positional.size());
  if (args.positional.empty()) throw runtime_error("TypeError: no items for cycling given");
  const auto count = static_cast<std::int64_t>(args.positional.size());
  const std::int64_t index = self.instance_as<LoopContext>()->index0_ % count;
  return args.positional[static_cast<std::size_t>(index < 0 ? index + count : index)];
}

Value LoopContext::changed(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("changed", args, 0, args.positional.size());
  auto& loop = *self.instance_as<LoopContext>();
  const Value value = Value::tuple(args.positional);
  if (!loop.last_changed_.is_missing() && equal(loop.last_changed_, value)) {
    return Value::boolean(false);
  }
  loop.last_changed_ = value;
  return Value::boolean(true);
}

Value LoopContext::call(Interpreter& interpreter, CallArgs& args) {
  const auto bound = bind_arguments("loop", args, {"iterable"}, 1);
  if (statement_ == nullptr) {
    throw runtime_error(
        "TypeError: The loop must have the 'recursive' marker to be called recursively.");
  }
  return interpreter.run_recursive_loop(*statement_, closure_, bound[0], depth0_ + 1);
}

Value Cycler::attribute(std::string_view name) {
  if (name == "current") return items_[position_];
  if (name == "next") return bound_method("next", *this, next);
  if (name == "reset") return bound_method("reset", *this, reset);
  if (name == "pos") return Value::integer(static_cast<std::int64_t>(position_));
  if (name == "items") return Value::tuple(items_);
  return {};
}

void Cycler::clear() {
  items_.assign(1, Value());
}

Value Cycler::next(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("next", args, 0, 0);
  auto& cycler = *self.instance_as<Cycler>();
  const Value current = cycler.items_[cycler.position_];
  cycler.position_ = (cycler.position_ + 1) % cycler.items_.size();
  return current;
}

Value Cycler::reset(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("reset", args, 0, 0);
  self.instance_as<Cycler>()->position_ = 0;
  return Value::none();
}

Value Joiner::attribute(std::string_view name) {
  if (name == "sep") return separator_;
  if (name == "used") return Value::boolean(used_);
  return {};
}

Value Joiner::call(Interpreter& /*interpreter*/, CallArgs& args) {
  require_arguments("joiner", args, 0, 0);
  if (used_) return separator_;
  used_ = true;
  return Value::string({});
}

Value TemplateReference::item(const Value& index) {
  if (!index.is_string()) return {};
  for (const BlockStmt* block : program_.blocks) {
    if (block->name == index.text()) {
      return Value::instance(Ref<Instance>(make_object<BlockReference>(*block).get()));
    }
  }
  return {};
}

Value BlockReference::attribute(std::string_view name) {
  if (name == "name") return Value::string(block_.name);
  if (name == "super") {
    return Value::undefined(fmt::format("there is no parent block called '{}'.", block_.name));
  }
  return {};
}

Value BlockReference::call(Interpreter& interpreter, CallArgs& args) {
  require_arguments("block", args, 0, 0);
  return interpreter.call_block(block_);
}

}  // namespace mistral::text::jinja
