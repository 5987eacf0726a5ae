#include "text/chat_template/instance.h"

#include <algorithm>

#include "text/chat_template/format.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {
namespace {

class SequenceIterator final : public Iterator {
 public:
  explicit SequenceIterator(Value sequence) : sequence_(std::move(sequence)) {}
  [[nodiscard]] std::string_view type_name() const override { return "list_iterator"; }
  [[nodiscard]] bool next(Value& item) override {
    const auto& items = sequence_.items();
    if (index_ >= items.size()) return false;
    item = items[index_++];
    return true;
  }

 private:
  const Value sequence_;
  std::size_t index_ = 0;
};

class StringIterator final : public Iterator {
 public:
  explicit StringIterator(Value string) : string_(std::move(string)) {}
  [[nodiscard]] std::string_view type_name() const override { return "str_iterator"; }
  [[nodiscard]] bool next(Value& item) override {
    const std::string& text = string_.text();
    if (position_ >= text.size()) return false;
    const std::size_t start = position_;
    if (string_.kind() == Kind::kBytes) {
      item = Value::integer(static_cast<unsigned char>(text[position_++]));
    } else {
      (void)decode_at(text, position_);
      item = Value::string(text.substr(start, position_ - start));
    }
    return true;
  }

 private:
  const Value string_;
  std::size_t position_ = 0;
};

class ViewIterator final : public Iterator {
 public:
  ViewIterator(Value dict, DictView::Part part) : view_(std::move(dict), part) {}
  [[nodiscard]] std::string_view type_name() const override { return "dict_iterator"; }
  [[nodiscard]] bool next(Value& item) override {
    if (index_ >= view_.size()) return false;
    item = view_.at(index_++);
    return true;
  }

 private:
  const DictView view_;
  std::size_t index_ = 0;
};

class RangeIterator final : public Iterator {
 public:
  explicit RangeIterator(Ref<Range> range) : range_(std::move(range)) {}
  [[nodiscard]] std::string_view type_name() const override { return "range_iterator"; }
  [[nodiscard]] bool next(Value& item) override {
    if (index_ >= range_->count()) return false;
    item = Value::integer(range_->at(index_++));
    return true;
  }

 private:
  const Ref<Range> range_;
  std::int64_t index_ = 0;
};

// Where a range holds a value; negative if nowhere.
std::int64_t position_in_range(const Value& self, const CallArgs& args, std::string_view name) {
  require_arguments(name, args, 1, 1);
  const auto& range = *self.instance_as<Range>();
  for (std::int64_t i = 0; i < range.count(); ++i) {
    Budget::spend(1);
    if (equal(args.positional[0], Value::integer(range.at(i)))) return i;
  }
  return -1;
}

Value range_count(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const bool found = position_in_range(self, args, "count") >= 0;
  return Value::integer(std::int64_t{found ? 1 : 0});
}

Value range_index(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const std::int64_t position = position_in_range(self, args, "index");
  if (position < 0) {
    throw runtime_error("ValueError: {} is not in range", to_repr(args.positional[0]));
  }
  return Value::integer(position);
}

class EmptyIterator final : public Iterator {
 public:
  [[nodiscard]] bool next(Value& /*item*/) override { return false; }
};

}  // namespace

void bind_arguments(std::string_view function, const CallArgs& args,
                    std::span<const std::string_view> names, std::size_t required,
                    std::size_t positional_only, std::span<Value> bound) {
  if (args.positional.size() > names.size()) {
    throw runtime_error("TypeError: {}() takes at most {} arguments ({} given)", function,
                        names.size(), args.positional.size());
  }
  std::copy(args.positional.begin(), args.positional.end(), bound.begin());
  for (const auto& [key, value] : args.keyword) {
    const auto found = std::find(names.begin(), names.end(), std::string_view(key.text()));
    const auto index = static_cast<std::size_t>(found - names.begin());
    if (found == names.end() || index < positional_only) {
      throw runtime_error("TypeError: {}() got an unexpected keyword argument '{}'", function,
                          key.text());
    }
    if (!bound[index].is_missing()) {
      throw runtime_error("TypeError: {}() got multiple values for argument '{}'", function,
                          key.text());
    }
    bound[index] = value;
  }
  for (std::size_t i = 0; i < required; ++i) {
    if (bound[i].is_missing()) {
      throw runtime_error("TypeError: {}() missing required argument '{}'", function, names[i]);
    }
  }
}

void require_arguments(std::string_view function, const CallArgs& args, std::size_t least,
                       std::size_t most) {
  if (!args.keyword.empty()) {
    throw runtime_error("TypeError: {}() takes no keyword arguments", function);
  }
  const std::size_t given = args.positional.size();
  if (given < least || given > most) {
    throw runtime_error("TypeError: {}() takes {} to {} arguments ({} given)", function, least,
                        most, given);
  }
}

std::string Instance::repr() const {
  return fmt::format("<{} object>", type_name());
}

bool Instance::truthy() {
  const auto size = length();
  return !size.has_value() || *size != 0;
}

Value Instance::attribute(std::string_view /*name*/) {
  return {};
}

Value Instance::item(const Value& /*index*/) {
  return {};
}

bool Instance::contains(const Value& value, bool& supported) {
  const Ref<Iterator> iterator = iterate();
  supported = static_cast<bool>(iterator);
  if (!supported) return false;
  Value item;
  while (iterator->next(item)) {
    Budget::spend(1);
    if (equal(item, value)) return true;
  }
  return false;
}

Value Instance::call(Interpreter& /*interpreter*/, CallArgs& /*args*/) {
  throw runtime_error("TypeError: '{}' object is not callable", type_name());
}

MutableInstance::MutableInstance(MutableRegistry& registry) : registry_(&registry) {
  next_ = registry.first_;
  if (next_ != nullptr) next_->previous_ = this;
  registry.first_ = this;
}

MutableInstance::~MutableInstance() {
  if (registry_ == nullptr) return;
  if (next_ != nullptr) next_->previous_ = previous_;
  if (previous_ != nullptr) {
    previous_->next_ = next_;
  } else {
    registry_->first_ = next_;
  }
}

void MutableRegistry::clear() {
  while (first_ != nullptr) {
    const Ref<MutableInstance> object(first_);
    first_ = object->next_;
    if (first_ != nullptr) first_->previous_ = nullptr;
    object->registry_ = nullptr;
    object->next_ = nullptr;
    object->previous_ = nullptr;
    object->clear();
  }
}

std::int64_t Range::count() const {
  // Every range of more than a few items was refused when it was made, so nothing overflows.
  if (step_ > 0) return start_ < stop_ ? (stop_ - start_ - 1) / step_ + 1 : 0;
  return start_ > stop_ ? (start_ - stop_ - 1) / -step_ + 1 : 0;
}

Value Range::slice(std::int64_t start, std::int64_t stop, std::int64_t step) const {
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::int64_t stride = 0;
  if (__builtin_mul_overflow(step_, step, &stride) ||
      __builtin_mul_overflow(start, step_, &first) || __builtin_mul_overflow(stop, step_, &last) ||
      __builtin_add_overflow(first, start_, &first) ||
      __builtin_add_overflow(last, start_, &last)) {
    throw limit_error("slice of a range exceeds 64 bits");
  }
  return Value::instance(Ref<Instance>(make_object<Range>(first, last, stride).get()));
}

std::string Range::repr() const {
  if (step_ == 1) return fmt::format("range({}, {})", start_, stop_);
  return fmt::format("range({}, {}, {})", start_, stop_, step_);
}

bool Range::equals(const Instance& other) const {
  const auto* range = dynamic_cast<const Range*>(&other);
  if (range == nullptr || range->count() != count()) return false;
  if (count() == 0) return true;
  return range->start_ == start_ && (count() == 1 || range->step_ == step_);
}

Value Range::attribute(std::string_view name) {
  if (name == "start") return Value::integer(start_);
  if (name == "stop") return Value::integer(stop_);
  if (name == "step") return Value::integer(step_);
  const bool counts = name == "count";
  if (!counts && name != "index") return {};
  const Value self = Value::instance(Ref<Instance>(this));
  return Value::instance(Ref<Instance>(
      make_object<Callable>(counts ? "count" : "index", self, counts ? range_count : range_index)
          .get()));
}

Value Range::item(const Value& index) {
  if (!index.is_small_int()) return {};
  const std::int64_t i = index.as_int() < 0 ? index.as_int() + count() : index.as_int();
  return i >= 0 && i < count() ? Value::integer(at(i)) : Value();
}

bool Range::contains(const Value& value, bool& supported) {
  supported = true;
  if (!value.is_number()) return false;
  for (std::int64_t i = 0; i < count(); ++i) {
    Budget::spend(1);
    if (equal(value, Value::integer(at(i)))) return true;
  }
  return false;
}

Ref<Iterator> Range::iterate() {
  return Ref<Iterator>(make_object<RangeIterator>(Ref<Range>(this)).get());
}

Value DictView::at(std::size_t index) const {
  const auto& [key, value] = dict_.dict().entries()[index];
  if (part_ == Part::kKeys) return key;
  if (part_ == Part::kValues) return value;
  return Value::tuple({key, value});
}

std::string_view DictView::type_name() const {
  if (part_ == Part::kKeys) return "dict_keys";
  return part_ == Part::kValues ? "dict_values" : "dict_items";
}

std::string DictView::repr() const {
  const NestingGuard guard;
  std::vector<Value> items;
  for (std::size_t i = 0; i < size(); ++i) items.push_back(at(i));
  return fmt::format("{}({})", type_name(), to_repr(Value::list(std::move(items))));
}

std::optional<std::int64_t> DictView::length() {
  return static_cast<std::int64_t>(size());
}

bool DictView::equals(const Instance& other) const {
  if (this == &other) return true;
  const NestingGuard guard;
  const auto* view = dynamic_cast<const DictView*>(&other);
  if (view == nullptr || part_ == Part::kValues || view->part_ == Part::kValues) return false;
  if (view->size() != size()) return false;
  for (std::size_t i = 0; i < size(); ++i) {
    const Value mine = at(i);
    bool found = false;
    for (std::size_t k = 0; k < size() && !found; ++k) {
      Budget::spend(1);
      found = equal(mine, view->at(k));
    }
    if (!found) return false;
  }
  return true;
}

Value DictView::attribute(std::string_view name) {
  if (name == "mapping") return dict_;
  return {};
}

bool DictView::contains(const Value& value, bool& supported) {
  if (part_ != Part::kKeys) return Instance::contains(value, supported);
  supported = true;
  return dict_.dict().find(value) != nullptr;
}

Ref<Iterator> DictView::iterate() {
  return Ref<Iterator>(make_object<ViewIterator>(dict_, part_).get());
}

std::string Callable::repr() const {
  if (self_.is_missing()) return fmt::format("<function {} at {}>", name_, kShownAddress);
  return fmt::format("<built-in method {} of {} object at {}>", name_,
                     mistral::text::jinja::type_name(self_), kShownAddress);
}

bool Callable::equals(const Instance& other) const {
  const auto* callable = dynamic_cast<const Callable*>(&other);
  return callable != nullptr && callable->function_ == function_ && callable->name_ == name_ &&
         callable->self_.same_object(self_);
}

Ref<Iterator> try_iterate(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return Ref<Iterator>(make_object<EmptyIterator>().get());
    case Kind::kString:
    case Kind::kBytes:
      return Ref<Iterator>(make_object<StringIterator>(value).get());
    case Kind::kList:
    case Kind::kTuple:
      return Ref<Iterator>(make_object<SequenceIterator>(value).get());
    case Kind::kDict:
      return Ref<Iterator>(make_object<ViewIterator>(value, DictView::Part::kKeys).get());
    case Kind::kInstance:
      return value.instance().iterate();
    default:
      return {};
  }
}

Ref<Iterator> iterate(const Value& value) {
  Ref<Iterator> iterator = try_iterate(value);
  if (!iterator) throw runtime_error("TypeError: '{}' object is not iterable", type_name(value));
  return iterator;
}

std::vector<Value> collect(const Value& value) {
  if (value.is_sequence()) {
    Budget::spend(value.items().size());
    Budget::require(value.items().size() * sizeof(Value));
    return value.items();
  }
  ListBuilder builder;
  const Ref<Iterator> iterator = iterate(value);
  Value item;
  while (iterator->next(item)) {
    Budget::spend(1);
    builder.push(std::move(item));
  }
  return std::move(builder.items());
}

}  // namespace mistral::text::jinja
