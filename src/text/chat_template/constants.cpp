#include "text/chat_template/constants.h"

#include <algorithm>
#include <array>

namespace mistral::text::jinja {
namespace {

bool all_constant(const std::vector<ExprPtr>& items) {
  return std::all_of(items.begin(), items.end(),
                     [](const auto& item) { return is_constant(*item); });
}

bool constant_or_absent(const ExprPtr& expr) {
  return expr == nullptr || is_constant(*expr);
}

bool constant_arguments(const Arguments& arguments) {
  return all_constant(arguments.positional) &&
         std::all_of(arguments.keyword.begin(), arguments.keyword.end(),
                     [](const auto& entry) { return is_constant(*entry.second); }) &&
         constant_or_absent(arguments.star) && constant_or_absent(arguments.star_star);
}

// Filters that apply others, and so need the context.
bool needs_context(const FilterExpr& filter) {
  constexpr std::array<std::string_view, 6> kNames = {"map",        "random", "reject",
                                                      "rejectattr", "select", "selectattr"};
  return filter.kind == ExprKind::kFilter &&
         std::find(kNames.begin(), kNames.end(), filter.name) != kNames.end();
}

}  // namespace

bool is_constant(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kConstant:
      return true;
    case ExprKind::kName:
    case ExprKind::kNamespaceRef:
    case ExprKind::kCall:
      return false;
    case ExprKind::kTuple:
    case ExprKind::kList:
      return all_constant(static_cast<const SequenceExpr&>(expr).items);
    case ExprKind::kDict: {
      const auto& items = static_cast<const DictExpr&>(expr).items;
      return std::all_of(items.begin(), items.end(), [](const auto& item) {
        return is_constant(*item.first) && is_constant(*item.second);
      });
    }
    case ExprKind::kUnary:
      return is_constant(*static_cast<const UnaryExpr&>(expr).operand);
    case ExprKind::kBinary:
    case ExprKind::kAnd:
    case ExprKind::kOr: {
      const auto& binary = static_cast<const BinaryExpr&>(expr);
      return is_constant(*binary.left) && is_constant(*binary.right);
    }
    case ExprKind::kConcat:
      return all_constant(static_cast<const ConcatExpr&>(expr).items);
    case ExprKind::kCompare: {
      const auto& comparison = static_cast<const CompareExpr&>(expr);
      return is_constant(*comparison.first) &&
             std::all_of(comparison.rest.begin(), comparison.rest.end(),
                         [](const auto& item) { return is_constant(*item.second); });
    }
    case ExprKind::kConditional: {
      const auto& choice = static_cast<const ConditionalExpr&>(expr);
      return is_constant(*choice.test) && is_constant(*choice.then) &&
             constant_or_absent(choice.otherwise);
    }
    case ExprKind::kAttribute:
      return is_constant(*static_cast<const AttributeExpr&>(expr).object);
    case ExprKind::kItem: {
      const auto& item = static_cast<const ItemExpr&>(expr);
      return is_constant(*item.object) && is_constant(*item.key);
    }
    case ExprKind::kSlice: {
      const auto& slice = static_cast<const SliceExpr&>(expr);
      return constant_or_absent(slice.start) && constant_or_absent(slice.stop) &&
             constant_or_absent(slice.step);
    }
    case ExprKind::kFilter:
    case ExprKind::kTest: {
      const auto& filter = static_cast<const FilterExpr&>(expr);
      return filter.operand != nullptr && is_constant(*filter.operand) &&
             filter.function != nullptr && !needs_context(filter) &&
             constant_arguments(filter.arguments);
    }
  }
  return false;
}

}  // namespace mistral::text::jinja
