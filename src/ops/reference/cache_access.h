// Single numbers and vectors of the paged cache, in any of its types.
#pragma once

#include "ops/layer_cache.h"

namespace mistral::ops::reference {

// Store the vector of one token and head; values that the type cannot hold saturate. Values that
// stand in keys are not stored.
void store_key(const LayerCache& cache, std::int64_t block, std::int64_t head, std::int64_t slot,
               const float* key);
void store_value(const LayerCache& cache, std::int64_t block, std::int64_t head, std::int64_t slot,
                 const float* value);

[[nodiscard]] float load_key(const LayerCache& cache, std::int64_t block, std::int64_t head,
                             std::int64_t slot, std::int64_t d);
[[nodiscard]] float load_value(const LayerCache& cache, std::int64_t block, std::int64_t head,
                               std::int64_t slot, std::int64_t d);

}  // namespace mistral::ops::reference
