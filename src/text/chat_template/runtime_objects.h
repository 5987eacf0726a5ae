// The objects that statements and global functions give to a template: variables' frames, macros,
// loop, namespace, cycler, joiner, self.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template/ast.h"
#include "text/chat_template/instance.h"

namespace mistral::text::jinja {

// The variables of one run of a function, kept alive by the closures made in it.
class FrameObject final : public MutableInstance {
 public:
  FrameObject(MutableRegistry& registry, std::size_t size, Ref<FrameObject> parent)
      : MutableInstance(registry), slots_(size), parent_(std::move(parent)) {}
  [[nodiscard]] std::size_t payload_bytes() const { return slots_.capacity() * sizeof(Value); }
  [[nodiscard]] std::string_view type_name() const override { return "frame"; }
  void clear() override;
  // Makes a cleared frame the frame of another run.
  void reuse(std::size_t size, Ref<FrameObject> parent);
  [[nodiscard]] Value& slot(std::size_t index) { return slots_[index]; }
  [[nodiscard]] FrameObject* parent() const { return parent_.get(); }

 private:
  std::vector<Value> slots_;
  Ref<FrameObject> parent_;
};

class Macro final : public Instance {
 public:
  Macro(const MacroFunction& function, Ref<FrameObject> closure)
      : function_(function), closure_(std::move(closure)) {}
  [[nodiscard]] std::string_view type_name() const override { return "Macro"; }
  [[nodiscard]] std::string repr() const override;
  [[nodiscard]] Value attribute(std::string_view name) override;
  [[nodiscard]] bool callable() const override { return true; }
  [[nodiscard]] Value call(Interpreter& interpreter, CallArgs& args) override;
  [[nodiscard]] const Macro* as_macro() const override { return this; }
  [[nodiscard]] const MacroFunction& function() const { return function_; }
  [[nodiscard]] const Ref<FrameObject>& closure() const { return closure_; }

 private:
  const MacroFunction& function_;
  const Ref<FrameObject> closure_;
};

// namespace(...): the only object whose attributes a template may set.
class Namespace final : public MutableInstance {
 public:
  explicit Namespace(MutableRegistry& registry) : MutableInstance(registry) {}
  [[nodiscard]] std::string_view type_name() const override { return "Namespace"; }
  [[nodiscard]] std::string repr() const override;
  [[nodiscard]] Value attribute(std::string_view name) override;
  void clear() override { attributes_.clear(); }
  void set(const Value& name, Value value);

 private:
  std::vector<std::pair<Value, Value>> attributes_;
};

// The variable `loop`.
class LoopContext final : public MutableInstance {
 public:
  // `statement` and `closure` make loop(...) possible; null for loops that are not recursive.
  LoopContext(MutableRegistry& registry, Value iterable, Ref<Iterator> iterator,
              const ForStmt* statement, Ref<FrameObject> closure, std::int64_t depth0);
  // Moves on; false at the end.
  [[nodiscard]] bool advance(Value& item);

  [[nodiscard]] std::string_view type_name() const override { return "LoopContext"; }
  [[nodiscard]] std::string repr() const override;
  [[nodiscard]] std::optional<std::int64_t> length() override { return count(); }
  [[nodiscard]] Value attribute(std::string_view name) override;
  [[nodiscard]] Ref<Iterator> iterate() override;
  [[nodiscard]] bool callable() const override { return true; }
  [[nodiscard]] Value call(Interpreter& interpreter, CallArgs& args) override;
  void clear() override;

 private:
  [[nodiscard]] std::int64_t count();
  [[nodiscard]] const Value& peek();  // missing at the end
  static Value cycle(Interpreter& interpreter, const Value& self, CallArgs& args);
  static Value changed(Interpreter& interpreter, const Value& self, CallArgs& args);
  [[nodiscard]] Value method(std::string_view name, NativeFunction function);

  Value iterable_;
  Ref<Iterator> iterator_;
  const ForStmt* statement_;
  Ref<FrameObject> closure_;
  std::int64_t depth0_;
  std::int64_t index0_ = -1;
  std::int64_t length_ = -1;
  Value after_;
  Value current_;
  Value before_;
  Value last_changed_;
};

class Cycler final : public MutableInstance {
 public:
  Cycler(MutableRegistry& registry, std::vector<Value> items)
      : MutableInstance(registry), items_(std::move(items)) {}
  [[nodiscard]] std::string_view type_name() const override { return "Cycler"; }
  [[nodiscard]] Value attribute(std::string_view name) override;
  void clear() override;

 private:
  static Value next(Interpreter& interpreter, const Value& self, CallArgs& args);
  static Value reset(Interpreter& interpreter, const Value& self, CallArgs& args);
  std::vector<Value> items_;
  std::size_t position_ = 0;
};

class Joiner final : public MutableInstance {
 public:
  Joiner(MutableRegistry& registry, Value separator)
      : MutableInstance(registry), separator_(std::move(separator)) {}
  [[nodiscard]] std::string_view type_name() const override { return "Joiner"; }
  [[nodiscard]] Value attribute(std::string_view name) override;
  [[nodiscard]] bool callable() const override { return true; }
  [[nodiscard]] Value call(Interpreter& interpreter, CallArgs& args) override;
  void clear() override { separator_ = Value(); }

 private:
  Value separator_;
  bool used_ = false;
};

// The variable `self`: blocks by name.
class TemplateReference final : public Instance {
 public:
  explicit TemplateReference(const Program& program) : program_(program) {}
  [[nodiscard]] std::string_view type_name() const override {
    return "jinja2.runtime.TemplateReference";
  }
  [[nodiscard]] std::string repr() const override { return "<TemplateReference None>"; }
  [[nodiscard]] Value item(const Value& index) override;

 private:
  const Program& program_;
};

class BlockReference final : public Instance {
 public:
  explicit BlockReference(const BlockStmt& block) : block_(block) {}
  [[nodiscard]] std::string_view type_name() const override { return "BlockReference"; }
  [[nodiscard]] Value attribute(std::string_view name) override;
  [[nodiscard]] bool callable() const override { return true; }
  [[nodiscard]] Value call(Interpreter& interpreter, CallArgs& args) override;

 private:
  const BlockStmt& block_;
};

}  // namespace mistral::text::jinja
