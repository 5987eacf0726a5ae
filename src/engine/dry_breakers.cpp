#include "engine/dry_breakers.h"

#include <algorithm>
#include <string>

namespace mistral::engine {

std::vector<TokenId> dry_breakers(const SamplingParams& sampling,
                                  const text::Tokenizer* tokenizer) {
  std::vector<TokenId> ids;
  if (sampling.dry_multiplier.value_or(0) == 0 || tokenizer == nullptr) return ids;
  for (const std::string& breaker : sampling.dry_sequence_breakers) {
    const std::vector<TokenId> encoded =
        tokenizer->encode("a" + breaker, {.add_special = false, .parse_special = true});
    if (!encoded.empty()) ids.push_back(encoded.back());
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

}  // namespace mistral::engine
