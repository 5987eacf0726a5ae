// Prompts that are longer than what a model can hold, cut instead of refused.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "mistral/types.h"

namespace mistral::engine {

// Drops tokens from the front of a prompt of more than `limit`, so that its end stays and there is
// room for the answer: for max_tokens, or for 10 where that is unset or would leave nothing of the
// prompt. Returns how many were dropped, and logs a warning if any.
std::int64_t truncate_prompt(std::vector<TokenId>& prompt, std::optional<std::int64_t> max_tokens,
                             std::int64_t limit);

}  // namespace mistral::engine
