#include "text/chat_template/resolver.h"

#include <deque>
#include <map>
#include <set>

#include "text/chat_template/builtins.h"
#include "text/chat_template/constants.h"
#include "text/chat_template/name_finder.h"
#include "text/chat_template/symbols.h"

namespace mistral::text::jinja {
namespace {

// Where the walk is: the scope, the function, and what the surroundings imply.
struct Frame {
  Symbols* symbols;
  FunctionScope* function;
  bool top_level = false;
  bool soft = false;     // inside if: an unknown filter only fails when it is reached
  bool in_loop = false;  // break and continue are allowed
  EscapeMode escape = EscapeMode::kOff;

  [[nodiscard]] Frame inner(Symbols& inner_symbols, FunctionScope& inner_function) const {
    const bool same_function = &inner_function == function;
    return {&inner_symbols, &inner_function, false, false, in_loop && same_function, escape};
  }
  [[nodiscard]] Frame softened() const {
    Frame frame = *this;
    frame.soft = true;
    return frame;
  }
};

[[noreturn]] void fail(const std::string& message, Position where) {
  throw TemplateError(TemplateErrorKind::kSyntax, message, where.line, where.column);
}

class Resolver {
 public:
  Program run(Body body) {
    program_.body = std::move(body);
    collect_blocks(program_.body);
    FunctionScope function(nullptr);
    Symbols symbols(nullptr, &function);
    NameFinder finder({"self"});
    finder.visit(program_.body);
    program_.uses_self = finder.found("self");
    if (program_.uses_self) {
      program_.self_slot = function.index_of(symbols.declare_parameter("self"));
    }
    symbols.visit(program_.body);
    Frame frame{&symbols, &function};
    frame.top_level = true;
    visit(program_.body, frame);
    program_.scope = entry_of(symbols, function);
    for (; !pending_blocks_.empty(); pending_blocks_.pop_front()) {
      resolve_block(*pending_blocks_.front());
    }
    for (const std::string& name : symbols.stored_names()) {
      const auto found = context_indices_.find(name);
      if (found == context_indices_.end() || program_.blocks.empty()) continue;
      program_.exports.emplace_back(function.index_of(*symbols.entry(name).variable),
                                    found->second);
    }
    program_.frame_size = function.size;
    for (auto& [block, candidates] : overlays_) resolve_overlay(*block, candidates);
    return std::move(program_);
  }

 private:
  std::uint32_t context_index(const std::string& name) {
    const auto [at, added] = context_indices_.try_emplace(
        name, static_cast<std::uint32_t>(program_.context_names.size()));
    if (added) program_.context_names.push_back(name);
    return at->second;
  }

  static Slot local(Variable& variable, const FunctionScope* from) {
    Slot slot;
    slot.where = Slot::Where::kLocal;
    slot.index = variable.function->index_of(variable);
    for (; from != variable.function; from = from->parent) ++slot.hops;
    return slot;
  }

  Slot context(const std::string& name) { return {Slot::Where::kContext, 0, context_index(name)}; }

  // Names that a scope only reads stay in the context; all others have a slot.
  static bool read_from_context(const Symbols& symbols, const std::string& name) {
    return symbols.entry(name).load.source == Symbols::Source::kResolve && !symbols.stores(name);
  }

  Slot slot_of(const std::string& name, const Frame& frame) {
    Symbols* owner = frame.symbols->owner(name);
    if (owner == nullptr || read_from_context(*owner, name)) return context(name);
    return local(*owner->entry(name).variable, frame.function);
  }

  ScopeEntry entry_of(const Symbols& symbols, FunctionScope& function) {
    ScopeEntry scope;
    for (const auto& [name, entry] : symbols.entries()) {
      if (read_from_context(symbols, name)) continue;
      const std::uint32_t index = function.index_of(*entry.variable);
      scope.leave.push_back(index);
      switch (entry.load.source) {
        case Symbols::Source::kParameter:
          break;
        case Symbols::Source::kResolve:
          scope.enter.push_back({ScopeEntry::Source::kContext, index, context(name)});
          break;
        case Symbols::Source::kAlias:
          scope.enter.push_back(
              {ScopeEntry::Source::kAlias, index, alias(name, symbols, function)});
          break;
        case Symbols::Source::kUndefined:
          scope.enter.push_back({ScopeEntry::Source::kMissing, index, {}});
          break;
      }
    }
    return scope;
  }

  Slot alias(const std::string& name, const Symbols& symbols, const FunctionScope& function) {
    Symbols* owner = symbols.parent()->owner(name);
    if (owner == nullptr || read_from_context(*owner, name)) return context(name);
    return local(*owner->entry(name).variable, &function);
  }

  const Value& undefined_name(const std::string& name) {
    Value& value = undefined_names_[name];
    if (value.is_missing()) value = Value::undefined(fmt::format("'{}' is undefined", name));
    return value;
  }

  // --- Statements

  void visit(Body& body, const Frame& frame) {
    for (StmtPtr& stmt : body) visit(*stmt, frame);
  }

  void visit(Stmt& stmt, const Frame& frame) {
    switch (stmt.kind) {
      case StmtKind::kOutput: {
        auto& output = static_cast<OutputStmt&>(stmt);
        output.escape = frame.escape;
        for (auto& part : output.parts) {
          visit(part.expr.get(), frame);
          part.constant = part.expr != nullptr && is_constant(*part.expr);
        }
        break;
      }
      case StmtKind::kSet: {
        auto& set = static_cast<SetStmt&>(stmt);
        visit_target(*set.target, frame);
        visit(set.value.get(), frame);
        break;
      }
      case StmtKind::kSetBlock:
        visit_set_block(static_cast<SetBlockStmt&>(stmt), frame);
        break;
      case StmtKind::kFor:
        visit_for(static_cast<ForStmt&>(stmt), frame);
        break;
      case StmtKind::kIf: {
        auto& choice = static_cast<IfStmt&>(stmt);
        const Frame soft = frame.softened();
        for (auto& branch : choice.branches) {
          visit(branch.test.get(), soft);
          visit(branch.body, soft);
        }
        visit(choice.otherwise, soft);
        break;
      }
      case StmtKind::kWith:
        visit_with(static_cast<WithStmt&>(stmt), frame);
        break;
      case StmtKind::kAutoescape:
        visit_autoescape(static_cast<AutoescapeStmt&>(stmt), frame);
        break;
      case StmtKind::kMacro: {
        auto& macro = static_cast<MacroStmt&>(stmt);
        visit_function(macro.function, frame);
        macro.target->slot = slot_of(macro.target->name, frame);
        break;
      }
      case StmtKind::kCallBlock: {
        auto& block = static_cast<CallBlockStmt&>(stmt);
        visit_function(block.function, frame);
        visit(block.call.get(), frame);
        break;
      }
      case StmtKind::kFilterBlock:
        visit_filter_block(static_cast<FilterBlockStmt&>(stmt), frame);
        break;
      case StmtKind::kBlock:
        visit_block(static_cast<BlockStmt&>(stmt), frame);
        break;
      case StmtKind::kBreak:
      case StmtKind::kContinue:
        if (!frame.in_loop) {
          const bool is_break = stmt.kind == StmtKind::kBreak;
          fail(is_break ? "'break' outside loop" : "'continue' not properly in loop",
               stmt.position);
        }
        break;
      case StmtKind::kRefused: {
        auto& refused = static_cast<RefusedStmt&>(stmt);
        if (refused.tag == "extends" && !frame.top_level) {
          fail("cannot use extend from a non top-level scope", stmt.position);
        }
        visit(refused.source.get(), frame);
        break;
      }
    }
  }

  void visit_set_block(SetBlockStmt& stmt, const Frame& frame) {
    Symbols symbols(frame.symbols, frame.function);
    symbols.visit(stmt.body);
    symbols.visit(stmt.filter.get());
    const Frame inner = frame.inner(symbols, *frame.function);
    visit(stmt.body, inner);
    visit_target(*stmt.target, frame);
    visit(stmt.filter.get(), inner);
    stmt.scope = entry_of(symbols, *frame.function);
  }

  void visit_for(ForStmt& stmt, const Frame& frame) {
    ++for_depth_;
    stmt.escape = frame.escape;
    NameFinder finder({"loop"});
    finder.visit(stmt.body);
    stmt.uses_loop = stmt.recursive || finder.found("loop") || holds_scoped_block(stmt.body);

    FunctionScope own_function(frame.function);
    FunctionScope& function = stmt.recursive ? own_function : *frame.function;
    Symbols symbols(frame.symbols, &function);
    if (stmt.uses_loop) {
      stmt.loop_slot = function.index_of(symbols.declare_parameter("loop"));
    }
    symbols.declare_target(*stmt.target);
    symbols.visit(stmt.body);

    if (stmt.test != nullptr) visit_for_test(stmt, frame);
    visit(stmt.iterable.get(), frame);

    Frame inner = frame.inner(symbols, function);
    visit_target(*stmt.target, inner);
    inner.in_loop = true;
    visit(stmt.body, inner);
    stmt.body_scope = entry_of(symbols, function);

    if (!stmt.otherwise.empty()) {
      Symbols else_symbols(frame.symbols, &function);
      else_symbols.visit(stmt.otherwise);
      visit(stmt.otherwise, frame.inner(else_symbols, function));
      stmt.otherwise_scope = entry_of(else_symbols, function);
    }
    stmt.loop_frame_size = own_function.size;
    --for_depth_;
  }

  // The condition of a loop runs in a function of its own, where the target has other slots.
  void visit_for_test(ForStmt& stmt, const Frame& frame) {
    FunctionScope function(frame.function);
    Symbols symbols(frame.symbols, &function);
    symbols.declare_target(*stmt.target);
    symbols.visit(stmt.test.get());
    visit(stmt.test.get(), frame.inner(symbols, function));
    collect_target(*stmt.target, symbols, function, stmt.test_target);
    stmt.test_scope = entry_of(symbols, function);
    stmt.test_frame_size = function.size;
  }

  static void collect_target(const Expr& target, const Symbols& symbols, FunctionScope& function,
                             TargetSlots& slots) {
    if (target.kind == ExprKind::kName) {
      const auto& entry = symbols.entry(static_cast<const NameExpr&>(target).name);
      slots.indices.push_back(function.index_of(*entry.variable));
    } else {
      for (const auto& item : static_cast<const SequenceExpr&>(target).items) {
        collect_target(*item, symbols, function, slots);
      }
    }
  }

  static bool holds_scoped_block(const Body& body) {
    for (const StmtPtr& stmt : body) {
      if (stmt->kind == StmtKind::kBlock && static_cast<const BlockStmt&>(*stmt).scoped) {
        return true;
      }
      bool found = false;
      for_each_body(*stmt, [&](Body& inner) { found = found || holds_scoped_block(inner); });
      if (found) return true;
    }
    return false;
  }

  // All blocks, outer ones first.
  void collect_blocks(const Body& body) {
    for (const StmtPtr& stmt : body) {
      if (stmt->kind == StmtKind::kBlock) {
        auto& block = static_cast<BlockStmt&>(*stmt);
        if (!block_names_.insert(block.name).second) {
          fail(fmt::format("block '{}' defined twice", block.name), block.position);
        }
        program_.blocks.push_back(&block);
      }
      for_each_body(*stmt, [&](Body& inner) { collect_blocks(inner); });
    }
  }

  void visit_with(WithStmt& stmt, const Frame& frame) {
    Symbols symbols(frame.symbols, frame.function);
    for (const auto& [target, value] : stmt.assignments) symbols.declare_target(*target);
    symbols.visit(stmt.body);
    const Frame inner = frame.inner(symbols, *frame.function);
    for (auto& [target, value] : stmt.assignments) {
      assign_slots(*target, inner);
      visit(value.get(), frame);
    }
    visit(stmt.body, inner);
    stmt.scope = entry_of(symbols, *frame.function);
  }

  void visit_autoescape(AutoescapeStmt& stmt, const Frame& frame) {
    Symbols symbols(frame.symbols, frame.function);
    symbols.visit(stmt.enabled.get());
    symbols.visit(stmt.body);
    Frame inner = frame.inner(symbols, *frame.function);
    visit(stmt.enabled.get(), inner);
    if (stmt.enabled->kind != ExprKind::kConstant) {
      inner.escape = EscapeMode::kDynamic;
    } else {
      const bool on = truthy(static_cast<const ConstantExpr&>(*stmt.enabled).value);
      inner.escape = on ? EscapeMode::kOn : EscapeMode::kOff;
    }
    visit(stmt.body, inner);
    stmt.scope = entry_of(symbols, *frame.function);
  }

  void visit_filter_block(FilterBlockStmt& stmt, const Frame& frame) {
    Symbols symbols(frame.symbols, frame.function);
    symbols.visit(stmt.body);
    symbols.visit(stmt.filter.get());
    const Frame inner = frame.inner(symbols, *frame.function);
    stmt.escape = frame.escape;
    visit(stmt.body, inner);
    visit(stmt.filter.get(), inner);
    stmt.scope = entry_of(symbols, *frame.function);
  }

  void visit_function(MacroFunction& macro, const Frame& frame) {
    FunctionScope function(frame.function);
    Symbols symbols(frame.symbols, &function);
    bool explicit_kwargs = false;
    bool explicit_varargs = false;
    const std::size_t without_default = macro.parameters.size() - macro.defaults.size();
    std::size_t caller_position = macro.parameters.size();
    for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
      const std::string& name = macro.parameters[i]->name;
      symbols.declare_parameter(name);
      if (name == "caller") caller_position = i;
      explicit_kwargs = explicit_kwargs || name == "kwargs";
      explicit_varargs = explicit_varargs || name == "varargs";
      macro.undefined_parameters.push_back(
          Value::undefined(fmt::format("parameter '{}' was not provided", name)));
    }
    for (const ExprPtr& value : macro.defaults) symbols.visit(value.get());
    symbols.visit(macro.body);

    NameFinder finder({"caller", "kwargs", "varargs"});
    finder.visit(macro.body);
    macro.explicit_caller = caller_position < macro.parameters.size();
    macro.uses_caller = finder.found("caller");
    if (macro.uses_caller && macro.explicit_caller && caller_position < without_default) {
      fail("the special \"caller\" argument of a macro must have a default", macro.position);
    }
    if (macro.uses_caller && !macro.explicit_caller) {
      macro.caller_slot = function.index_of(symbols.declare_parameter("caller"));
    }
    macro.uses_kwargs = finder.found("kwargs") && !explicit_kwargs;
    if (macro.uses_kwargs) {
      macro.kwargs_slot = function.index_of(symbols.declare_parameter("kwargs"));
    }
    macro.uses_varargs = finder.found("varargs") && !explicit_varargs;
    if (macro.uses_varargs) {
      macro.varargs_slot = function.index_of(symbols.declare_parameter("varargs"));
    }

    const Frame inner = frame.inner(symbols, function);
    for (auto& parameter : macro.parameters) parameter->slot = slot_of(parameter->name, inner);
    for (ExprPtr& value : macro.defaults) visit(value.get(), inner);
    visit(macro.body, inner);
    macro.scope = entry_of(symbols, function);
    macro.frame_size = function.size;
  }

  void visit_block(BlockStmt& stmt, const Frame& frame) {
    pending_blocks_.push_back(&stmt);
    if (!stmt.scoped) return;
    // What the block reads is known only when it has been resolved; what it could see, only now.
    auto& candidates = overlays_[&stmt];
    for (const Symbols* symbols = frame.symbols; symbols != nullptr; symbols = symbols->parent()) {
      for (const std::string& name : symbols->stored_names()) {
        candidates.try_emplace(name, slot_of(name, frame));
      }
    }
  }

  void resolve_block(BlockStmt& stmt) {
    FunctionScope function(nullptr);
    Symbols symbols(nullptr, &function);
    NameFinder finder({"self", "super"});
    finder.visit(stmt.body);
    stmt.uses_self = finder.found("self");
    stmt.uses_super = finder.found("super");
    if (stmt.uses_self) stmt.self_slot = function.index_of(symbols.declare_parameter("self"));
    if (stmt.uses_super) stmt.super_slot = function.index_of(symbols.declare_parameter("super"));
    symbols.visit(stmt.body);
    visit(stmt.body, Frame{&symbols, &function});
    stmt.scope = entry_of(symbols, function);
    stmt.frame_size = function.size;
  }

  void resolve_overlay(BlockStmt& stmt, const std::map<std::string, Slot>& candidates) {
    for (const auto& [name, slot] : candidates) {
      const auto found = context_indices_.find(name);
      if (found == context_indices_.end() || slot.where != Slot::Where::kLocal) continue;
      stmt.overlay.emplace_back(found->second, slot);
    }
  }

  // --- Targets

  void visit_target(Expr& target, const Frame& frame) {
    check_loop_target(target);
    assign_slots(target, frame);
  }

  void check_loop_target(const Expr& target) const {
    if (for_depth_ == 0) return;
    if (target.kind == ExprKind::kName && static_cast<const NameExpr&>(target).name == "loop") {
      fail("Can't assign to special loop variable in for-loop target", target.position);
    }
    if (target.kind == ExprKind::kTuple) {
      for (const auto& item : static_cast<const SequenceExpr&>(target).items) {
        check_loop_target(*item);
      }
    }
  }

  void assign_slots(Expr& target, const Frame& frame) {
    if (target.kind == ExprKind::kName) {
      auto& name = static_cast<NameExpr&>(target);
      name.slot = slot_of(name.name, frame);
    } else if (target.kind == ExprKind::kNamespaceRef) {
      auto& reference = static_cast<NamespaceRefExpr&>(target);
      reference.slot = slot_of(reference.name, frame);
    } else if (target.kind == ExprKind::kTuple) {
      for (auto& item : static_cast<SequenceExpr&>(target).items) assign_slots(*item, frame);
    }
  }

  // --- Expressions

  void visit(Arguments& arguments, const Frame& frame) {
    for (ExprPtr& value : arguments.positional) visit(value.get(), frame);
    for (auto& [key, value] : arguments.keyword) visit(value.get(), frame);
    visit(arguments.star.get(), frame);
    visit(arguments.star_star.get(), frame);
  }

  void visit_filter(FilterExpr& filter, const Frame& frame) {
    const bool is_filter = filter.kind == ExprKind::kFilter;
    filter.function = is_filter ? find_filter(filter.name) : find_test(filter.name);
    if (filter.function == nullptr && !frame.soft) {
      fail(fmt::format("No {} named '{}'.", is_filter ? "filter" : "test", filter.name),
           filter.position);
    }
    visit(filter.operand.get(), frame);
    visit(filter.arguments, frame);
  }

  void visit(Expr* expr, const Frame& frame) {
    if (expr == nullptr) return;
    switch (expr->kind) {
      case ExprKind::kConstant:
      case ExprKind::kNamespaceRef:
        break;
      case ExprKind::kName: {
        auto& name = static_cast<NameExpr&>(*expr);
        name.slot = slot_of(name.name, frame);
        name.undefined = undefined_name(name.name);
        break;
      }
      case ExprKind::kTuple:
      case ExprKind::kList:
        for (auto& item : static_cast<SequenceExpr&>(*expr).items) visit(item.get(), frame);
        break;
      case ExprKind::kDict:
        for (auto& [key, value] : static_cast<DictExpr&>(*expr).items) {
          visit(key.get(), frame);
          visit(value.get(), frame);
        }
        break;
      case ExprKind::kUnary:
        visit(static_cast<UnaryExpr&>(*expr).operand.get(), frame);
        break;
      case ExprKind::kBinary:
      case ExprKind::kAnd:
      case ExprKind::kOr:
        visit(static_cast<BinaryExpr&>(*expr).left.get(), frame);
        visit(static_cast<BinaryExpr&>(*expr).right.get(), frame);
        break;
      case ExprKind::kConcat: {
        auto& concat = static_cast<ConcatExpr&>(*expr);
        concat.escape = frame.escape;
        for (auto& item : concat.items) visit(item.get(), frame);
        break;
      }
      case ExprKind::kCompare: {
        auto& comparison = static_cast<CompareExpr&>(*expr);
        visit(comparison.first.get(), frame);
        for (auto& [op, operand] : comparison.rest) visit(operand.get(), frame);
        break;
      }
      case ExprKind::kConditional: {
        auto& choice = static_cast<ConditionalExpr&>(*expr);
        const Frame soft = frame.softened();
        visit(choice.test.get(), soft);
        visit(choice.then.get(), soft);
        visit(choice.otherwise.get(), soft);
        break;
      }
      case ExprKind::kAttribute:
        visit(static_cast<AttributeExpr&>(*expr).object.get(), frame);
        break;
      case ExprKind::kItem:
        visit(static_cast<ItemExpr&>(*expr).object.get(), frame);
        visit(static_cast<ItemExpr&>(*expr).key.get(), frame);
        break;
      case ExprKind::kSlice:
        visit(static_cast<SliceExpr&>(*expr).start.get(), frame);
        visit(static_cast<SliceExpr&>(*expr).stop.get(), frame);
        visit(static_cast<SliceExpr&>(*expr).step.get(), frame);
        break;
      case ExprKind::kCall:
        visit(static_cast<CallExpr&>(*expr).callee.get(), frame);
        visit(static_cast<CallExpr&>(*expr).arguments, frame);
        break;
      case ExprKind::kFilter:
      case ExprKind::kTest:
        visit_filter(static_cast<FilterExpr&>(*expr), frame);
        break;
    }
  }

  Program program_;
  std::map<std::string, std::uint32_t> context_indices_;
  std::map<std::string, Value> undefined_names_;
  std::map<BlockStmt*, std::map<std::string, Slot>> overlays_;
  std::deque<BlockStmt*> pending_blocks_;
  std::set<std::string> block_names_;
  int for_depth_ = 0;
};

}  // namespace

Program resolve(Body body) {
  return Resolver().run(std::move(body));
}

}  // namespace mistral::text::jinja
