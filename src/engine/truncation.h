// Prompts that are longer than what a model can hold, cut instead of refused.
#pragma once

#include <cstdint>

#include "engine/request.h"
#include "engine/request_check.h"

namespace mistral::engine {

// Drops tokens from the front of a prompt that is longer than the context or the KV cache, so that
// its end stays and there is room for the answer: for max_tokens, or for 10 where that is unset or
// would leave nothing of the prompt. Returns how many were dropped, and logs a warning if any.
std::int64_t truncate_prompt(Request& request, const RequestLimits& limits);

}  // namespace mistral::engine
