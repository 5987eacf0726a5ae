// Runs a resolved template over its data.
#pragma once

#include <chrono>
#include <deque>
#include <string>

#include "text/chat_template/ast.h"
#include "text/chat_template/budget.h"
#include "text/chat_template/instance.h"
#include "text/chat_template/runtime_objects.h"

namespace mistral::text::jinja {

// One rendering. Not thread safe; the program may be shared.
class Interpreter {
 public:
  Interpreter(const Program& program, const Json& context, const TemplateLimits& limits,
              std::chrono::system_clock::time_point now);
  // Throws EvalError; position() then tells where.
  [[nodiscard]] std::string run();
  [[nodiscard]] Position position() const { return position_; }

  // --- For filters, tests, globals and objects
  [[nodiscard]] Value call(const Value& callee, CallArgs& args);
  [[nodiscard]] Value call_macro(const MacroFunction& macro, Ref<FrameObject> closure,
                                 CallArgs& args);
  [[nodiscard]] Value call_block(const BlockStmt& block);
  [[nodiscard]] Value run_recursive_loop(const ForStmt& loop, Ref<FrameObject> closure,
                                         const Value& iterable, std::int64_t depth0);
  // Whether {% autoescape %} is on where the template is now.
  [[nodiscard]] bool autoescape() const { return autoescape_; }
  [[nodiscard]] MutableRegistry& registry() { return registry_; }
  [[nodiscard]] std::chrono::system_clock::time_point now() const { return now_; }
  // Evaluates the condition of a loop for one item, in the frame of the condition.
  [[nodiscard]] bool passes_test(const ForStmt& loop, const Ref<FrameObject>& frame,
                                 const Value& item);

 private:
  enum class Flow : std::uint8_t { kNormal, kBreak, kContinue };

  // Where output goes. A call or filter block may put something there that is not text; joining
  // the output fails then, at its end.
  struct Sink {
    TextBuilder text;
    std::string not_text;
    void require_text() const;
    [[nodiscard]] std::string finish();
  };
  class Depth;
  class Capture;
  class FrameSwitch;
  class ArgumentsLease;

  // Statements
  [[nodiscard]] Flow execute(const Body& body);
  [[nodiscard]] Flow execute(const Stmt& stmt);
  void output(const OutputStmt& stmt);
  void set(const SetStmt& stmt);
  [[nodiscard]] Flow set_block(const SetBlockStmt& stmt);
  [[nodiscard]] Flow loop(const ForStmt& stmt);
  [[nodiscard]] Flow loop_over(const ForStmt& stmt, const Value& iterable, std::int64_t depth0,
                               Ref<FrameObject> closure);
  [[nodiscard]] Flow branch(const IfStmt& stmt);
  [[nodiscard]] Flow with(const WithStmt& stmt);
  [[nodiscard]] Flow autoescape_block(const AutoescapeStmt& stmt);
  [[nodiscard]] Flow filter_block(const FilterBlockStmt& stmt);
  void call_block_statement(const CallBlockStmt& stmt);
  void block_statement(const BlockStmt& stmt);
  void run_block(const BlockStmt& block);

  void enter(const ScopeEntry& scope);
  void leave(const ScopeEntry& scope);
  void assign(const Expr& target, Value value);
  void require_namespaces(const Expr& target);
  // Prints without making a value of what is printed, where that is possible.
  void print(const Expr& expr, EscapeMode escape);
  void print_sum(const BinaryExpr& expr);
  void print_call(const CallExpr& expr);
  void print(const Value& value, EscapeMode escape);
  void write(std::string_view text);
  // Writes the result of a call or filter block.
  void write_joined(const Value& value);
  [[nodiscard]] bool escapes(EscapeMode mode) const {
    return mode == EscapeMode::kOn || (mode == EscapeMode::kDynamic && autoescape_);
  }
  [[nodiscard]] Value captured_value(std::string text) const {
    return autoescape_ ? Value::markup(std::move(text)) : Value::string(std::move(text));
  }

  // Expressions
  [[nodiscard]] Value evaluate(const Expr& expr);
  // Like evaluate(), but names and constants are not copied; others are kept in `storage`.
  [[nodiscard]] const Value& evaluate(const Expr& expr, Value& storage);
  [[nodiscard]] Value evaluate_compound(const Expr& expr);
  // For printed expressions without variables; see is_constant().
  [[nodiscard]] Value evaluate_constant(const Expr& expr);
  [[nodiscard]] const Value& read(const NameExpr& name);
  [[nodiscard]] Value& variable(const Slot& slot);
  [[nodiscard]] Value evaluate_dict(const DictExpr& expr);
  [[nodiscard]] Value concat(const ConcatExpr& expr);
  [[nodiscard]] Value comparison(const CompareExpr& expr);
  [[nodiscard]] Value conditional(const ConditionalExpr& expr);
  [[nodiscard]] Value attribute(const AttributeExpr& expr);
  [[nodiscard]] Value item(const ItemExpr& expr);
  [[nodiscard]] Value call(const CallExpr& expr, const Value* caller);
  // The output of a macro goes where output goes now.
  void run_macro(const MacroFunction& macro, Ref<FrameObject> closure, CallArgs& args);
  void print_macro(const MacroFunction& macro, Ref<FrameObject> closure, CallArgs& args);
  [[nodiscard]] Value filter(const FilterExpr& expr, const Value* block_text);
  void collect_arguments(const Arguments& arguments, CallArgs& args);
  [[nodiscard]] Ref<FrameObject> new_frame(std::size_t size, Ref<FrameObject> parent);
  void keep_spare(const Ref<FrameObject>& frame);

  const Program& program_;
  const TemplateLimits limits_;
  const std::chrono::system_clock::time_point now_;
  Budget budget_;
  // Emptied before the budget goes and after everything below, so that no cycle stays behind.
  MutableRegistry registry_;
  std::vector<Value> context_;
  Ref<FrameObject> root_;
  Ref<FrameObject> frame_;
  // Memory of calls that are over: frames, each the parent of the next, and arguments.
  Ref<FrameObject> spare_frames_;
  std::deque<CallArgs> arguments_;
  std::size_t arguments_in_use_ = 0;
  Sink* out_ = nullptr;
  bool autoescape_ = false;
  bool lenient_slices_ = false;  // a slice that is not possible is undefined, not an error
  int depth_ = 0;
  int call_depth_ = 0;
  Position position_;
};

}  // namespace mistral::text::jinja
