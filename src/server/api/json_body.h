// JSON from strangers, as the body of a request.
#pragma once

#include <string_view>

#include "core/json.h"

namespace mistral::server {

struct JsonLimits {
  int depth = 100;
  std::size_t values = std::size_t{1} << 21U;  // numbers, texts, lists, … together
};

// Needs time and memory in proportion to the text, whatever is in it. Of equal keys the last one
// counts. Throws ApiError: no JSON (with the place), beyond the limits, not an object.
[[nodiscard]] Json parse_body(std::string_view text, const JsonLimits& limits = {});

}  // namespace mistral::server
