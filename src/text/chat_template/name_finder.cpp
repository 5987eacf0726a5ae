#include "text/chat_template/name_finder.h"

#include <algorithm>

namespace mistral::text::jinja {

NameFinder::NameFinder(std::vector<std::string_view> names) {
  for (const std::string_view name : names) wanted_.push_back({name});
}

bool NameFinder::found(std::string_view name) const {
  return std::any_of(wanted_.begin(), wanted_.end(),
                     [&](const Wanted& wanted) { return wanted.name == name && wanted.found; });
}

void NameFinder::name(const NameExpr& expr) {
  for (Wanted& wanted : wanted_) {
    if (wanted.name != expr.name) continue;
    if (expr.store) {
      wanted.defined = true;
    } else if (!wanted.defined) {
      wanted.found = true;
    }
  }
}

void NameFinder::visit(const Body& body) {
  for (const StmtPtr& stmt : body) visit(*stmt);
}

void NameFinder::visit(const MacroFunction& function) {
  for (const auto& parameter : function.parameters) name(*parameter);
  for (const ExprPtr& value : function.defaults) visit(value.get());
  visit(function.body);
}

void NameFinder::visit(const Stmt& stmt) {
  switch (stmt.kind) {
    case StmtKind::kOutput:
      for (const auto& part : static_cast<const OutputStmt&>(stmt).parts) visit(part.expr.get());
      break;
    case StmtKind::kSet: {
      const auto& set = static_cast<const SetStmt&>(stmt);
      visit(set.target.get());
      visit(set.value.get());
      break;
    }
    case StmtKind::kSetBlock: {
      const auto& set = static_cast<const SetBlockStmt&>(stmt);
      visit(set.target.get());
      visit(set.filter.get());
      visit(set.body);
      break;
    }
    case StmtKind::kFor: {
      const auto& loop = static_cast<const ForStmt&>(stmt);
      visit(loop.target.get());
      visit(loop.iterable.get());
      visit(loop.body);
      visit(loop.otherwise);
      visit(loop.test.get());
      break;
    }
    case StmtKind::kIf: {
      const auto& choice = static_cast<const IfStmt&>(stmt);
      for (const auto& branch : choice.branches) {
        visit(branch.test.get());
        visit(branch.body);
      }
      visit(choice.otherwise);
      break;
    }
    case StmtKind::kWith: {
      const auto& with = static_cast<const WithStmt&>(stmt);
      for (const auto& [target, value] : with.assignments) visit(target.get());
      for (const auto& [target, value] : with.assignments) visit(value.get());
      visit(with.body);
      break;
    }
    case StmtKind::kAutoescape: {
      const auto& scope = static_cast<const AutoescapeStmt&>(stmt);
      visit(scope.enabled.get());
      visit(scope.body);
      break;
    }
    case StmtKind::kMacro:
      visit(static_cast<const MacroStmt&>(stmt).function);
      break;
    case StmtKind::kCallBlock: {
      const auto& block = static_cast<const CallBlockStmt&>(stmt);
      visit(block.call.get());
      visit(block.function);
      break;
    }
    case StmtKind::kFilterBlock: {
      const auto& block = static_cast<const FilterBlockStmt&>(stmt);
      visit(block.body);
      visit(block.filter.get());
      break;
    }
    case StmtKind::kRefused:
      visit(static_cast<const RefusedStmt&>(stmt).source.get());
      break;
    case StmtKind::kBlock:  // a function of its own
    case StmtKind::kBreak:
    case StmtKind::kContinue:
      break;
  }
}

void NameFinder::visit(const Arguments& arguments) {
  for (const ExprPtr& value : arguments.positional) visit(value.get());
  for (const auto& [key, value] : arguments.keyword) visit(value.get());
  visit(arguments.star.get());
  visit(arguments.star_star.get());
}

void NameFinder::visit(const Expr* expr) {
  if (expr == nullptr) return;
  switch (expr->kind) {
    case ExprKind::kConstant:
    case ExprKind::kNamespaceRef:
      break;
    case ExprKind::kName:
      name(static_cast<const NameExpr&>(*expr));
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
    case ExprKind::kOr: {
      const auto& binary = static_cast<const BinaryExpr&>(*expr);
      visit(binary.left.get());
      visit(binary.right.get());
      break;
    }
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
    case ExprKind::kItem: {
      const auto& item = static_cast<const ItemExpr&>(*expr);
      visit(item.object.get());
      visit(item.key.get());
      break;
    }
    case ExprKind::kSlice: {
      const auto& slice = static_cast<const SliceExpr&>(*expr);
      visit(slice.start.get());
      visit(slice.stop.get());
      visit(slice.step.get());
      break;
    }
    case ExprKind::kCall: {
      const auto& call = static_cast<const CallExpr&>(*expr);
      visit(call.callee.get());
      visit(call.arguments);
      break;
    }
    case ExprKind::kFilter:
    case ExprKind::kTest: {
      const auto& filter = static_cast<const FilterExpr&>(*expr);
      visit(filter.operand.get());
      visit(filter.arguments);
      break;
    }
  }
}

}  // namespace mistral::text::jinja
