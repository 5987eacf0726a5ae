#include "text/chat_template/interpreter.h"

#include <array>

#include "text/chat_template/builtins.h"
#include "text/chat_template/format.h"
#include "text/chat_template/interpreter_scopes.h"

namespace mistral::text::jinja {
namespace {

// Values and buffers may take this much more than the output.
constexpr std::size_t kMemoryFloor = std::size_t{64} << 20U;

// The items of a loop that pass its condition.
class TestedItems final : public Iterator {
 public:
  TestedItems(Interpreter& interpreter, const ForStmt& loop, Ref<Iterator> items,
              Ref<FrameObject> frame)
      : interpreter_(interpreter),
        loop_(loop),
        items_(std::move(items)),
        frame_(std::move(frame)) {}
  [[nodiscard]] bool next(Value& item) override {
    const NestingGuard guard;
    // The condition may reach this very iterator, through the loop's own variable.
    if (running_) throw runtime_error("ValueError: generator already executing");
    const Running running(running_);
    while (items_->next(item)) {
      if (interpreter_.passes_test(loop_, frame_, item)) return true;
    }
    return false;
  }

 private:
  class Running {
   public:
    explicit Running(bool& flag) : flag_(flag) { flag_ = true; }
    ~Running() { flag_ = false; }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    bool& flag_;
  };

  Interpreter& interpreter_;
  const ForStmt& loop_;
  const Ref<Iterator> items_;
  const Ref<FrameObject> frame_;
  bool running_ = false;
};

bool is_sum(const Expr& expr) {
  return expr.kind == ExprKind::kBinary &&
         static_cast<const BinaryExpr&>(expr).op == BinaryOp::kAdd;
}

bool is_plain_text(const Value& value) {
  return value.is_string() && !value.is_markup();
}

}  // namespace

Interpreter::Interpreter(const Program& program, const Json& context, const TemplateLimits& limits,
                         std::chrono::system_clock::time_point now)
    : program_(program),
      limits_(limits),
      now_(now),
      budget_(limits.output_bytes + kMemoryFloor, limits.steps) {
  context_.reserve(program.context_names.size());
  for (const std::string& name : program.context_names) {
    const auto found = context.is_object() ? context.find(name) : context.end();
    context_.push_back(found != context.end() ? Value::from_json(*found) : find_global(name));
  }
}

std::string Interpreter::run() {
  root_ = make_object<FrameObject>(registry_, program_.frame_size, Ref<FrameObject>());
  frame_ = root_;
  if (program_.uses_self) {
    frame_->slot(program_.self_slot) =
        Value::instance(Ref<Instance>(make_object<TemplateReference>(program_).get()));
  }
  Sink out;
  out_ = &out;
  enter(program_.scope);
  (void)execute(program_.body);
  out_ = nullptr;
  return out.finish();
}

void Interpreter::Sink::require_text() const {
  if (!not_text.empty()) {
    throw runtime_error("TypeError: sequence item: expected str instance, {} found", not_text);
  }
}

std::string Interpreter::Sink::finish() {
  require_text();
  return text.take();
}

// --- Statements

Interpreter::Flow Interpreter::execute(const Body& body) {
  for (const StmtPtr& stmt : body) {
    const Flow flow = execute(*stmt);
    if (flow != Flow::kNormal) return flow;
  }
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::execute(const Stmt& stmt) {
  budget_.step();
  const Depth depth(*this);
  position_ = stmt.position;
  switch (stmt.kind) {
    case StmtKind::kOutput:
      output(static_cast<const OutputStmt&>(stmt));
      break;
    case StmtKind::kSet:
      set(static_cast<const SetStmt&>(stmt));
      break;
    case StmtKind::kSetBlock:
      return set_block(static_cast<const SetBlockStmt&>(stmt));
    case StmtKind::kFor:
      return loop(static_cast<const ForStmt&>(stmt));
    case StmtKind::kIf:
      return branch(static_cast<const IfStmt&>(stmt));
    case StmtKind::kWith:
      return with(static_cast<const WithStmt&>(stmt));
    case StmtKind::kAutoescape:
      return autoescape_block(static_cast<const AutoescapeStmt&>(stmt));
    case StmtKind::kMacro: {
      const auto& macro = static_cast<const MacroStmt&>(stmt);
      variable(macro.target->slot) =
          Value::instance(Ref<Instance>(make_object<Macro>(macro.function, frame_).get()));
      break;
    }
    case StmtKind::kCallBlock:
      call_block_statement(static_cast<const CallBlockStmt&>(stmt));
      break;
    case StmtKind::kFilterBlock:
      return filter_block(static_cast<const FilterBlockStmt&>(stmt));
    case StmtKind::kBlock:
      block_statement(static_cast<const BlockStmt&>(stmt));
      break;
    case StmtKind::kBreak:
      return Flow::kBreak;
    case StmtKind::kContinue:
      return Flow::kContinue;
    case StmtKind::kRefused: {
      const auto& refused = static_cast<const RefusedStmt&>(stmt);
      (void)evaluate(*refused.source);
      position_ = stmt.position;
      throw runtime_error("'{}' is not possible: a chat template has no other templates to load",
                          refused.tag);
    }
  }
  return Flow::kNormal;
}

void Interpreter::output(const OutputStmt& stmt) {
  for (const auto& part : stmt.parts) {
    if (part.expr == nullptr) {
      write(part.text);
    } else if (part.constant && part.expr->kind != ExprKind::kConstant) {
      print(evaluate_constant(*part.expr), stmt.escape);
    } else {
      print(*part.expr, stmt.escape);
    }
  }
}

void Interpreter::print(const Expr& expr, EscapeMode escape) {
  if (!escapes(escape)) {
    if (expr.kind == ExprKind::kCall) return print_call(static_cast<const CallExpr&>(expr));
    if (is_sum(expr)) return print_sum(static_cast<const BinaryExpr&>(expr));
  }
  Value storage;
  print(evaluate(expr, storage), escape);
}

void Interpreter::print_sum(const BinaryExpr& expr) {
  // a + b + c is (a + b) + c: the operators from the outermost on, then the operands from the left.
  constexpr std::size_t kMaxParts = 8;
  std::array<const BinaryExpr*, kMaxParts - 1> sums;
  std::size_t count = 0;
  const Expr* first = &expr;
  while (count < sums.size() && is_sum(*first)) {
    budget_.step();
    sums[count++] = static_cast<const BinaryExpr*>(first);
    first = sums[count - 1]->left.get();
  }
  const Depth depth(*this);
  std::array<Value, kMaxParts> parts;
  std::size_t used = 1;
  parts[0] = evaluate(*first);
  while (count > 0) {
    const BinaryExpr& sum = *sums[--count];
    Value right = evaluate(*sum.right);
    position_ = sum.position;
    // Safe text would escape what is added to it.
    if (is_plain_text(parts[0]) && is_plain_text(right)) {
      parts[used++] = std::move(right);
      continue;
    }
    Value left = std::move(parts[0]);
    for (std::size_t i = 1; i < used; ++i) left = binary(BinaryOp::kAdd, left, parts[i]);
    parts[0] = binary(BinaryOp::kAdd, left, right);
    used = 1;
  }
  for (std::size_t i = 0; i < used; ++i) print(parts[i], EscapeMode::kOff);
}

void Interpreter::print_call(const CallExpr& expr) {
  budget_.step();
  const Depth depth(*this);
  if (expr.callee->kind == ExprKind::kName) {
    const Value& callee = read(static_cast<const NameExpr&>(*expr.callee));
    if (const Macro* macro = callee.is_instance() ? callee.instance().as_macro() : nullptr) {
      budget_.step();
      // The call may outlive the variable that it came from.
      const Value kept = callee;
      const ArgumentsLease lease(*this);
      collect_arguments(expr.arguments, lease.args());
      position_ = expr.position;
      print_macro(macro->function(), macro->closure(), lease.args());
      return;
    }
  }
  print(call(expr, nullptr), EscapeMode::kOff);
}

Value Interpreter::evaluate_constant(const Expr& expr) {
  // What fails while Jinja compiles is tried again when the template runs.
  try {
    lenient_slices_ = true;
    Value value = evaluate(expr);
    lenient_slices_ = false;
    return value;
  } catch (const EvalError& error) {
    lenient_slices_ = false;
    if (error.kind() == TemplateErrorKind::kLimit) throw;
  }
  return evaluate(expr);
}

void Interpreter::write(std::string_view text) {
  if (out_->text.text().size() + text.size() > limits_.output_bytes) {
    throw limit_error("the output exceeds the limit of {} bytes", limits_.output_bytes);
  }
  out_->text.append(text);
}

void Interpreter::print(const Value& value, EscapeMode escape) {
  if (escapes(escape)) {
    write(escape_value(value).text());
  } else if (value.is_string()) {
    Budget::spend_bytes(value.text().size());
    write(value.text());
  } else if (!value.is_undefined()) {
    write(to_repr(value));
  }
}

void Interpreter::write_joined(const Value& value) {
  if (value.is_string()) {
    print(value, EscapeMode::kOff);
  } else {
    out_->not_text = type_name(value);
  }
}

void Interpreter::require_namespaces(const Expr& target) {
  if (target.kind == ExprKind::kNamespaceRef) {
    const auto& reference = static_cast<const NamespaceRefExpr&>(target);
    if (variable(reference.slot).instance_as<Namespace>() == nullptr) {
      position_ = target.position;
      throw runtime_error("cannot assign attribute on non-namespace object");
    }
  } else if (target.kind == ExprKind::kTuple) {
    for (const auto& item : static_cast<const SequenceExpr&>(target).items) {
      require_namespaces(*item);
    }
  }
}

void Interpreter::set(const SetStmt& stmt) {
  if (stmt.target->kind != ExprKind::kName) require_namespaces(*stmt.target);
  assign(*stmt.target, evaluate(*stmt.value));
}

void Interpreter::assign(const Expr& target, Value value) {
  if (target.kind == ExprKind::kName) {
    variable(static_cast<const NameExpr&>(target).slot) = std::move(value);
    return;
  }
  position_ = target.position;
  if (target.kind == ExprKind::kNamespaceRef) {
    const auto& reference = static_cast<const NamespaceRefExpr&>(target);
    auto* space = variable(reference.slot).instance_as<Namespace>();
    if (space == nullptr) throw runtime_error("cannot assign attribute on non-namespace object");
    space->set(reference.attribute, std::move(value));
    return;
  }
  const auto& names = static_cast<const SequenceExpr&>(target).items;
  const std::vector<Value> values = unpack(value, names.size());
  for (std::size_t i = 0; i < names.size(); ++i) assign(*names[i], values[i]);
}

Interpreter::Flow Interpreter::set_block(const SetBlockStmt& stmt) {
  enter(stmt.scope);
  Value value;
  {
    Capture capture(*this);
    const Flow flow = execute(stmt.body);
    if (flow != Flow::kNormal) return flow;
    value = captured_value(capture.finish());
  }
  if (stmt.filter != nullptr) {
    const Value filtered = filter(static_cast<const FilterExpr&>(*stmt.filter), &value);
    value = autoescape_ && !filtered.is_markup() ? Value::markup(to_str(filtered)) : filtered;
  }
  assign(*stmt.target, std::move(value));
  leave(stmt.scope);
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::loop(const ForStmt& stmt) {
  Value iterable = evaluate(*stmt.iterable);
  position_ = stmt.position;
  if (!stmt.recursive) return loop_over(stmt, iterable, 0, frame_);
  const Value text = run_recursive_loop(stmt, frame_, iterable, 0);
  write(text.text());
  return Flow::kNormal;
}

Value Interpreter::run_recursive_loop(const ForStmt& loop, Ref<FrameObject> closure,
                                      const Value& iterable, std::int64_t depth0) {
  const FrameSwitch frame(*this, loop.loop_frame_size, closure);
  Capture capture(*this);
  (void)loop_over(loop, iterable, depth0, closure);
  std::string text = capture.finish();
  return escapes(loop.escape) ? Value::markup(std::move(text)) : Value::string(std::move(text));
}

bool Interpreter::passes_test(const ForStmt& loop, const Ref<FrameObject>& frame,
                              const Value& item) {
  budget_.step();
  const FrameSwitch frame_switch(*this, frame);
  std::size_t next = 0;
  assign_in_order(*loop.target, item, loop.test_target, *frame, next);
  Value storage;
  return truthy(evaluate(*loop.test, storage));
}

Interpreter::Flow Interpreter::loop_over(const ForStmt& stmt, const Value& iterable,
                                         std::int64_t depth0, Ref<FrameObject> closure) {
  bool first = true;
  Flow result = Flow::kNormal;
  // False when the loop is over.
  const auto turn = [&](Value item) {
    budget_.step();
    assign(*stmt.target, std::move(item));
    enter(stmt.body_scope);
    const Flow flow = execute(stmt.body);
    // As in Jinja, a first turn that is cut short does not keep the else branch from running.
    if (flow == Flow::kNormal) first = false;
    return flow != Flow::kBreak;
  };
  const bool plain = !stmt.uses_loop && stmt.test == nullptr;
  if (plain && iterable.is_sequence()) {
    for (const Value& item : iterable.items()) {
      if (!turn(item)) break;
    }
  } else {
    Ref<Iterator> items = iterate(iterable);
    Value length_source = iterable;
    if (stmt.test != nullptr) {
      auto frame = make_object<FrameObject>(registry_, stmt.test_frame_size, closure);
      {
        const FrameSwitch frame_switch(*this, frame);
        enter(stmt.test_scope);
      }
      items = Ref<Iterator>(make_object<TestedItems>(*this, stmt, items, frame).get());
      length_source = Value::instance(Ref<Instance>(items.get()));
    }
    Value item;
    if (stmt.uses_loop) {
      const auto context = make_object<LoopContext>(
          registry_, length_source, items, stmt.recursive ? &stmt : nullptr, closure, depth0);
      while (context->advance(item)) {
        frame_->slot(stmt.loop_slot) = Value::instance(Ref<Instance>(context.get()));
        if (!turn(std::move(item))) break;
      }
    } else {
      while (items->next(item)) {
        if (!turn(std::move(item))) break;
      }
    }
  }
  leave(stmt.body_scope);
  if (first && !stmt.otherwise.empty()) {
    enter(stmt.otherwise_scope);
    result = execute(stmt.otherwise);
    leave(stmt.otherwise_scope);
  }
  return result;
}

Interpreter::Flow Interpreter::branch(const IfStmt& stmt) {
  for (const auto& choice : stmt.branches) {
    Value storage;
    if (truthy(evaluate(*choice.test, storage))) return execute(choice.body);
  }
  return execute(stmt.otherwise);
}

Interpreter::Flow Interpreter::with(const WithStmt& stmt) {
  enter(stmt.scope);
  for (const auto& [target, value] : stmt.assignments) assign(*target, evaluate(*value));
  const Flow flow = execute(stmt.body);
  leave(stmt.scope);
  return flow;
}

Interpreter::Flow Interpreter::autoescape_block(const AutoescapeStmt& stmt) {
  enter(stmt.scope);
  const bool saved = autoescape_;
  autoescape_ = truthy(evaluate(*stmt.enabled));
  const Flow flow = execute(stmt.body);
  autoescape_ = saved;
  leave(stmt.scope);
  return flow;
}

Interpreter::Flow Interpreter::filter_block(const FilterBlockStmt& stmt) {
  enter(stmt.scope);
  std::string text;
  {
    Capture capture(*this);
    const Flow flow = execute(stmt.body);
    if (flow != Flow::kNormal) return flow;
    text = capture.finish();
  }
  const Value input =
      escapes(stmt.escape) ? Value::markup(std::move(text)) : Value::string(std::move(text));
  write_joined(filter(static_cast<const FilterExpr&>(*stmt.filter), &input));
  leave(stmt.scope);
  return Flow::kNormal;
}

void Interpreter::call_block_statement(const CallBlockStmt& stmt) {
  if (stmt.call == nullptr) {
    CallArgs none;
    print_macro(stmt.function, frame_, none);
    return;
  }
  const Value caller =
      Value::instance(Ref<Instance>(make_object<Macro>(stmt.function, frame_).get()));
  write_joined(call(static_cast<const CallExpr&>(*stmt.call), &caller));
}

void Interpreter::block_statement(const BlockStmt& stmt) {
  if (stmt.required) throw runtime_error("Required block '{}' not found", stmt.name);
  std::vector<std::pair<std::uint32_t, Value>> hidden;
  for (const auto& [index, slot] : stmt.overlay) {
    const Value& value = variable(slot);
    if (value.is_missing()) continue;
    hidden.emplace_back(index, std::exchange(context_[index], value));
  }
  run_block(stmt);
  for (auto& [index, value] : hidden) context_[index] = std::move(value);
}

Value Interpreter::call_block(const BlockStmt& block) {
  Capture capture(*this);
  run_block(block);
  return captured_value(capture.finish());
}

void Interpreter::run_block(const BlockStmt& block) {
  for (const auto& [slot, index] : program_.exports) {
    bool overlaid = false;
    for (const auto& [hidden, local] : block.overlay) overlaid = overlaid || hidden == index;
    if (!overlaid && !root_->slot(slot).is_missing()) context_[index] = root_->slot(slot);
  }
  const FrameSwitch frame(*this, block.frame_size, Ref<FrameObject>());
  if (block.uses_self) {
    frame_->slot(block.self_slot) =
        Value::instance(Ref<Instance>(make_object<TemplateReference>(program_).get()));
  }
  if (block.uses_super) {
    frame_->slot(block.super_slot) =
        Value::undefined(fmt::format("there is no parent block called '{}'.", block.name));
  }
  enter(block.scope);
  (void)execute(block.body);
}

void Interpreter::enter(const ScopeEntry& scope) {
  for (const auto& initializer : scope.enter) {
    Value& slot = frame_->slot(initializer.index);
    if (initializer.source == ScopeEntry::Source::kMissing) {
      slot = Value();
    } else {
      slot = Value(variable(initializer.from));
    }
  }
}

void Interpreter::leave(const ScopeEntry& scope) {
  for (const std::uint32_t index : scope.leave) frame_->slot(index) = Value();
}

Value Interpreter::call_macro(const MacroFunction& macro, Ref<FrameObject> closure,
                              CallArgs& args) {
  Capture capture(*this);
  run_macro(macro, std::move(closure), args);
  return captured_value(capture.finish());
}

void Interpreter::print_macro(const MacroFunction& macro, Ref<FrameObject> closure,
                              CallArgs& args) {
  // What the macro puts out that is not text fails at its own end, what was put out before it at
  // the end of that.
  std::string before = std::exchange(out_->not_text, {});
  run_macro(macro, std::move(closure), args);
  out_->require_text();
  out_->not_text = std::move(before);
}

void Interpreter::run_macro(const MacroFunction& macro, Ref<FrameObject> closure, CallArgs& args) {
  const FrameSwitch frame(*this, macro.frame_size, std::move(closure));
  bind_macro_arguments(macro, args, *frame_);
  enter(macro.scope);
  const std::size_t required = macro.parameters.size() - macro.defaults.size();
  for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
    Value& slot = frame_->slot(macro.parameters[i]->slot.index);
    if (!slot.is_missing()) continue;
    slot = i < required ? macro.undefined_parameters[i] : evaluate(*macro.defaults[i - required]);
  }
  (void)execute(macro.body);
}

Ref<FrameObject> Interpreter::new_frame(std::size_t size, Ref<FrameObject> parent) {
  if (!spare_frames_) return make_object<FrameObject>(registry_, size, std::move(parent));
  Ref<FrameObject> frame = std::move(spare_frames_);
  spare_frames_ = Ref<FrameObject>(frame->parent());
  frame->reuse(size, std::move(parent));
  return frame;
}

void Interpreter::keep_spare(const Ref<FrameObject>& frame) {
  if (!frame->unique()) return;
  frame->clear();
  frame->reuse(0, std::move(spare_frames_));
  spare_frames_ = frame;
}

}  // namespace mistral::text::jinja
