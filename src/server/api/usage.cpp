#include "server/api/usage.h"

#include <algorithm>

namespace mistral::server {
namespace {

Json rate(std::int64_t tokens, double seconds) {
  return seconds > 0 ? Json(static_cast<double>(tokens) / seconds) : Json(nullptr);
}

}  // namespace

void UsageSum::add(const Usage& usage, bool first_of_prompt) {
  if (first_of_prompt) {
    prompt_tokens_ += usage.prompt_tokens;
    cached_tokens_ += usage.cached_tokens;
  }
  completion_tokens_ += usage.completion_tokens;
  prompt_seconds_ = std::max(prompt_seconds_, usage.prompt_seconds);
  completion_seconds_ = std::max(completion_seconds_, usage.completion_seconds);
}

Json UsageSum::json() const {
  const double total = prompt_seconds_ + completion_seconds_;
  Json usage = Json::object();
  usage["prompt_tokens"] = prompt_tokens_;
  usage["completion_tokens"] = completion_tokens_;
  usage["total_tokens"] = prompt_tokens_ + completion_tokens_;
  usage["prompt_tokens_details"] = {{"cached_tokens", cached_tokens_}};
  usage["completion_tokens_details"] = {{"reasoning_tokens", reasoning_tokens_}};
  usage["avg_tok_per_sec"] = rate(prompt_tokens_ + completion_tokens_, total);
  usage["avg_prompt_tok_per_sec"] = rate(prompt_tokens_, prompt_seconds_);
  usage["avg_compl_tok_per_sec"] = rate(completion_tokens_, completion_seconds_);
  usage["total_time_sec"] = total;
  usage["total_prompt_time_sec"] = prompt_seconds_;
  usage["total_completion_time_sec"] = completion_seconds_;
  return usage;
}

}  // namespace mistral::server
