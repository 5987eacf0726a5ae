#include "engine/distribution.h"

#include <algorithm>

namespace mistral::engine {

double Distribution::probability(TokenId id) const {
  const auto found = std::lower_bound(
      tokens.begin(), tokens.end(), id,
      [](const TokenProbability& token, TokenId wanted) { return token.id < wanted; });
  return found != tokens.end() && found->id == id ? found->probability : 0.0;
}

TokenId Distribution::draw(double random) const {
  double passed = 0;
  for (const auto& [id, probability] : tokens) {
    passed += probability;
    if (passed > random) return id;
  }
  return tokens.empty() ? -1 : tokens.back().id;  // rounding: the sum is a bit below 1
}

Distribution residual(const Distribution& target, const Distribution& draft) {
  Distribution rest;
  double total = 0;
  auto q = draft.tokens.begin();
  for (const TokenProbability& p : target.tokens) {
    while (q != draft.tokens.end() && q->id < p.id) ++q;
    const bool same = q != draft.tokens.end() && q->id == p.id;
    const double left = p.probability - (same ? q->probability : 0);
    if (left <= 0) continue;
    rest.tokens.push_back({.id = p.id, .probability = left});
    total += left;
  }
  if (rest.tokens.empty()) return target;
  for (TokenProbability& token : rest.tokens) token.probability /= total;
  return rest;
}

}  // namespace mistral::engine
