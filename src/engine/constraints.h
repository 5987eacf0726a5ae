// Compiles constraints for a loaded model.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "models/loader.h"
#include "text/grammar/constraint.h"

namespace mistral::engine {

// The vocabulary is prepared when the first constraint comes. Thread safe.
class ModelConstraints {
 public:
  // The model must outlive this and what it makes.
  explicit ModelConstraints(const models::LoadedModel& model) : model_(model) {}

  // On the caller's thread. Throws Error: see compile_constraint(); kUnsupported when the model has
  // no tokenizer. For a request with `shows_tool_marks`, parts of free text (kTagged) may be
  // spelled with the special tokens that mark calls and reasoning, as the model writes them.
  [[nodiscard]] std::shared_ptr<const grammar::CompiledConstraint> compile(
      const Constraint& constraint, bool shows_tool_marks = false);

 private:
  const models::LoadedModel& model_;
  std::mutex mutex_;
  std::optional<grammar::ConstraintCompiler> compiler_;
  std::optional<grammar::ConstraintCompiler>
      with_marks_;  // special tokens that mark calls are text
};

}  // namespace mistral::engine
