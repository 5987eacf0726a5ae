// Which models can guess for each other.
#pragma once

#include "models/loader.h"

namespace mistral::engine {

// Throws Error (kInvalidArgument) when the two do not have the same vocabulary, with the first
// token that differs. The logits of one may be padded further than those of the other.
void check_draft_model(const models::LoadedModel& target, const models::LoadedModel& draft);

}  // namespace mistral::engine
