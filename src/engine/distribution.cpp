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

}  // namespace mistral::engine
