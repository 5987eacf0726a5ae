// The syntax tree of a template. The parser builds it, the resolver decides where each variable
// lives, the interpreter walks it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/chat_template/lexer.h"
#include "text/chat_template/lookup.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/value.h"

namespace mistral::text::jinja {

struct Builtin;

// Where a variable lives at run time.
struct Slot {
  enum class Where : std::uint8_t { kUnresolved, kLocal, kContext };
  Where where = Where::kUnresolved;
  std::uint16_t hops = 0;   // enclosing functions to step out of (kLocal)
  std::uint32_t index = 0;  // in the function's frame, or in the list of context names
};

// What entering a scope puts into its variables, and which of them leaving it empties.
struct ScopeEntry {
  enum class Source : std::uint8_t { kContext, kAlias, kMissing };
  struct Initializer {
    Source source;
    std::uint32_t index;  // the slot of the current frame that is set
    Slot from;            // kContext, kAlias
  };
  std::vector<Initializer> enter;
  std::vector<std::uint32_t> leave;
};

// How printing and ~ treat HTML, as {% autoescape %} in the source decides.
enum class EscapeMode : std::uint8_t { kOff, kOn, kDynamic };

enum class ExprKind : std::uint8_t {
  kConstant,
  kName,
  kNamespaceRef,
  kTuple,
  kList,
  kDict,
  kUnary,
  kBinary,
  kAnd,
  kOr,
  kConcat,
  kCompare,
  kConditional,
  kAttribute,
  kItem,
  kSlice,
  kCall,
  kFilter,
  kTest,
};

struct Expr {
  Expr(ExprKind expr_kind, Position where) : kind(expr_kind), position(where) {}
  Expr(const Expr&) = delete;
  Expr& operator=(const Expr&) = delete;
  virtual ~Expr() = default;
  const ExprKind kind;
  int depth = 1;  // height of the tree below
  Position position;
};
using ExprPtr = std::unique_ptr<Expr>;

struct ConstantExpr final : Expr {
  ConstantExpr(Position where, Value constant)
      : Expr(ExprKind::kConstant, where), value(std::move(constant)) {}
  Value value;
};

struct NameExpr final : Expr {
  NameExpr(Position where, std::string identifier)
      : Expr(ExprKind::kName, where), name(std::move(identifier)) {}
  std::string name;
  bool store = false;
  Slot slot;
  Value undefined;  // what reading the name gives while it has no value
};

// ns.attr as the target of {% set %}
struct NamespaceRefExpr final : Expr {
  NamespaceRefExpr(Position where, std::string identifier, std::string attribute_name)
      : Expr(ExprKind::kNamespaceRef, where),
        name(std::move(identifier)),
        attribute(Value::string(std::move(attribute_name))) {}
  std::string name;
  Value attribute;
  Slot slot;
};

// Tuples and lists.
struct SequenceExpr final : Expr {
  SequenceExpr(ExprKind expr_kind, Position where, std::vector<ExprPtr> elements)
      : Expr(expr_kind, where), items(std::move(elements)) {}
  std::vector<ExprPtr> items;
};

struct DictExpr final : Expr {
  explicit DictExpr(Position where) : Expr(ExprKind::kDict, where) {}
  std::vector<std::pair<ExprPtr, ExprPtr>> items;
};

struct UnaryExpr final : Expr {
  UnaryExpr(Position where, UnaryOp unary_op, ExprPtr expr)
      : Expr(ExprKind::kUnary, where), op(unary_op), operand(std::move(expr)) {}
  UnaryOp op;
  ExprPtr operand;
};

// Arithmetic, and, or.
struct BinaryExpr final : Expr {
  BinaryExpr(ExprKind expr_kind, Position where, BinaryOp binary_op, ExprPtr a, ExprPtr b)
      : Expr(expr_kind, where), op(binary_op), left(std::move(a)), right(std::move(b)) {}
  BinaryOp op;
  ExprPtr left;
  ExprPtr right;
};

struct ConcatExpr final : Expr {
  ConcatExpr(Position where, std::vector<ExprPtr> parts)
      : Expr(ExprKind::kConcat, where), items(std::move(parts)) {}
  std::vector<ExprPtr> items;
  EscapeMode escape = EscapeMode::kOff;
};

struct CompareExpr final : Expr {
  CompareExpr(Position where, ExprPtr expr)
      : Expr(ExprKind::kCompare, where), first(std::move(expr)) {}
  ExprPtr first;
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
};

struct ConditionalExpr final : Expr {
  ConditionalExpr(Position where, ExprPtr condition, ExprPtr then_expr, ExprPtr else_expr)
      : Expr(ExprKind::kConditional, where),
        test(std::move(condition)),
        then(std::move(then_expr)),
        otherwise(std::move(else_expr)) {}
  ExprPtr test;
  ExprPtr then;
  ExprPtr otherwise;  // may be null
};

struct AttributeExpr final : Expr {
  AttributeExpr(Position where, ExprPtr expr, std::string attribute);
  ExprPtr object;
  std::string name;
  // Answers for the commonest objects, found once.
  const Method* dict_method;
  const Method* string_method;
  bool private_name;
  Value undefined_in_dict;
};

struct ItemExpr final : Expr {
  ItemExpr(Position where, ExprPtr expr, ExprPtr key_expr)
      : Expr(ExprKind::kItem, where), object(std::move(expr)), key(std::move(key_expr)) {}
  ExprPtr object;
  ExprPtr key;  // a SliceExpr for object[a:b]
};

struct SliceExpr final : Expr {
  explicit SliceExpr(Position where) : Expr(ExprKind::kSlice, where) {}
  ExprPtr start;  // each may be null
  ExprPtr stop;
  ExprPtr step;
};

struct Arguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<Value, ExprPtr>> keyword;
  ExprPtr star;       // *args
  ExprPtr star_star;  // **kwargs
};

struct CallExpr final : Expr {
  CallExpr(Position where, ExprPtr function, Arguments args)
      : Expr(ExprKind::kCall, where), callee(std::move(function)), arguments(std::move(args)) {}
  ExprPtr callee;
  Arguments arguments;
};

// Filters and tests.
struct FilterExpr final : Expr {
  FilterExpr(ExprKind expr_kind, Position where, ExprPtr expr, std::string filter_name,
             Arguments args)
      : Expr(expr_kind, where),
        operand(std::move(expr)),
        name(std::move(filter_name)),
        arguments(std::move(args)) {}
  ExprPtr operand;  // null in a filter block: the block's text
  std::string name;
  Arguments arguments;
  const Builtin* function = nullptr;  // null: unknown, an error when it is reached
};

enum class StmtKind : std::uint8_t {
  kOutput,
  kSet,
  kSetBlock,
  kFor,
  kIf,
  kWith,
  kAutoescape,
  kMacro,
  kCallBlock,
  kFilterBlock,
  kBlock,
  kBreak,
  kContinue,
  kRefused,
};

struct Stmt {
  Stmt(StmtKind stmt_kind, Position where) : kind(stmt_kind), position(where) {}
  Stmt(const Stmt&) = delete;
  Stmt& operator=(const Stmt&) = delete;
  virtual ~Stmt() = default;
  const StmtKind kind;
  Position position;
};
using StmtPtr = std::unique_ptr<Stmt>;
using Body = std::vector<StmtPtr>;

// Text and {{ expressions }} in a row.
struct OutputStmt final : Stmt {
  struct Part {
    std::string text;  // if there is no expression
    ExprPtr expr;
    bool constant = false;  // reads no variable and calls nothing
  };
  explicit OutputStmt(Position where) : Stmt(StmtKind::kOutput, where) {}
  std::vector<Part> parts;
  EscapeMode escape = EscapeMode::kOff;
};

struct SetStmt final : Stmt {
  SetStmt(Position where, ExprPtr to, ExprPtr expr)
      : Stmt(StmtKind::kSet, where), target(std::move(to)), value(std::move(expr)) {}
  ExprPtr target;
  ExprPtr value;
};

struct SetBlockStmt final : Stmt {
  explicit SetBlockStmt(Position where) : Stmt(StmtKind::kSetBlock, where) {}
  ExprPtr target;
  ExprPtr filter;  // may be null
  Body body;
  ScopeEntry scope;
};

// Where the names of a target are written.
struct TargetSlots {
  std::vector<std::uint32_t> indices;  // in order of appearance
};

struct ForStmt final : Stmt {
  explicit ForStmt(Position where) : Stmt(StmtKind::kFor, where) {}
  ExprPtr target;
  ExprPtr iterable;
  ExprPtr test;  // may be null
  bool recursive = false;
  Body body;
  Body otherwise;

  bool uses_loop = false;
  std::uint32_t loop_slot = 0;
  ScopeEntry body_scope;
  ScopeEntry otherwise_scope;
  ScopeEntry test_scope;
  TargetSlots test_target;            // in the frame of the test
  std::uint32_t test_frame_size = 0;  // slots of the filtering function
  std::uint32_t loop_frame_size = 0;  // slots of a recursive loop's function
  EscapeMode escape = EscapeMode::kOff;
};

struct IfStmt final : Stmt {
  struct Branch {
    ExprPtr test;
    Body body;
  };
  explicit IfStmt(Position where) : Stmt(StmtKind::kIf, where) {}
  std::vector<Branch> branches;  // if and elif
  Body otherwise;
};

struct WithStmt final : Stmt {
  explicit WithStmt(Position where) : Stmt(StmtKind::kWith, where) {}
  std::vector<std::pair<ExprPtr, ExprPtr>> assignments;
  Body body;
  ScopeEntry scope;
};

struct AutoescapeStmt final : Stmt {
  explicit AutoescapeStmt(Position where) : Stmt(StmtKind::kAutoescape, where) {}
  ExprPtr enabled;
  Body body;
  ScopeEntry scope;
};

// The function behind {% macro %}, {% call %} and {% generation %}.
struct MacroFunction {
  std::string name;  // empty for the body of {% call %}
  std::vector<std::unique_ptr<NameExpr>> parameters;
  std::vector<ExprPtr> defaults;  // of the last parameters
  Body body;

  Position position;
  std::vector<Value> undefined_parameters;  // what a parameter without value and default holds
  std::uint32_t frame_size = 0;
  ScopeEntry scope;
  bool explicit_caller = false;
  bool uses_caller = false;
  bool uses_kwargs = false;
  bool uses_varargs = false;
  std::uint32_t caller_slot = 0;
  std::uint32_t kwargs_slot = 0;
  std::uint32_t varargs_slot = 0;
};

struct MacroStmt final : Stmt {
  explicit MacroStmt(Position where) : Stmt(StmtKind::kMacro, where) {}
  MacroFunction function;
  std::unique_ptr<NameExpr> target;
};

struct CallBlockStmt final : Stmt {
  explicit CallBlockStmt(Position where) : Stmt(StmtKind::kCallBlock, where) {}
  MacroFunction function;
  ExprPtr call;  // a CallExpr; null for {% generation %}, which calls the body itself
};

struct FilterBlockStmt final : Stmt {
  explicit FilterBlockStmt(Position where) : Stmt(StmtKind::kFilterBlock, where) {}
  ExprPtr filter;
  Body body;
  ScopeEntry scope;
  EscapeMode escape = EscapeMode::kOff;
};

struct BlockStmt final : Stmt {
  explicit BlockStmt(Position where) : Stmt(StmtKind::kBlock, where) {}
  std::string name;
  bool scoped = false;
  bool required = false;
  Body body;
  ScopeEntry scope;
  std::uint32_t frame_size = 0;
  bool uses_self = false;
  bool uses_super = false;
  std::uint32_t self_slot = 0;
  std::uint32_t super_slot = 0;
  // Names of the context that a scoped block sees with the value of a local variable.
  std::vector<std::pair<std::uint32_t, Slot>> overlay;
};

// break and continue
struct JumpStmt final : Stmt {
  JumpStmt(StmtKind stmt_kind, Position where) : Stmt(stmt_kind, where) {}
};

// include, import, extends: fail when they are reached, as there is nothing to load from.
struct RefusedStmt final : Stmt {
  RefusedStmt(Position where, std::string word)
      : Stmt(StmtKind::kRefused, where), tag(std::move(word)) {}
  std::string tag;
  ExprPtr source;
  std::vector<std::unique_ptr<NameExpr>> names;  // that it would define
};

// Calls `visit` with each list of statements directly inside `stmt`, in order.
template <typename Visit>
void for_each_body(Stmt& stmt, const Visit& visit) {
  switch (stmt.kind) {
    case StmtKind::kSetBlock:
      visit(static_cast<SetBlockStmt&>(stmt).body);
      break;
    case StmtKind::kFor:
      visit(static_cast<ForStmt&>(stmt).body);
      visit(static_cast<ForStmt&>(stmt).otherwise);
      break;
    case StmtKind::kIf:
      for (auto& branch : static_cast<IfStmt&>(stmt).branches) visit(branch.body);
      visit(static_cast<IfStmt&>(stmt).otherwise);
      break;
    case StmtKind::kWith:
      visit(static_cast<WithStmt&>(stmt).body);
      break;
    case StmtKind::kAutoescape:
      visit(static_cast<AutoescapeStmt&>(stmt).body);
      break;
    case StmtKind::kMacro:
      visit(static_cast<MacroStmt&>(stmt).function.body);
      break;
    case StmtKind::kCallBlock:
      visit(static_cast<CallBlockStmt&>(stmt).function.body);
      break;
    case StmtKind::kFilterBlock:
      visit(static_cast<FilterBlockStmt&>(stmt).body);
      break;
    case StmtKind::kBlock:
      visit(static_cast<BlockStmt&>(stmt).body);
      break;
    case StmtKind::kOutput:
    case StmtKind::kSet:
    case StmtKind::kBreak:
    case StmtKind::kContinue:
    case StmtKind::kRefused:
      break;
  }
}

// A whole template after resolution.
struct Program {
  Body body;
  ScopeEntry scope;
  std::uint32_t frame_size = 0;
  bool uses_self = false;
  std::uint32_t self_slot = 0;
  std::vector<BlockStmt*> blocks;
  std::vector<std::string> context_names;
  // Variables of the top level that blocks read: {slot, index in context_names}.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> exports;
};

}  // namespace mistral::text::jinja
