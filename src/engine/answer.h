// One request on its way through the engine: the sequence that the scheduler moves, how its tokens
// are chosen and become text, and when it ends.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/answer_constraint.h"
#include "engine/channel.h"
#include "engine/drafter.h"
#include "engine/request.h"
#include "engine/sampler.h"
#include "engine/sequence.h"
#include "engine/speculation.h"
#include "engine/stop_matcher.h"
#include "text/tokenizer/tokenizer.h"

namespace mistral::engine {

struct Answer : Sequence {
  using Clock = std::chrono::steady_clock;

  // Made on the client's thread from a checked request. `tokenizer` may be null: no text.
  Answer(Request request, const text::Tokenizer* tokenizer, std::span<const TokenId> end_tokens,
         std::shared_ptr<RequestHandle::State> channel);

  // Samples the next token from its logits; `behind` says how many guesses of this step were right.
  [[nodiscard]] TokenId choose(std::size_t behind, std::span<const float> logits,
                               SamplerScratch& scratch);
  // As choose(), where draft.tokens[index] was proposed: takes it as often as makes the tokens come
  // as if nothing had been proposed.
  [[nodiscard]] TokenId verify(std::size_t index, std::span<const float> logits,
                               SamplerScratch& scratch);
  // Called with the time of each step that it takes part in; returns the seconds that it waited for
  // the first one, once.
  [[nodiscard]] std::optional<double> begin(Clock::time_point now);
  // From submission to the first token.
  [[nodiscard]] double prompt_seconds() const { return usage_.prompt_seconds; }
  // How many tokens may follow at most.
  [[nodiscard]] std::int64_t tokens_left() const;

  // Adds the chosen token and sends it. Says how the answer ends if this was its last token.
  [[nodiscard]] std::optional<FinishReason> accept(TokenId token,
                                                   std::span<const TokenId> end_tokens,
                                                   std::int64_t context_length);
  // Adds the tokens that the constraint makes certain: their rows need no logits. Says how the
  // answer ends if one was its last, or nothing can follow.
  [[nodiscard]] std::optional<FinishReason> accept_forced(std::span<const TokenId> end_tokens,
                                                          std::int64_t context_length);
  // Sends the last event, with the text held back until now.
  void finish(FinishReason reason, std::string error) noexcept;

  std::shared_ptr<RequestHandle::State> channel;
  LogitsSink on_prompt_logits;
  HiddenSink on_prompt_hidden;
  Sampler sampler;
  std::size_t slot = 0;          // its place in the engine's list
  std::int64_t most_tokens = 0;  // with the prompt: what fits the context and the cache
  Draft draft;
  DraftControl draft_control;
  std::optional<AnswerConstraint> constraint;

 private:
  [[nodiscard]] std::string last_text();
  // A token chosen from the row in `scratch`, or the one that a constraint wants in its place so
  // that the answer comes to its end in time.
  [[nodiscard]] TokenId settle(TokenId token, SamplerScratch& scratch);

  std::optional<text::Detokenizer> detokenizer_;
  StopMatcher stops_;
  bool begun_ = false;
  bool stopped_ = false;                   // by a stop string: no more text
  std::optional<TokenLogprobs> logprobs_;  // of the chosen token, until it is sent
  bool ignore_end_tokens_;
  std::int64_t min_tokens_;
  std::int64_t max_tokens_;
  Usage usage_;
  Clock::time_point submitted_;
  Clock::time_point first_token_;
};

}  // namespace mistral::engine
