// The engine: one thread that owns the model, a queue of requests in, a channel per request out.
// Many sequences share each step (continuous batching); prompts are computed in chunks that ride
// with the decode rows of others.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/request.h"
#include "nn/sequence_model.h"
#include "text/tokenizer/tokenizer.h"

namespace mistral::engine {

struct EngineOptions {
  std::int32_t max_sequences = 32;   // running at once
  std::int32_t prefill_chunk = 512;  // most prompt rows of one sequence in a step
  std::int32_t max_queued = 10'000;  // waiting requests; more are refused
};

struct EngineStats {
  std::int64_t running = 0;
  std::int64_t waiting = 0;
  std::int64_t blocks_in_use = 0;  // over all cache groups
  std::int64_t steps = 0;
  std::int64_t preemptions = 0;
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

  [[nodiscard]] EngineStats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mistral::engine
