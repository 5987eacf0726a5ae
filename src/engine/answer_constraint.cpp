#include "engine/answer_constraint.h"

#include <algorithm>
#include <utility>

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

AnswerConstraint::Ending AnswerConstraint::ending_after(std::span<const TokenId> tokens,
                                                        std::int64_t left) {
  if (left < 0) return std::nullopt;
  std::size_t taken = 0;
  while (taken < tokens.size() && state_.advance(tokens[taken])) ++taken;
  Ending ending;
  if (taken == tokens.size()) ending = state_.ending_tokens(static_cast<std::size_t>(left));
  state_.rollback(taken);
  return ending;
}

void AnswerConstraint::look_again(std::int64_t left, const Ending& ending) {
  // A token rarely makes the way to the end longer by more than a few. So an eighth of the room, if
  // it is large, may be used before the next look. Where no way is known, one may show up later.
  constexpr std::int64_t kSmallRoom = 16;
  constexpr std::int64_t kPart = 8;
  const std::int64_t room = ending ? left - static_cast<std::int64_t>(ending->size()) : left;
  look_at_ = left - std::max<std::int64_t>(room - kSmallRoom, 0) / kPart;
}

TokenId AnswerConstraint::keep_within(TokenId token, std::int64_t left, bool may_end) {
  if (left > look_at_ || state_.vocabulary().is_end(token)) return token;
  if (ending_ && !ending_->empty() && ending_->front() == token) return token;
  const std::int64_t left_after = left - 1;
  looked_at_ = token;
  after_ = ending_after({&token, 1}, left_after);
  look_again(left_after, after_);
  if (after_) return token;
  if (!ending_) ending_ = ending_after({}, left);
  if (!ending_ || ending_->empty()) return token;
  const TokenId instead = ending_->front();
  if (state_.vocabulary().is_end(instead) && !may_end) return token;
  look_at_ = left_after;
  return instead;
}

std::vector<TokenId> AnswerConstraint::forced(std::int64_t left) {
  if (left <= 0) return {};
  std::vector<TokenId> tokens = state_.forced_tokens(static_cast<std::size_t>(left));
  if (tokens.empty() || left > look_at_) return tokens;
  if (ending_after(tokens, left - static_cast<std::int64_t>(tokens.size()))) return tokens;
  if (!ending_) ending_ = ending_after({}, left);
  if (ending_) tokens.clear();
  return tokens;
}

void AnswerConstraint::advance(TokenId token) {
  if (!state_.advance(token)) {
    throw make_error(ErrorKind::kInternal, "constraint: token {} was chosen, but is not allowed",
                     token);
  }
  if (ending_ && !ending_->empty() && ending_->front() == token) {
    ending_->erase(ending_->begin());
  } else if (token == looked_at_) {
    ending_ = std::move(after_);
  } else {
    ending_.reset();
  }
  looked_at_ = -1;
  after_.reset();
}

}  // namespace mistral::engine
