// Probabilities of tokens in the two forms of OpenAI's API.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/json.h"
#include "mistral/types.h"
#include "text/tokenizer/tokenizer.h"

namespace mistral::server {

// The bytes of a token; "bytes:\xe2\x80" for those that are not whole characters.
[[nodiscard]] std::string token_bytes(const text::Tokenizer& tokenizer, TokenId id);
[[nodiscard]] std::string token_text(const text::Tokenizer& tokenizer, TokenId id);

// {"token", "logprob", "bytes", "top_logprobs"} of a chat.
[[nodiscard]] Json chat_logprob(const text::Tokenizer& tokenizer, const TokenLogprobs& token);

// {"tokens", "token_logprobs", "top_logprobs", "text_offset"} of a completion, token by token.
class CompletionLogprobs {
 public:
  // `top`: how many alternatives were asked for; 0: none are listed.
  CompletionLogprobs(const text::Tokenizer& tokenizer, std::int32_t top)
      : tokenizer_(tokenizer), top_(top) {}

  // Null: the first token of a prompt, which nothing predicts.
  void add(TokenId id, const TokenLogprobs* token);
  // What was added since the last call.
  [[nodiscard]] Json take();
  [[nodiscard]] bool empty() const { return tokens_.empty(); }

 private:
  const text::Tokenizer& tokenizer_;
  std::int32_t top_;
  std::int64_t offset_ = 0;  // in characters
  Json tokens_ = Json::array();
  Json token_logprobs_ = Json::array();
  Json top_logprobs_ = Json::array();
  Json text_offset_ = Json::array();
};

// The natural logarithm of the softmax of `logits` at `token`, and the `top` most likely tokens.
[[nodiscard]] TokenLogprobs logprobs_of(std::span<const float> logits, TokenId token,
                                        std::int32_t top);

}  // namespace mistral::server
