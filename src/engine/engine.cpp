#include "engine/engine.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/log.h"
#include "engine/answer.h"
#include "engine/block_manager.h"
#include "engine/request_check.h"
#include "engine/scheduler.h"

namespace mistral::engine {
namespace {

// Most memory for logits of prompts that clients want to see; a step asks for fewer rows instead.
constexpr std::int64_t kPromptLogitsBytes = 64LL << 20;

SchedulerLimits scheduler_limits(const nn::SequenceModel& model, const EngineOptions& options) {
  const std::int64_t row_bytes =
      std::max<std::int64_t>(1, model.vocab_size()) * static_cast<std::int64_t>(sizeof(float));
  return {.max_sequences = options.max_sequences,
          .max_rows = model.max_batch_rows(),
          .prefill_chunk = options.prefill_chunk,
          .max_prompt_logits = static_cast<std::int32_t>(
              std::clamp<std::int64_t>(kPromptLogitsBytes / row_bytes, 1, 1 << 20))};
}

constexpr const char* kOutOfMemory = "out of memory";  // short enough for any std::string

std::string describe_current_exception() noexcept {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return kOutOfMemory;
  } catch (const std::exception& error) {
    try {
      return error.what();
    } catch (const std::bad_alloc&) {
      return kOutOfMemory;
    }
  } catch (...) {
    return "unknown error";
  }
}

}  // namespace

struct Engine::Impl {
  Impl(nn::SequenceModel& model, const text::Tokenizer* tokenizer, std::vector<TokenId> end_tokens,
       const EngineOptions& options);
  ~Impl();

  RequestHandle submit(Request request);

  // The engine's thread.
  void loop();
  bool receive();
  void adopt(std::unique_ptr<Answer> answer) noexcept;
  void drop_cancelled();
  void step();
  void build_batch();
  void compute();
  void deliver();
  void deliver_rows(Answer& answer, const PlannedRows& rows, std::size_t first_logits);
  void finish(Answer& answer, FinishReason reason, std::string error = {}) noexcept;
  void fail_step(const std::string& error) noexcept;
  void publish() noexcept;

  static Answer& answer_of(Sequence* sequence) { return static_cast<Answer&>(*sequence); }

  nn::SequenceModel& model;
  const text::Tokenizer* tokenizer;
  std::vector<TokenId> end_tokens;
  EngineOptions options;
  BlockManager blocks;
  Scheduler scheduler;
  RequestLimits limits;
  std::shared_ptr<std::atomic<std::uint64_t>> cancellations =
      std::make_shared<std::atomic<std::uint64_t>>(0);
  std::atomic<std::int64_t> requests{0};  // queued, waiting and running

  mutable std::mutex mutex;
  std::condition_variable wake;
  bool stop = false;
  std::vector<std::unique_ptr<Answer>> incoming;
  EngineStats published;

  // Of the engine's thread. Buffers keep their memory from step to step.
  std::vector<std::unique_ptr<Answer>> answers;
  std::vector<std::unique_ptr<Answer>> arrivals;
  std::vector<PlannedRows> rows;  // of this step
  nn::Batch batch;
  std::vector<float> logits;
  SamplerScratch scratch;
  std::uint64_t cancellations_seen = 0;
  std::int64_t steps = 0;

  std::thread thread;  // last: it uses all of the above
};

Engine::Impl::Impl(nn::SequenceModel& the_model, const text::Tokenizer* the_tokenizer,
                   std::vector<TokenId> ends, const EngineOptions& the_options)
    : model(the_model),
      tokenizer(the_tokenizer),
      end_tokens(std::move(ends)),
      options(the_options),
      blocks(model.cache_groups(), model.block_size(), model.cache_bytes()),
      scheduler(blocks, scheduler_limits(model, options)) {
  limits = {.vocab_size = model.vocab_size(),
            .context_length = model.context_length(),
            .cache_tokens = blocks.max_tokens(model.context_length()),
            .has_tokenizer = tokenizer != nullptr};
  thread = std::thread([this] { loop(); });
}

Engine::Impl::~Impl() {
  {
    const std::lock_guard lock(mutex);
    stop = true;
  }
  wake.notify_one();
  thread.join();
  for (const auto& answer : incoming) answer->finish(FinishReason::kCancelled, {});
}

RequestHandle Engine::Impl::submit(Request request) {
  check_request(request, limits);
  const std::int64_t most =
      std::int64_t{std::max(options.max_queued, 0)} + std::max(options.max_sequences, 1);
  if (requests.fetch_add(1) >= most) {
    requests.fetch_sub(1);
    throw make_error(ErrorKind::kResource,
                     "the queue is full: {} requests are running or waiting, try again later",
                     most);
  }
  try {
    auto channel = std::make_shared<RequestHandle::State>(cancellations);
    auto answer = std::make_unique<Answer>(std::move(request), tokenizer, end_tokens, channel);
    {
      const std::lock_guard lock(mutex);
      incoming.push_back(std::move(answer));
      ++published.waiting;
    }
    wake.notify_one();
    return RequestHandle(std::move(channel));
  } catch (...) {
    requests.fetch_sub(1);
    throw;
  }
}

void Engine::Impl::loop() {
  while (receive()) {
    drop_cancelled();
    try {
      step();
    } catch (...) {
      fail_step(describe_current_exception());
    }
    publish();
  }
  while (!answers.empty()) finish(*answers.back(), FinishReason::kCancelled);
}

// Sleeps while there is nothing to do. False: stop.
bool Engine::Impl::receive() {
  {
    std::unique_lock lock(mutex);
    wake.wait(lock, [this] { return stop || !incoming.empty() || !scheduler.idle(); });
    if (stop) return false;
    std::swap(incoming, arrivals);
  }
  for (auto& answer : arrivals) adopt(std::move(answer));
  arrivals.clear();
  return true;
}

void Engine::Impl::adopt(std::unique_ptr<Answer> answer) noexcept {
  try {
    answer->slot = answers.size();
    scheduler.add(*answer);
    answers.push_back(std::move(answer));
  } catch (...) {
    scheduler.remove(*answer);
    requests.fetch_sub(1);
    answer->finish(FinishReason::kError, kOutOfMemory);
  }
}

void Engine::Impl::drop_cancelled() {
  const std::uint64_t now = cancellations->load();
  if (now == cancellations_seen) return;
  cancellations_seen = now;
  // Backwards: finish() fills the gap with the last one.
  for (std::size_t i = answers.size(); i-- > 0;) {
    if (answers[i]->channel->cancelled()) finish(*answers[i], FinishReason::kCancelled);
  }
}

void Engine::Impl::step() {
  if (scheduler.idle()) return;
  rows.clear();
  const StepPlan& plan = scheduler.plan();
  rows.assign(plan.rows.begin(), plan.rows.end());
  // The cache is as full as a context can be: the answer ends for its length.
  const std::vector<Sequence*> full = plan.out_of_cache;
  for (Sequence* sequence : full) finish(answer_of(sequence), FinishReason::kLength);
  if (rows.empty()) {
    if (full.empty()) throw Error(ErrorKind::kInternal, "the scheduler found nothing to do");
    return;
  }
  build_batch();
  ++steps;
  compute();
  deliver();
}

void Engine::Impl::build_batch() {
  batch.tokens.clear();
  batch.logit_rows.clear();
  batch.sequences.resize(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Sequence& sequence = *rows[i].sequence;
    nn::BatchSequence& entry = batch.sequences[i];
    entry.first_row = batch.rows();
    entry.row_count = rows[i].count;
    entry.first_position = static_cast<std::int32_t>(sequence.computed);
    entry.rope_length = static_cast<std::int32_t>(sequence.prompt_length);
    entry.block_tables = sequence.blocks.groups;
    const auto first = sequence.tokens.begin() + sequence.computed;
    batch.tokens.insert(batch.tokens.end(), first, first + rows[i].count);
    for (std::int32_t r = rows[i].logits_from; r < rows[i].count; ++r) {
      batch.logit_rows.push_back(entry.first_row + r);
    }
  }
}

void Engine::Impl::compute() {
  const std::size_t size = batch.logit_rows.size() * static_cast<std::size_t>(limits.vocab_size);
  if (logits.size() < size) logits.resize(size);
  model.forward(batch, std::span(logits).first(size));
}

void Engine::Impl::deliver() {
  // All rows are in the cache now, whatever happens to single answers below.
  for (const PlannedRows& planned : rows) Scheduler::advance(planned);
  std::size_t next_logits = 0;
  for (PlannedRows& planned : rows) {
    Answer& answer = answer_of(planned.sequence);
    const std::size_t first_logits = next_logits;
    next_logits += static_cast<std::size_t>(planned.count - planned.logits_from);
    try {
      deliver_rows(answer, planned, first_logits);
    } catch (...) {
      finish(answer, FinishReason::kError, describe_current_exception());
    }
    planned.sequence = nullptr;  // dealt with: a failure further on is not its own
  }
}

void Engine::Impl::deliver_rows(Answer& answer, const PlannedRows& planned,
                                std::size_t first_logits) {
  const auto vocab = static_cast<std::size_t>(limits.vocab_size);
  const auto row = [&](std::int32_t r) {
    const std::size_t index = first_logits + static_cast<std::size_t>(r - planned.logits_from);
    return std::span<const float>(logits).subspan(index * vocab, vocab);
  };
  if (answer.prompt_logits_missing()) {
    const std::int64_t first_position = answer.computed - planned.count;
    for (std::int32_t r = planned.logits_from; r < planned.count; ++r) {
      const std::int64_t position = first_position + r;
      if (position < answer.prompt_logits_from || position >= answer.prompt_length) continue;
      answer.on_prompt_logits(position, row(r));
      answer.prompt_logits_from = position + 1;
    }
  }
  if (!planned.samples) return;
  const TokenId token = answer.choose(row(planned.count - 1), scratch);
  const auto end = answer.accept(token, end_tokens, limits.context_length);
  if (end) finish(answer, *end);
}

void Engine::Impl::finish(Answer& answer, FinishReason reason, std::string error) noexcept {
  scheduler.remove(answer);
  requests.fetch_sub(1);
  const std::size_t slot = answer.slot;
  const std::unique_ptr<Answer> owner = std::move(answers[slot]);
  if (slot + 1 != answers.size()) {
    answers[slot] = std::move(answers.back());
    answers[slot]->slot = slot;
  }
  answers.pop_back();
  publish();  // first, so that a client who sees the end sees it in the statistics, too
  owner->finish(reason, std::move(error));
}

// The step as a whole failed: what took part in it ends, the others go on.
void Engine::Impl::fail_step(const std::string& error) noexcept {
  log::error("a step failed: {}", error);
  const auto fail = [&](Answer& answer) {
    try {
      finish(answer, FinishReason::kError, std::string(error));
    } catch (const std::bad_alloc&) {
      finish(answer, FinishReason::kError, kOutOfMemory);
    }
  };
  bool any = false;
  for (const PlannedRows& planned : rows) {
    if (planned.sequence == nullptr) continue;
    any = true;
    fail(answer_of(planned.sequence));
  }
  rows.clear();
  // Planning itself failed. Nothing may stay that would fail for ever.
  if (!any) {
    while (!answers.empty()) fail(*answers.back());
  }
}

void Engine::Impl::publish() noexcept {
  const std::lock_guard lock(mutex);
  published.running = static_cast<std::int64_t>(scheduler.running().size());
  published.waiting = static_cast<std::int64_t>(scheduler.waiting().size() + incoming.size());
  published.blocks_in_use = blocks.blocks_in_use();
  published.steps = steps;
  published.preemptions = scheduler.preemptions();
}

Engine::Engine(nn::SequenceModel& model, const text::Tokenizer* tokenizer,
               std::vector<TokenId> end_tokens, EngineOptions options)
    : impl_(std::make_unique<Impl>(model, tokenizer, std::move(end_tokens), options)) {}

Engine::~Engine() = default;

RequestHandle Engine::submit(Request request) {
  return impl_->submit(std::move(request));
}

EngineStats Engine::stats() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->published;
}

}  // namespace mistral::engine
