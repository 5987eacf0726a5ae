// The engine: one thread that owns the model, a queue of requests in, a channel per request out.
// Many sequences share each step (continuous batching); prompts are computed in chunks that ride
// with the decode rows of others.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "engine/drafter.h"
#include "engine/engine_stats.h"
#include "engine/request.h"
#include "nn/sequence_model.h"
#include "text/tokenizer/tokenizer.h"

namespace mistral::engine {

struct EngineOptions {
  std::int32_t max_sequences = 32;   // running at once
  std::int32_t prefill_chunk = 512;  // most prompt rows of one sequence in a step
  std::int32_t max_queued = 10'000;  // waiting requests; more are refused
  // While answers are being written, prompts of others get as many rows as keep a step below this,
  // or below four times what it takes without them.
  double step_seconds = 0.3;
  // Blocks stay in the cache of at most so many sequences that ended last; 0: of none.
  std::int64_t prefix_cache_sequences = std::numeric_limits<std::int64_t>::max();
  bool keep_cache = true;  // false: each token is computed from the whole sequence
  std::shared_ptr<Drafter> drafter = nullptr;  // speculative decoding; null: none
  std::int32_t max_drafts = 10;                // tokens guessed at once
  bool truncate_prompts = false;               // cuts prompts that are too long: see truncation.h
  bool log_throughput = false;                 // tokens per second, at level info
  bool adapt_drafts = true;                    // false: always as many, whether they pay or not
};

class Engine {
 public:
  // `model` and `tokenizer` must outlive the engine; tokenizer may be null (no text, no stop
  // strings). `end_tokens` end an answer unless the request ignores them.
  Engine(nn::SequenceModel& model, const text::Tokenizer* tokenizer,
         std::vector<TokenId> end_tokens, EngineOptions options);
  ~Engine();  // cancels everything and joins the thread
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Checks the request and queues it. Throws Error (kInvalidArgument) that names the field: an
  // empty prompt, a token id outside the vocabulary, a prompt longer than the context (with both
  // numbers), a prompt that can never fit the KV cache (with both numbers), max_tokens < 1, NaN or
  // out-of-range sampling values, an empty stop string; kResource when the queue is full.
  // Thread safe.
  [[nodiscard]] RequestHandle submit(Request request);
  // As many answers to one prompt, which is computed once. With a seed, each answer after the first
  // has the next one.
  [[nodiscard]] std::vector<RequestHandle> submit(Request request, std::int32_t answers);

  // What the context and the cache can hold: where prompts are cut.
  [[nodiscard]] std::int64_t longest_sequence() const;

  [[nodiscard]] EngineStats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mistral::engine
