#include "engine/constraints.h"

#include <vector>

#include "core/error.h"
#include "text/reasoning/reasoning_splitter.h"
#include "text/tool_calls/tool_call_format.h"

namespace mistral::engine {

std::shared_ptr<const grammar::CompiledConstraint> ModelConstraints::compile(
    const Constraint& constraint, bool shows_tool_marks) {
  const bool marks = shows_tool_marks && constraint.kind == Constraint::Kind::kTagged;
  std::optional<grammar::ConstraintCompiler>& compiler = marks ? with_marks_ : compiler_;
  {
    const std::lock_guard lock(mutex_);
    if (!compiler) {
      if (!model_.tokenizer) {
        throw make_error(ErrorKind::kUnsupported, "constraint: model {} has no tokenizer: {}",
                         model_.name, model_.tokenizer_problem);
      }
      std::vector<TokenId> shown;
      if (marks) {
        shown = text::tool_call_marks(*model_.tokenizer);
        const std::vector<TokenId> more = text::reasoning_marks(*model_.tokenizer);
        shown.insert(shown.end(), more.begin(), more.end());
      }
      compiler.emplace(std::make_shared<const grammar::ConstraintVocabulary>(
          *model_.tokenizer, model_.end_tokens,
          static_cast<std::size_t>(model_.model->vocab_size()), shown));
    }
  }
  return compiler->compile(constraint);
}

}  // namespace mistral::engine
