// An answer's place in its constraint, and the masks of the rows that are being computed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mistral/types.h"
#include "text/grammar/constraint.h"

namespace mistral::engine {

class AnswerConstraint {
 public:
  explicit AnswerConstraint(std::shared_ptr<const grammar::CompiledConstraint> constraint)
      : state_(std::move(constraint)) {}

  // The first of the tokens that the constraint allows one after the other.
  [[nodiscard]] std::size_t allowed_drafts(std::span<const TokenId> drafts);

  // Makes the masks of the rows of this step: of the next token, then of those behind each draft.
  // May run on another thread than the rest. What goes wrong is told by mask().
  void prepare(std::span<const TokenId> drafts) noexcept;
  // The mask behind so many drafts, all of which must have been taken. Throws Error (kResource)
  // where the text can be understood in too many ways, kInvalidArgument where no token of the
  // vocabulary can spell what must come.
  [[nodiscard]] const grammar::TokenMask& mask(std::size_t drafts) const;

  // Follows a token that a mask allowed.
  void advance(TokenId token);
  // Nothing can follow any more.
  [[nodiscard]] bool complete() { return state_.ended() || state_.complete(); }
  // Tokens that must come next.
  [[nodiscard]] std::vector<TokenId> forced(std::int64_t most) {
    return most > 0 ? state_.forced_tokens(static_cast<std::size_t>(most)) : std::vector<TokenId>();
  }

 private:
  grammar::ConstraintState state_;
  // Buffers keep their memory from step to step.
  std::vector<grammar::TokenMask> masks_;
  std::size_t made_ = 0;
  std::string error_;
};

}  // namespace mistral::engine
