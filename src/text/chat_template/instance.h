// Values with behaviour: what a template can call, iterate, or look attributes up in.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/chat_template/value.h"

namespace mistral::text::jinja {

class Interpreter;
class Iterator;
class Macro;

// Python shows where an object lies in memory. What lies where must not leak, nor make renderings
// differ, so it is always here.
inline constexpr std::string_view kShownAddress = "0x7f0000000000";

// Arguments of a call: f(1, 2, key=3).
struct CallArgs {
  std::vector<Value> positional;
  std::vector<std::pair<Value, Value>> keyword;  // name (a string) and value, in order
};

// Distributes arguments over the parameter `names`, as a Python signature would; parameters not
// given stay missing. The first `required` ones must be given, the first `positional_only` ones
// cannot be named. Throws TypeError, naming `function`.
void bind_arguments(std::string_view function, const CallArgs& args,
                    std::span<const std::string_view> names, std::size_t required,
                    std::size_t positional_only, std::span<Value> bound);
template <std::size_t count>
[[nodiscard]] std::array<Value, count> bind_arguments(std::string_view function,
                                                      const CallArgs& args,
                                                      const std::string_view (&names)[count],
                                                      std::size_t required = 0,
                                                      std::size_t positional_only = 0) {
  std::array<Value, count> bound;
  bind_arguments(function, args, names, required, positional_only, bound);
  return bound;
}
// For functions without parameters or with positional ones only.
void require_arguments(std::string_view function, const CallArgs& args, std::size_t least,
                       std::size_t most);

class Instance : public Object {
 public:
  using Object::Object;
  [[nodiscard]] std::size_t payload_bytes() const { return 0; }

  [[nodiscard]] virtual std::string_view type_name() const = 0;
  [[nodiscard]] virtual std::string repr() const;
  [[nodiscard]] virtual bool truthy();
  [[nodiscard]] virtual std::optional<std::int64_t> length() { return std::nullopt; }
  [[nodiscard]] virtual bool equals(const Instance& other) const { return this == &other; }
  // The attribute or the element; missing if there is none. Names that start with an underscore
  // are not asked for.
  [[nodiscard]] virtual Value attribute(std::string_view name);
  [[nodiscard]] virtual Value item(const Value& index);
  [[nodiscard]] virtual bool contains(const Value& value, bool& supported);
  // Null if it cannot be iterated.
  [[nodiscard]] virtual Ref<Iterator> iterate() { return {}; }
  [[nodiscard]] virtual bool callable() const { return false; }
  [[nodiscard]] virtual Value call(Interpreter& interpreter, CallArgs& args);
  // Null if it is something else.
  [[nodiscard]] virtual const Macro* as_macro() const { return nullptr; }
};

class Iterator : public Instance {
 public:
  using Instance::Instance;
  [[nodiscard]] std::string_view type_name() const override { return "generator"; }
  [[nodiscard]] Ref<Iterator> iterate() override { return Ref<Iterator>(this); }
  // False at the end; then it stays at the end.
  [[nodiscard]] virtual bool next(Value& item) = 0;
};

// All objects of one rendering that can change after they were made. Only through them can
// references form a cycle, so clearing them at the end frees everything.
class MutableInstance;
class MutableRegistry {
 public:
  MutableRegistry() = default;
  MutableRegistry(const MutableRegistry&) = delete;
  MutableRegistry& operator=(const MutableRegistry&) = delete;
  ~MutableRegistry() { clear(); }
  void clear();

 private:
  friend class MutableInstance;
  MutableInstance* first_ = nullptr;
};

class MutableInstance : public Instance {
 public:
  explicit MutableInstance(MutableRegistry& registry);
  ~MutableInstance() override;
  // Drops every reference to other values.
  virtual void clear() = 0;

 private:
  friend class MutableRegistry;
  MutableRegistry* registry_;
  MutableInstance* previous_ = nullptr;
  MutableInstance* next_ = nullptr;
};

// range(start, stop, step)
class Range final : public Instance {
 public:
  Range(std::int64_t start, std::int64_t stop, std::int64_t step)
      : Instance(true), start_(start), stop_(stop), step_(step) {}
  [[nodiscard]] std::int64_t count() const;
  [[nodiscard]] std::int64_t at(std::int64_t index) const { return start_ + index * step_; }
  [[nodiscard]] Value slice(std::int64_t start, std::int64_t stop, std::int64_t step) const;

  [[nodiscard]] std::string_view type_name() const override { return "range"; }
  [[nodiscard]] std::string repr() const override;
  [[nodiscard]] std::optional<std::int64_t> length() override { return count(); }
  [[nodiscard]] bool equals(const Instance& other) const override;
  [[nodiscard]] Value attribute(std::string_view name) override;
  [[nodiscard]] Value item(const Value& index) override;
  [[nodiscard]] bool contains(const Value& value, bool& supported) override;
  [[nodiscard]] Ref<Iterator> iterate() override;

 private:
  const std::int64_t start_;
  const std::int64_t stop_;
  const std::int64_t step_;
};

// dict.keys(), dict.values() and dict.items()
class DictView final : public Instance {
 public:
  enum class Part { kKeys, kValues, kItems };
  DictView(Value dict, Part part) : dict_(std::move(dict)), part_(part) {}
  [[nodiscard]] Value at(std::size_t index) const;
  [[nodiscard]] std::size_t size() const { return dict_.dict().size(); }

  [[nodiscard]] std::string_view type_name() const override;
  [[nodiscard]] std::string repr() const override;
  [[nodiscard]] std::optional<std::int64_t> length() override;
  [[nodiscard]] bool equals(const Instance& other) const override;
  [[nodiscard]] Value attribute(std::string_view name) override;
  [[nodiscard]] bool contains(const Value& value, bool& supported) override;
  [[nodiscard]] Ref<Iterator> iterate() override;

 private:
  const Value dict_;
  const Part part_;
};

// A function of the engine: a global, or a method bound to the value it is called on.
using NativeFunction = Value (*)(Interpreter& interpreter, const Value& self, CallArgs& args);

class Callable final : public Instance {
 public:
  Callable(std::string_view name, Value self, NativeFunction function)
      : name_(name), self_(std::move(self)), function_(function) {}
  [[nodiscard]] std::string_view type_name() const override { return "builtin_function_or_method"; }
  [[nodiscard]] std::string repr() const override;
  [[nodiscard]] bool equals(const Instance& other) const override;
  [[nodiscard]] bool callable() const override { return true; }
  [[nodiscard]] Value call(Interpreter& interpreter, CallArgs& args) override {
    return function_(interpreter, self_, args);
  }

 private:
  const std::string_view name_;  // of static storage
  const Value self_;
  const NativeFunction function_;
};

// The iterator of any iterable value; throws TypeError ("... is not iterable").
[[nodiscard]] Ref<Iterator> iterate(const Value& value);
// Null instead of an error.
[[nodiscard]] Ref<Iterator> try_iterate(const Value& value);
// All items of an iterable.
[[nodiscard]] std::vector<Value> collect(const Value& value);

template <typename T>
T* Value::instance_as() const {
  return is_instance() ? dynamic_cast<T*>(&instance()) : nullptr;
}

}  // namespace mistral::text::jinja
