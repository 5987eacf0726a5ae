// What clients hand to the engine and what comes back.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "mistral/types.h"

namespace mistral::grammar {
class CompiledConstraint;
}

namespace mistral::engine {

// Receives logits rows on the engine's thread: `position` is that of the input token, the row has
// vocab_size entries and is valid during the call.
using LogitsSink = std::function<void(std::int64_t position, std::span<const float> logits)>;

// Likewise the last hidden state of a prompt's token, after the final norm.
using HiddenSink = std::function<void(std::int64_t position, std::span<const float> hidden)>;

struct Request {
  std::vector<TokenId> prompt;  // at least one token
  SamplingParams sampling;
  LogitsSink on_prompt_logits;  // when set: every prompt row's logits, in order of position
  HiddenSink on_prompt_hidden;  // when set: every prompt row's state, in order of position
  bool truncate = false;        // a prompt that is too long is cut: see truncation.h
  // The answer may hold calls of tools: special tokens that mark them are part of its text.
  bool shows_tool_marks = false;
  std::int32_t priority = 0;  // higher ones come first
  // Requests share what they computed only with others of the same salt.
  std::uint64_t cache_salt = 0;
  // The language that the answer belongs to, compiled for this model's vocabulary; null: any. (What
  // sampling.constraint asks for is compiled by whoever makes the request.)
  std::shared_ptr<const grammar::CompiledConstraint> constraint = nullptr;
};

// One sampled token. `text` is what became printable (whole characters, nothing that may still
// turn out to be a stop string); the end token itself has no text.
struct TokenEvent {
  TokenId token = -1;
  std::string text;
  std::optional<TokenLogprobs> logprobs = {};  // when the request asks for them
  std::chrono::steady_clock::time_point drawn_at = {};
};
// The last event of every request.
struct FinishEvent {
  FinishReason reason = FinishReason::kStop;
  std::string text;   // text held back until now (after the last TokenEvent)
  std::string error;  // for kError
  Usage usage;
};
using Event = std::variant<TokenEvent, FinishEvent>;

// The channel of one request: the engine writes, one client reads. Destroying the handle cancels
// the request.
class RequestHandle {
 public:
  struct State;
  explicit RequestHandle(std::shared_ptr<State> state) : state_(std::move(state)) {}
  ~RequestHandle();
  RequestHandle(RequestHandle&&) noexcept = default;
  RequestHandle& operator=(RequestHandle&&) noexcept;

  // Blocks for the next event. After FinishEvent no more events come (Error kInternal).
  [[nodiscard]] Event next();
  // As next(), but gives up after `milliseconds`.
  [[nodiscard]] std::optional<Event> next_for(int milliseconds);
  // The next event if there is one.
  [[nodiscard]] std::optional<Event> try_next();
  // For clients that must not block: from now on `wake` is called whenever events have come and
  // try_next() had none left, at once if some are there; null: no longer. It runs on the engine's
  // thread with a lock held, so it only tells another thread; it does not throw, and does not run
  // any more once this has returned.
  void notify(std::function<void()> wake);
  // The engine drops the sequence at its next step and sends FinishEvent{kCancelled}. Async safe
  // apart from signal handlers; may be called from any thread.
  void cancel();

 private:
  std::shared_ptr<State> state_;
};

}  // namespace mistral::engine
