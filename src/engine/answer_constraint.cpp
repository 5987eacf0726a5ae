#include "engine/answer_constraint.h"

#include "core/error.h"

namespace mistral::engine {

std::size_t AnswerConstraint::allowed_drafts(std::span<const TokenId> drafts) {
  std::size_t count = 0;
  while (count < drafts.size() && state_.advance(drafts[count])) ++count;
  state_.rollback(count);
  return count;
}

void AnswerConstraint::prepare(std::span<const TokenId> drafts) noexcept {
  made_ = 0;
  std::size_t taken = 0;
  try {
    error_.clear();
    if (masks_.size() < drafts.size() + 1) masks_.resize(drafts.size() + 1);
    while (true) {
      state_.allow(masks_[made_]);
      ++made_;
      if (taken == drafts.size() || !state_.advance(drafts[taken])) break;
      ++taken;
    }
  } catch (const std::exception& error) {
    try {
      error_ = error.what();
    } catch (const std::exception&) {
      error_ = "out of memory";  // short enough for any std::string
    }
  }
  state_.rollback(taken);
}

const grammar::TokenMask& AnswerConstraint::mask(std::size_t drafts) const {
  if (drafts >= made_) {
    throw Error(ErrorKind::kResource,
                "constraint: " + (error_.empty() ? "a guess was not allowed" : error_));
  }
  if (masks_[drafts].empty()) {
    throw Error(ErrorKind::kInvalidArgument,
                "constraint: no token of the vocabulary can spell what must come next");
  }
  return masks_[drafts];
}

void AnswerConstraint::advance(TokenId token) {
  if (!state_.advance(token)) {
    throw make_error(ErrorKind::kInternal, "constraint: token {} was chosen, but is not allowed",
                     token);
  }
}

}  // namespace mistral::engine
