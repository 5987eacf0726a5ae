// What an answer took, as clients are told.
#pragma once

#include <chrono>
#include <cstdint>

#include "core/json.h"
#include "mistral/types.h"

namespace mistral::server {

// Adds up what the answers to one request took. A prompt counts once, however many answers to it
// there are.
class UsageSum {
 public:
  void add(const Usage& usage, bool first_of_prompt);
  void add_reasoning(std::int64_t tokens) { reasoning_tokens_ += tokens; }
  // OpenAI's fields, and the speeds and times of mistral.rs: a rate over no time is null.
  [[nodiscard]] Json json() const;

 private:
  std::int64_t prompt_tokens_ = 0;
  std::int64_t cached_tokens_ = 0;
  std::int64_t completion_tokens_ = 0;
  std::int64_t reasoning_tokens_ = 0;
  // Of the answer that took longest: they run side by side.
  double prompt_seconds_ = 0;
  double completion_seconds_ = 0;
};

}  // namespace mistral::server
