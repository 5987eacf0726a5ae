// Value types of the public API.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mistral {

using TokenId = std::int32_t;

// How the next token is chosen. Unset fields are off; an unset temperature means greedy, unless
// the model's own generation settings are asked for (Model::default_sampling()).
struct SamplingParams {
  std::optional<double> temperature;  // below 1e-7: greedy
  std::optional<std::int32_t> top_k;  // keep the k most likely tokens; <= 0: off
  std::optional<double> top_p;        // keep the smallest head that reaches p; outside (0, 1): off
  std::optional<double> min_p;        // drop tokens with p <= min_p * p_max; outside (0, 1): off
  std::optional<std::uint64_t> seed;  // unset: a fresh one for each request
  std::vector<std::string> stop;      // text that ends the answer and is cut off; none empty
  std::optional<std::int64_t>
      max_tokens;           // >= 1; unset: until the model ends or the context is full
  bool ignore_eos = false;  // go on after an end token

  // Applied to the logits before the temperature, in this order. They look at the ids of the prompt
  // and of the answer so far.
  std::optional<double> repetition_penalty;  // > 0; divides positive logits of ids that occurred,
                                             // multiplies others
  std::optional<double> dry_multiplier;      // DRY: punishes what would prolong a repetition by
  double dry_base = 1.75;                    // multiplier * base^(length - allowed_length)
  std::int32_t dry_allowed_length = 2;
  std::vector<std::string> dry_sequence_breakers = {"\n", ":", "\"", "*"};  // end a repetition
  std::optional<double> frequency_penalty;             // subtracted once for each occurrence
  std::optional<double> presence_penalty;              // subtracted once from ids that occurred
  std::vector<std::pair<TokenId, double>> logit_bias;  // added
};

enum class FinishReason {
  kStop,       // end token or stop string
  kLength,     // max_tokens or the context is full
  kCancelled,  // by the caller
  kError,      // see Response::error
};
[[nodiscard]] const char* to_string(FinishReason reason);

struct Usage {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;      // prompt tokens found in the prefix cache
  std::int64_t completion_tokens = 0;  // includes the final end token
  double prompt_seconds = 0;           // from submission to the first token
  double completion_seconds = 0;       // from the first token to the last
};

struct Message {
  std::string role;  // "system", "user", "assistant", "tool", or what the template knows
  std::string content;
};

}  // namespace mistral
