#include "engine/answer.h"

#include <algorithm>
#include <limits>
#include <random>
#include <utility>

#include "engine/dry_breakers.h"
#include "text/reasoning/reasoning_splitter.h"
#include "text/tool_calls/tool_call_format.h"

namespace mistral::engine {
namespace {

double seconds(Answer::Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

std::uint64_t fresh_seed() {
  std::random_device device;
  return static_cast<std::uint64_t>(device()) << 32U | device();
}

SamplerSetup sampler_setup(const Request& request, const text::Tokenizer* tokenizer,
                           std::span<const TokenId> end_tokens) {
  const SamplingParams& sampling = request.sampling;
  SamplerSetup setup{.seed = sampling.seed ? *sampling.seed : fresh_seed(),
                     .dry_breakers = dry_breakers(sampling, tokenizer)};
  if (!sampling.ignore_eos) {
    setup.end_tokens.assign(end_tokens.begin(), end_tokens.end());
    setup.min_length = request.prompt.size() + static_cast<std::size_t>(sampling.min_tokens);
  }
  return setup;
}

}  // namespace

Answer::Answer(Request request, const text::Tokenizer* tokenizer,
               std::span<const TokenId> end_tokens, std::shared_ptr<RequestHandle::State> state)
    : channel(std::move(state)),
      on_prompt_logits(std::move(request.on_prompt_logits)),
      on_prompt_hidden(std::move(request.on_prompt_hidden)),
      sampler(request.sampling, sampler_setup(request, tokenizer, end_tokens)),
      stops_(request.sampling.stop),
      ignore_end_tokens_(request.sampling.ignore_eos),
      min_tokens_(request.sampling.min_tokens),
      max_tokens_(request.sampling.max_tokens.value_or(std::numeric_limits<std::int64_t>::max())),
      submitted_(Clock::now()) {
  tokens = std::move(request.prompt);
  prompt_length = length();
  priority = request.priority;
  salt = request.cache_salt;
  wants_prompt_logits = static_cast<bool>(on_prompt_logits);
  if (request.constraint) constraint.emplace(std::move(request.constraint));
  wants_prompt_hidden = static_cast<bool>(on_prompt_hidden);
  if (tokenizer != nullptr) {
    std::vector<TokenId> shown = text::reasoning_marks(*tokenizer);
    if (request.shows_tool_marks) {
      const std::vector<TokenId> marks = text::tool_call_marks(*tokenizer);
      shown.insert(shown.end(), marks.begin(), marks.end());
    }
    detokenizer_.emplace(*tokenizer, /*skip_special=*/true, std::move(shown));
  }
  usage_.prompt_tokens = prompt_length;
}

TokenId Answer::choose(std::size_t behind, std::span<const float> logits, SamplerScratch& scratch) {
  const grammar::TokenMask* mask = constraint ? &constraint->mask(behind) : nullptr;
  return settle(sampler.sample(logits, tokens, scratch, mask), scratch);
}

TokenId Answer::settle(TokenId token, SamplerScratch& scratch) {
  if (constraint) {
    const bool may_end = usage_.completion_tokens >= min_tokens_;
    token = constraint->keep_within(token, tokens_left(), may_end);
  }
  if (sampler.reports_logprobs()) sampler.logprobs(token, scratch, logprobs_.emplace());
  return token;
}

TokenId Answer::verify(std::size_t index, std::span<const float> logits, SamplerScratch& scratch) {
  if (draft.distributions.empty()) return choose(index, logits, scratch);
  const grammar::TokenMask* mask = constraint ? &constraint->mask(index) : nullptr;
  Distribution target;
  sampler.distribution(logits, tokens, scratch, target, mask);
  const Distribution& from = draft.distributions[index];
  TokenId token = draft.tokens[index];
  const double ratio = target.probability(token) / from.probability(token);
  if (sampler.random(tokens.size(), RandomStream::kAccept) >= ratio) {
    token = residual(target, from).draw(sampler.random(tokens.size(), RandomStream::kResidual));
  }
  return settle(token, scratch);
}

std::optional<double> Answer::begin(Clock::time_point now) {
  if (begun_) return std::nullopt;
  begun_ = true;
  return seconds(now - submitted_);
}

std::int64_t Answer::tokens_left() const {
  return std::min(max_tokens_ - usage_.completion_tokens, most_tokens - length());
}

std::optional<FinishReason> Answer::accept(TokenId token, std::span<const TokenId> end_tokens,
                                           std::int64_t context_length) {
  if (constraint) constraint->advance(token);
  tokens.push_back(token);
  ++usage_.completion_tokens;
  const Clock::time_point now = Clock::now();
  if (usage_.completion_tokens == 1) {
    first_token_ = now;
    usage_.prompt_seconds = seconds(now - submitted_);
  }
  usage_.completion_seconds = seconds(now - first_token_);

  const bool ends = !ignore_end_tokens_ &&
                    std::find(end_tokens.begin(), end_tokens.end(), token) != end_tokens.end();
  TokenEvent event{.token = token, .text = {}, .logprobs = std::move(logprobs_), .drawn_at = now};
  logprobs_.reset();
  if (!ends && detokenizer_) {
    const std::string_view text = detokenizer_->push(token);
    if (usage_.completion_tokens < min_tokens_) {
      event.text = text;  // too early to stop
    } else {
      stopped_ = stops_.push(text, event.text);
    }
  }
  channel->push(std::move(event));

  if (ends || stopped_) return FinishReason::kStop;
  if (usage_.completion_tokens >= max_tokens_ || length() >= context_length) {
    // The last token may be the one that nothing can follow.
    return constraint && constraint->complete() ? FinishReason::kStop : FinishReason::kLength;
  }
  return std::nullopt;
}

std::optional<FinishReason> Answer::accept_forced(std::span<const TokenId> end_tokens,
                                                  std::int64_t context_length) {
  if (!constraint) return std::nullopt;
  for (const TokenId token : constraint->forced(tokens_left())) {
    // There was no choice.
    if (sampler.reports_logprobs()) {
      logprobs_.emplace().chosen = {.token = token, .logprob = 0};
      if (sampler.reports_top_logprobs()) logprobs_->top = {logprobs_->chosen};
    }
    if (const auto end = accept(token, end_tokens, context_length)) return end;
  }
  return constraint->complete() ? std::optional(FinishReason::kStop) : std::nullopt;
}

std::string Answer::last_text() {
  std::string text;
  if (!detokenizer_ || stopped_) return text;
  stopped_ = stops_.push(detokenizer_->finish(), text);
  if (!stopped_) text += stops_.finish();
  return text;
}

void Answer::finish(FinishReason reason, std::string error) noexcept {
  usage_.cached_tokens = std::min(cached, prompt_length);
  FinishEvent event{.reason = reason, .text = {}, .error = std::move(error), .usage = usage_};
  try {
    event.text = last_text();
  } catch (const std::exception&) {
    event.text.clear();  // out of memory: the end must still be told
  }
  channel->finish(std::move(event));
}

}  // namespace mistral::engine
