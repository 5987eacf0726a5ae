// Fields that chats and completions have in common besides sampling.
#pragma once

#include <cstdint>
#include <optional>

#include "server/api/fields.h"

namespace mistral::server {

inline constexpr std::int32_t kMostTopLogprobs = 20;  // as OpenAI's API
inline constexpr std::int32_t kMostAnswers = 128;     // likewise
// Of all prompts of a request together: more would keep others waiting for long, also when the
// client leaves and all of them are taken back.
inline constexpr std::int32_t kMostAnswersInAll = 4096;

struct RequestOptions {
  bool stream = false;
  bool include_usage = false;
  std::int32_t answers = 1;                     // `n`
  std::optional<bool> truncate = std::nullopt;  // `truncate_sequence`
};

// Also checks fields that have no effect here (user, store, metadata, …). Throws ApiError.
[[nodiscard]] RequestOptions read_request_options(const Fields& fields);

}  // namespace mistral::server
