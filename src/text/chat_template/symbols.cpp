#include "text/chat_template/symbols.h"

namespace mistral::text::jinja {

Variable& FunctionScope::variable(int level, const std::string& name) {
  Variable& found = variables[{level, name}];
  found.function = this;
  found.name = name;
  return found;
}

std::uint32_t FunctionScope::index_of(Variable& variable) {
  if (variable.index < 0) variable.index = size++;
  return static_cast<std::uint32_t>(variable.index);
}

const Symbols::Entry* Symbols::find_here(const std::string& name) const {
  for (const Symbols* symbols = this; symbols != nullptr; symbols = symbols->base_) {
    const auto found = symbols->entries_.find(name);
    if (found != symbols->entries_.end()) return &found->second;
  }
  return nullptr;
}

Variable* Symbols::find(const std::string& name) const {
  for (const Symbols* symbols = this; symbols != nullptr; symbols = symbols->parent_) {
    if (const Entry* entry = symbols->find_here(name)) return entry->variable;
  }
  return nullptr;
}

Symbols* Symbols::owner(const std::string& name) {
  for (Symbols* symbols = this; symbols != nullptr; symbols = symbols->parent_) {
    if (symbols->entries_.contains(name)) return symbols;
  }
  return nullptr;
}

Symbols::Entry& Symbols::define(const std::string& name, Load load) {
  Entry& entry = entries_[name];
  entry.variable = &function_->variable(level_, name);
  entry.load = load;
  return entry;
}

void Symbols::load(const std::string& name) {
  if (find(name) == nullptr) define(name, {Source::kResolve, nullptr});
}

void Symbols::store(const std::string& name) {
  stores_.insert(name);
  if (find_here(name) != nullptr) return;
  Variable* outer = parent_ != nullptr ? parent_->find(name) : nullptr;
  define(name, {outer != nullptr ? Source::kAlias : Source::kUndefined, outer});
}

Variable& Symbols::declare_parameter(const std::string& name) {
  stores_.insert(name);
  return *define(name, {Source::kParameter, nullptr}).variable;
}

void Symbols::declare_target(const Expr& target) {
  if (target.kind == ExprKind::kName) {
    declare_parameter(static_cast<const NameExpr&>(target).name);
  } else if (target.kind == ExprKind::kTuple) {
    for (const auto& item : static_cast<const SequenceExpr&>(target).items) declare_target(*item);
  }
}

void Symbols::visit(const Body& body) {
  for (const StmtPtr& stmt : body) visit(*stmt);
}

// Each elif is a branch that holds the test and what follows it; a name that any branch assigns
// starts out with the value that it has outside.
void Symbols::visit_if(const IfStmt& stmt, std::size_t branch) {
  visit(stmt.branches[branch].test.get());
  Symbols body(*this);
  body.visit(stmt.branches[branch].body);
  Symbols elif (*this);
  if (branch == 0) {
    for (std::size_t i = 1; i < stmt.branches.size(); ++i) elif.visit_if(stmt, i);
  }
  Symbols otherwise(*this);
  if (branch == 0) otherwise.visit(stmt.otherwise);
  merge({&body, &elif, &otherwise});
}

void Symbols::merge(const std::vector<Symbols*>& branches) {
  std::set<std::string> assigned;
  const auto stored_before = [&](const std::string& name) {
    for (const Symbols* symbols = this; symbols != nullptr; symbols = symbols->base_) {
      if (symbols->stores_.contains(name)) return true;
    }
    return false;
  };
  for (const Symbols* branch : branches) {
    for (const std::string& name : branch->stores_) {
      if (!stored_before(name)) assigned.insert(name);
    }
  }
  for (const Symbols* branch : branches) {
    for (const auto& [name, entry] : branch->entries_) entries_[name] = entry;
    stores_.insert(branch->stores_.begin(), branch->stores_.end());
  }
  for (const std::string& name : assigned) {
    Variable* outer = parent_ != nullptr ? parent_->find(name) : nullptr;
    define(name, {outer != nullptr ? Source::kAlias : Source::kResolve, outer});
  }
}

void Symbols::visit(const Stmt& stmt) {
  switch (stmt.kind) {
    case StmtKind::kOutput:
      for (const auto& part : static_cast<const OutputStmt&>(stmt).parts) visit(part.expr.get());
      break;
    case StmtKind::kSet: {
      const auto& set = static_cast<const SetStmt&>(stmt);
      visit(set.value.get());
      visit(set.target.get());
      break;
    }
    case StmtKind::kSetBlock:
      visit(static_cast<const SetBlockStmt&>(stmt).target.get());
      break;
    case StmtKind::kFor:
      visit(static_cast<const ForStmt&>(stmt).iterable.get());
      break;
    case StmtKind::kIf:
      visit_if(static_cast<const IfStmt&>(stmt), 0);
      break;
    case StmtKind::kWith:
      for (const auto& [target, value] : static_cast<const WithStmt&>(stmt).assignments) {
        visit(value.get());
      }
      break;
    case StmtKind::kMacro:
      store(static_cast<const MacroStmt&>(stmt).target->name);
      break;
    case StmtKind::kCallBlock:
      visit(static_cast<const CallBlockStmt&>(stmt).call.get());
      break;
    case StmtKind::kFilterBlock:
      visit(static_cast<const FilterBlockStmt&>(stmt).filter.get());
      break;
    case StmtKind::kRefused: {
      const auto& refused = static_cast<const RefusedStmt&>(stmt);
      visit(refused.source.get());
      for (const auto& name : refused.names) store(name->name);
      break;
    }
    case StmtKind::kAutoescape:
    case StmtKind::kBlock:
    case StmtKind::kBreak:
    case StmtKind::kContinue:
      break;
  }
}

void Symbols::visit_arguments(const Arguments& arguments) {
  for (const ExprPtr& value : arguments.positional) visit(value.get());
  for (const auto& [key, value] : arguments.keyword) visit(value.get());
  visit(arguments.star.get());
  visit(arguments.star_star.get());
}

void Symbols::visit(const Expr* expr) {
  if (expr == nullptr) return;
  switch (expr->kind) {
    case ExprKind::kConstant:
      break;
    case ExprKind::kName: {
      const auto& name = static_cast<const NameExpr&>(*expr);
      if (name.store) {
        store(name.name);
      } else {
        load(name.name);
      }
      break;
    }
    case ExprKind::kNamespaceRef:
      load(static_cast<const NamespaceRefExpr&>(*expr).name);
      break;
    case ExprKind::kTuple:
    case ExprKind::kList:
      for (const auto& item : static_cast<const SequenceExpr&>(*expr).items) visit(item.get());
      break;
    case ExprKind::kDict:
      for (const auto& [key, value] : static_cast<const DictExpr&>(*expr).items) {
        visit(key.get());
        visit(value.get());
      }
      break;
    case ExprKind::kUnary:
      visit(static_cast<const UnaryExpr&>(*expr).operand.get());
      break;
    case ExprKind::kBinary:
    case ExprKind::kAnd:
    case ExprKind::kOr:
      visit(static_cast<const BinaryExpr&>(*expr).left.get());
      visit(static_cast<const BinaryExpr&>(*expr).right.get());
      break;
    case ExprKind::kConcat:
      for (const auto& item : static_cast<const ConcatExpr&>(*expr).items) visit(item.get());
      break;
    case ExprKind::kCompare: {
      const auto& comparison = static_cast<const CompareExpr&>(*expr);
      visit(comparison.first.get());
      for (const auto& [op, operand] : comparison.rest) visit(operand.get());
      break;
    }
    case ExprKind::kConditional: {
      const auto& choice = static_cast<const ConditionalExpr&>(*expr);
      visit(choice.test.get());
      visit(choice.then.get());
      visit(choice.otherwise.get());
      break;
    }
    case ExprKind::kAttribute:
      visit(static_cast<const AttributeExpr&>(*expr).object.get());
      break;
    case ExprKind::kItem:
      visit(static_cast<const ItemExpr&>(*expr).object.get());
      visit(static_cast<const ItemExpr&>(*expr).key.get());
      break;
    case ExprKind::kSlice:
      visit(static_cast<const SliceExpr&>(*expr).start.get());
      visit(static_cast<const SliceExpr&>(*expr).stop.get());
      visit(static_cast<const SliceExpr&>(*expr).step.get());
      break;
    case ExprKind::kCall:
      visit(static_cast<const CallExpr&>(*expr).callee.get());
      visit_arguments(static_cast<const CallExpr&>(*expr).arguments);
      break;
    case ExprKind::kFilter:
    case ExprKind::kTest:
      visit(static_cast<const FilterExpr&>(*expr).operand.get());
      visit_arguments(static_cast<const FilterExpr&>(*expr).arguments);
      break;
  }
}

}  // namespace mistral::text::jinja
