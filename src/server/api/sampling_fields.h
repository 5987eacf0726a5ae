// How tokens are chosen, as the requests for chats and completions say it.
#pragma once

#include "mistral/types.h"
#include "server/api/fields.h"

namespace mistral::server {

// Fields that are left out come from `defaults`. Ranges are the engine's to check. Throws ApiError.
[[nodiscard]] SamplingParams read_sampling(const Fields& fields, const SamplingParams& defaults);

// What applies when neither the request nor the model's authors say anything.
[[nodiscard]] SamplingParams default_sampling(const SamplingParams& recommended);

}  // namespace mistral::server
