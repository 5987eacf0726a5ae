// The variables of one scope of a template, found by reading the scope's statements in order
// before any code runs.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "text/chat_template/ast.h"

namespace mistral::text::jinja {

struct FunctionScope;

// A variable of a function. Scopes of the same depth in one function share those of equal name.
struct Variable {
  FunctionScope* function = nullptr;
  std::string name;
  std::int64_t index = -1;  // in the frame; given out when it is needed
};

// What has a frame of its own at run time: the template, a macro, a recursive loop, a loop's
// filter, a block.
struct FunctionScope {
  explicit FunctionScope(FunctionScope* enclosing) : parent(enclosing) {}
  Variable& variable(int level, const std::string& name);
  std::uint32_t index_of(Variable& variable);

  FunctionScope* parent;
  std::map<std::pair<int, std::string>, Variable> variables;
  std::uint32_t size = 0;
};

class Symbols {
 public:
  enum class Source : std::uint8_t { kParameter, kResolve, kAlias, kUndefined };
  struct Load {
    Source source = Source::kUndefined;
    Variable* alias = nullptr;
  };
  struct Entry {
    Variable* variable = nullptr;
    Load load;
  };

  Symbols(Symbols* parent, FunctionScope* function)
      : parent_(parent), function_(function), level_(parent == nullptr ? 0 : parent->level_ + 1) {}

  // Reading, assigning, and being given a value from outside.
  void load(const std::string& name);
  void store(const std::string& name);
  Variable& declare_parameter(const std::string& name);

  // Read a statement or an expression as a part of this scope.
  void visit(const Body& body);
  void visit(const Stmt& stmt);
  void visit(const Expr* expr);
  // All names of a target become parameters.
  void declare_target(const Expr& target);

  // The scope that knows `name`, from here outwards; null if none does.
  [[nodiscard]] Symbols* owner(const std::string& name);
  [[nodiscard]] const Entry& entry(const std::string& name) const { return entries_.at(name); }
  [[nodiscard]] bool stores(const std::string& name) const { return stores_.contains(name); }
  [[nodiscard]] const std::set<std::string>& stored_names() const { return stores_; }
  [[nodiscard]] const std::map<std::string, Entry>& entries() const { return entries_; }
  [[nodiscard]] Symbols* parent() const { return parent_; }

 private:
  // A branch of an if: reads through to `base`, collects its own additions.
  explicit Symbols(Symbols& base)
      : parent_(base.parent_), function_(base.function_), level_(base.level_), base_(&base) {}
  [[nodiscard]] const Entry* find_here(const std::string& name) const;
  [[nodiscard]] Variable* find(const std::string& name) const;
  Entry& define(const std::string& name, Load load);
  void visit_arguments(const Arguments& arguments);
  void visit_if(const IfStmt& stmt, std::size_t branch);
  void merge(const std::vector<Symbols*>& branches);

  Symbols* parent_;
  FunctionScope* function_;
  int level_;
  Symbols* base_ = nullptr;
  std::map<std::string, Entry> entries_;
  std::set<std::string> stores_;
};

}  // namespace mistral::text::jinja
