// Refuses requests that cannot be served, before they are queued.
#pragma once

#include <cstdint>

#include "engine/request.h"

namespace mistral::engine {

struct RequestLimits {
  std::int32_t vocab_size = 0;
  std::int64_t context_length = 0;
  std::int64_t cache_tokens = 0;  // the longest sequence that fits the cache when alone
  bool has_tokenizer = false;
};

// Throws Error (kInvalidArgument) that names the field, what it holds and what is expected.
void check_request(const Request& request, const RequestLimits& limits);

}  // namespace mistral::engine
