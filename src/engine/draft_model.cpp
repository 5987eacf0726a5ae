#include "engine/draft_model.h"

#include "core/error.h"

namespace mistral::engine {

void check_draft_model(const models::LoadedModel& target, const models::LoadedModel& draft) {
  const auto refuse = [&](const std::string& how) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "target and draft models' tokenizer vocab do not match, which is required for "
                     "speculative decoding: {} and {} differ {}",
                     target.name, draft.name, how);
  };
  if (target.tokenizer == nullptr || draft.tokenizer == nullptr) {
    const std::int32_t ours = target.model->vocab_size();
    const std::int32_t theirs = draft.model->vocab_size();
    if (ours != theirs) refuse(fmt::format("in their sizes, {} and {}", ours, theirs));
    return;
  }
  const std::size_t ours = target.tokenizer->vocab_size();
  const std::size_t theirs = draft.tokenizer->vocab_size();
  for (std::size_t i = 0; i < std::min(ours, theirs); ++i) {
    const auto id = static_cast<TokenId>(i);
    const std::string_view token = target.tokenizer->token(id);
    const std::string_view other = draft.tokenizer->token(id);
    if (token != other) refuse(fmt::format("at token {}, '{}' and '{}'", i, token, other));
  }
  if (ours != theirs) refuse(fmt::format("in their sizes, {} and {}", ours, theirs));
}

}  // namespace mistral::engine
