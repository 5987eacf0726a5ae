#include "text/grammar/constraint.h"

#include <tuple>
#include <utility>

#include "core/error.h"
#include "text/grammar/earley.h"
#include "text/grammar/gbnf.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/lark.h"
#include "text/grammar/regex.h"
#include "text/grammar/tagged.h"
#include "text/grammar/yacc.h"
#include "text/grammar/yacc_machine.h"

namespace mistral::grammar {
namespace {

using Kind = Constraint::Kind;

class GrammarConstraint : public CompiledConstraint {
 public:
  GrammarConstraint(std::shared_ptr<const ConstraintVocabulary> vocabulary,
                    std::shared_ptr<const Grammar> grammar)
      : CompiledConstraint(std::move(vocabulary)), grammar_(std::move(grammar)) {}
  [[nodiscard]] std::unique_ptr<Machine> start() const override {
    return std::make_unique<EarleyMachine>(grammar_);
  }

 private:
  std::shared_ptr<const Grammar> grammar_;
};

class YaccConstraint : public CompiledConstraint {
 public:
  YaccConstraint(std::shared_ptr<const ConstraintVocabulary> vocabulary,
                 std::shared_ptr<const YaccTables> tables)
      : CompiledConstraint(std::move(vocabulary)), tables_(std::move(tables)) {}
  [[nodiscard]] std::unique_ptr<Machine> start() const override {
    return std::make_unique<YaccMachine>(tables_);
  }

 private:
  std::shared_ptr<const YaccTables> tables_;
};

std::shared_ptr<const Grammar> compile_regex(const std::string& pattern,
                                             const ConstraintVocabulary& vocabulary,
                                             Budget& budget) {
  GrammarBuilder builder(vocabulary, budget, /*fold=*/false);
  const std::uint32_t rule = builder.add_rule();
  builder.set_body(rule, regular(regex_dfa(pattern, {}, budget)));
  return builder.build(rule);
}

std::shared_ptr<const Grammar> compile_grammar(const Constraint& constraint,
                                               const ConstraintVocabulary& vocabulary,
                                               Budget& budget) {
  switch (constraint.kind) {
    case Kind::kRegex:
      return compile_regex(constraint.text, vocabulary, budget);
    case Kind::kJsonSchema:
      return compile_json_schema(constraint.text, vocabulary, budget);
    case Kind::kJsonObject:
      return compile_json_schema(R"({"type":"object"})", vocabulary, budget);
    case Kind::kLark:
      return compile_lark(constraint.text, vocabulary, budget);
    case Kind::kGbnf:
      return compile_gbnf(constraint.text, vocabulary, budget);
    case Kind::kTagged:
      return compile_tagged(constraint.text, vocabulary, budget);
    case Kind::kYacc:
      break;
  }
  throw Error(ErrorKind::kInvalidArgument, "unknown kind of constraint");
}

}  // namespace

std::shared_ptr<const CompiledConstraint> compile_constraint(
    const Constraint& constraint, std::shared_ptr<const ConstraintVocabulary> vocabulary,
    const CompileLimits& limits) {
  Budget budget(limits);
  budget.check_text(constraint.text.size());
  if (constraint.kind == Kind::kYacc) {
    auto tables = compile_yacc(constraint.text, budget);
    return std::make_shared<YaccConstraint>(std::move(vocabulary), std::move(tables));
  }
  auto grammar = compile_grammar(constraint, *vocabulary, budget);
  auto compiled = std::make_shared<GrammarConstraint>(std::move(vocabulary), std::move(grammar));
  try {
    std::ignore = compiled->start();  // no answer should have to find out that this is too much
  } catch (const Error& error) {
    throw Error(ErrorKind::kInvalidArgument, error.what());
  }
  return compiled;
}

std::shared_ptr<const CompiledConstraint> ConstraintCompiler::compile(
    const Constraint& constraint) {
  {
    const std::lock_guard lock(mutex_);
    for (auto at = entries_.begin(); at != entries_.end(); ++at) {
      if (at->constraint != constraint) continue;
      entries_.splice(entries_.begin(), entries_, at);
      return entries_.front().compiled;
    }
  }
  auto compiled = compile_constraint(constraint, vocabulary_, limits_);
  const std::lock_guard lock(mutex_);
  entries_.push_front({.constraint = constraint, .compiled = compiled});
  if (entries_.size() > kMostKept) entries_.pop_back();
  return compiled;
}

}  // namespace mistral::grammar
