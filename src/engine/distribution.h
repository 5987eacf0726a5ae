// What the next token may be, and with which probability.
#pragma once

#include <vector>

#include "mistral/types.h"

namespace mistral::engine {

struct TokenProbability {
  TokenId id = -1;
  double probability = 0;
};

// Every token that may be drawn, in rising order of ids; the probabilities are above 0 and their
// sum is 1. A reader that walks two of these side by side, or asks for single ids, has what
// rejection sampling needs of a target and of a draft: p(x), q(x) and max(0, p - q).
struct Distribution {
  std::vector<TokenProbability> tokens;

  // 0 for a token that cannot come.
  [[nodiscard]] double probability(TokenId id) const;
  // The token at which the running sum first exceeds `random`, uniform in [0, 1). -1 if there is
  // no token.
  [[nodiscard]] TokenId draw(double random) const;
};

// What is left of `target` where `draft` has been tried in vain: max(0, p - q), normalised. Where
// rounding leaves nothing, `target` itself.
[[nodiscard]] Distribution residual(const Distribution& target, const Distribution& draft);

}  // namespace mistral::engine
