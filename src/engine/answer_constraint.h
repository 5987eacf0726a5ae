// An answer's place in its constraint, and the masks of the rows that are being computed.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
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

  // Keeps the answer within the tokens that it may still have: the token that a mask allowed, or
  // where the text could not come to its end behind it, the next one of a short way to that end.
  // `left` counts this token, too. Without `may_end` no end token is put in its place. Looks rarely
  // while there is much room.
  [[nodiscard]] TokenId keep_within(TokenId token, std::int64_t left, bool may_end);

  // Follows a token that a mask allowed.
  void advance(TokenId token);
  // Nothing can follow any more.
  [[nodiscard]] bool complete() { return state_.ended() || state_.complete(); }
  // Tokens that must come next; none where fewer tokens can spell what must come and only these fit
  // into `left`.
  [[nodiscard]] std::vector<TokenId> forced(std::int64_t left);

 private:
  using Ending = std::optional<std::vector<TokenId>>;

  // A way to the end behind these tokens, in at most `left` more.
  [[nodiscard]] Ending ending_after(std::span<const TokenId> tokens, std::int64_t left);
  void look_again(std::int64_t left, const Ending& ending);

  grammar::ConstraintState state_;
  std::int64_t look_at_ = std::numeric_limits<std::int64_t>::max();  // tokens left at the next look
  Ending ending_;  // from here on; nothing where it is not known
  // What was found out about a token that may be taken next.
  TokenId looked_at_ = -1;
  Ending after_;
  // Buffers keep their memory from step to step.
  std::vector<grammar::TokenMask> masks_;
  std::size_t made_ = 0;
  std::string error_;
};

}  // namespace mistral::engine
