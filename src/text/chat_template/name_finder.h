// Looks for variables that a piece of template reads without defining them itself.
#pragma once

#include <string_view>
#include <vector>

#include "text/chat_template/ast.h"

namespace mistral::text::jinja {

// Which of `names` the statements read. As in Jinja, a name counts as defined from the first place
// on, in the order of the tree, where it is assigned.
class NameFinder {
 public:
  explicit NameFinder(std::vector<std::string_view> names);
  void visit(const Body& body);
  [[nodiscard]] bool found(std::string_view name) const;

 private:
  struct Wanted {
    std::string_view name;
    bool found = false;
    bool defined = false;
  };
  void visit(const Stmt& stmt);
  void visit(const Expr* expr);
  void visit(const Arguments& arguments);
  void visit(const MacroFunction& function);
  void name(const NameExpr& expr);

  std::vector<Wanted> wanted_;
};

}  // namespace mistral::text::jinja
