#include "engine/constraints.h"

#include "core/error.h"

namespace mistral::engine {

std::shared_ptr<const grammar::CompiledConstraint> ModelConstraints::compile(
    const Constraint& constraint) {
  {
    const std::lock_guard lock(mutex_);
    if (!compiler_) {
      if (!model_.tokenizer) {
        throw make_error(ErrorKind::kUnsupported, "constraint: model {} has no tokenizer: {}",
                         model_.name, model_.tokenizer_problem);
      }
      compiler_.emplace(std::make_shared<const grammar::ConstraintVocabulary>(
          *model_.tokenizer, model_.end_tokens,
          static_cast<std::size_t>(model_.model->vocab_size())));
    }
  }
  return compiler_->compile(constraint);
}

}  // namespace mistral::engine
