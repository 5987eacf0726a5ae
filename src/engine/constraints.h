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
  // no tokenizer.
  [[nodiscard]] std::shared_ptr<const grammar::CompiledConstraint> compile(
      const Constraint& constraint);

 private:
  const models::LoadedModel& model_;
  std::mutex mutex_;
  std::optional<grammar::ConstraintCompiler> compiler_;
};

}  // namespace mistral::engine
