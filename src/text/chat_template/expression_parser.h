// Builds the trees of expressions and of the targets of assignments.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/chat_template/ast.h"
#include "text/chat_template/token_stream.h"

namespace mistral::text::jinja {

class ExpressionParser : protected TokenStream {
 public:
  // Throws TemplateError (kLimit) when constructs nest deeper than `max_depth`.
  ExpressionParser(std::string_view source, int max_depth)
      : TokenStream(source), max_depth_(max_depth) {}

 protected:
  // Counts how deep constructs nest while it lives.
  class Nesting {
   public:
    explicit Nesting(ExpressionParser& parser) : parser_(parser) {
      if (++parser_.depth_ > parser_.max_depth_) {
        throw TemplateError(
            TemplateErrorKind::kLimit,
            fmt::format("the template nests deeper than {} levels", parser_.max_depth_),
            parser_.current().position.line, parser_.current().position.column);
      }
    }
    ~Nesting() { --parser_.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    ExpressionParser& parser_;
  };

  struct TupleOptions {
    bool conditional = false;  // a if b else c is allowed at the top
    std::string_view end_word = {};
    bool parenthesized = false;  // () is the empty tuple
    bool primaries = false;      // only names and the like, as in targets
    bool namespaces = false;
  };

  ExprPtr parse_tuple(const TupleOptions& options);
  ExprPtr parse_expression(bool conditional);
  ExprPtr parse_conditional();
  ExprPtr combine(ExprKind kind, Position where, BinaryOp op, ExprPtr left, ExprPtr right);
  ExprPtr parse_or();
  ExprPtr parse_and();
  ExprPtr parse_not();
  std::optional<CompareOp> compare_operator();
  ExprPtr parse_compare();
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  ExprPtr parse_power();
  ExprPtr parse_unary(bool with_filters);
  ExprPtr constant(Position where, Value value);
  ExprPtr parse_primary(bool namespaces);
  ExprPtr parse_list();
  ExprPtr parse_dict();
  ExprPtr parse_postfix(ExprPtr node);
  ExprPtr parse_filter_expr(ExprPtr node);
  ExprPtr item(Position where, ExprPtr object, ExprPtr key);
  ExprPtr parse_subscript(ExprPtr object);
  // An index or a slice.
  ExprPtr parse_key();
  Arguments parse_arguments();
  ExprPtr parse_call(ExprPtr callee);
  // a.b, as names of filters and tests may be written.
  std::string dotted_name();
  ExprPtr filter_node(ExprKind kind, Position where, ExprPtr operand, std::string name,
                      Arguments arguments);
  // A chain of filters; `start_inline` when the first one has no pipe in front.
  ExprPtr parse_filters(ExprPtr node, bool start_inline);
  bool starts_test_argument() const;
  ExprPtr parse_test(ExprPtr node);

  // --- Targets of assignments

  struct TargetOptions {
    std::string_view end_word = {};
    bool namespaces = false;
  };

  static bool reserved(std::string_view name);
  std::unique_ptr<NameExpr> parse_name_target();
  ExprPtr parse_target(const TargetOptions& options);
  void mark_stored(Expr& target);

  // --- Trees

  template <typename T, typename... Args>
  std::unique_ptr<T> make(Position where, Args&&... args) {
    return std::make_unique<T>(where, std::forward<Args>(args)...);
  }

  // Records how high the tree has grown; bounds the recursion of everything that walks it.
  template <typename T>
  std::unique_ptr<T> grown(std::unique_ptr<T> expr, std::initializer_list<const Expr*> children) {
    for (const Expr* child : children) {
      if (child != nullptr) expr->depth = std::max(expr->depth, child->depth + 1);
    }
    if (expr->depth > max_depth_ * kChainFactor) {
      throw TemplateError(
          TemplateErrorKind::kLimit,
          fmt::format("an expression is deeper than {} levels", max_depth_ * kChainFactor),
          expr->position.line, expr->position.column);
    }
    return expr;
  }

  template <typename T>
  std::unique_ptr<T> grown_over(std::unique_ptr<T> expr, const std::vector<ExprPtr>& children) {
    for (const ExprPtr& child : children) expr = grown(std::move(expr), {child.get()});
    return expr;
  }

  template <typename T>
  std::unique_ptr<T> grown_over(std::unique_ptr<T> expr, const Arguments& arguments) {
    expr = grown_over(std::move(expr), arguments.positional);
    for (const auto& [key, value] : arguments.keyword) expr = grown(std::move(expr), {value.get()});
    return grown(std::move(expr), {arguments.star.get(), arguments.star_star.get()});
  }

 private:
  // Chains of operators (a + b + c) make deep trees without deep syntax; they may be this many
  // times deeper than nested constructs.
  static constexpr int kChainFactor = 5;

  const int max_depth_;
  int depth_ = 0;
};

}  // namespace mistral::text::jinja
