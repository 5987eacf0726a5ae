#include "engine/engine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <limits>
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
#include "engine/mask_worker.h"
#include "engine/request_check.h"
#include "engine/scheduler.h"
#include "engine/step_cost.h"
#include "engine/step_log.h"
#include "engine/truncation.h"

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
              std::clamp<std::int64_t>(kPromptLogitsBytes / row_bytes, 1, 1 << 20)),
          .keep_cache = options.keep_cache};
}

PrefixCacheOptions prefix_options(const nn::SequenceModel& model, const EngineOptions& options) {
  return {.keep_sequences = options.prefix_cache_sequences,
          .rope_key = [&model](std::int32_t length) { return model.rope_key(length); }};
}

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
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

  std::vector<RequestHandle> submit(Request request, std::int32_t count);
  [[nodiscard]] std::int64_t longest_sequence() const {
    return std::min(limits.context_length, limits.cache_tokens);
  }

  // The engine's thread.
  void loop();
  bool receive();
  void adopt(std::unique_ptr<Answer> answer) noexcept;
  void drop_cancelled();
  void step();
  void propose();
  [[nodiscard]] std::int32_t prompt_rows() const;
  void build_batch();
  void start_masks();
  void compute();
  void forward(std::span<float> rows_of_logits);
  void deliver();
  void deliver_states(Answer& answer, const nn::BatchSequence& entry);
  void deliver_rows(Answer& answer, const PlannedRows& rows, std::int64_t first_position,
                    std::size_t first_logits);
  void finish(Answer& answer, FinishReason reason, std::string error = {}) noexcept;
  void fail_step(const std::string& error) noexcept;
  void fail_one() noexcept;
  std::int64_t& finished_counter(FinishReason reason);
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
  std::atomic<std::uint64_t> next_salt{1};

  mutable std::mutex mutex;
  std::condition_variable wake;
  bool stop = false;
  std::vector<std::unique_ptr<Answer>> incoming;
  std::int64_t submitted = 0;
  EngineStats published;

  // Of the engine's thread. Buffers keep their memory from step to step.
  std::vector<std::unique_ptr<Answer>> answers;
  std::vector<std::unique_ptr<Answer>> arrivals;
  std::vector<PlannedRows> rows;  // of this step
  std::vector<DraftRequest> proposals;
  std::vector<Answer*> proposed;  // whose they are
  nn::Batch batch;
  std::vector<MaskWorker::Job> mask_jobs;
  std::optional<MaskWorker> mask_worker;  // from the first constrained answer on
  std::vector<float> logits;
  std::vector<float> states;  // of batch.hidden_rows
  SamplerScratch scratch;
  std::uint64_t cancellations_seen = 0;
  StepCost cost;
  double draft_seconds = 0;  // that a guess takes
  EngineStats stats;
  StepLog step_log;

  std::thread thread;  // last: it uses all of the above
};

Engine::Impl::Impl(nn::SequenceModel& the_model, const text::Tokenizer* the_tokenizer,
                   std::vector<TokenId> ends, const EngineOptions& the_options)
    : model(the_model),
      tokenizer(the_tokenizer),
      end_tokens(std::move(ends)),
      options(the_options),
      blocks(model.cache_groups(), model.block_size(), model.cache_bytes(),
             prefix_options(model, options)),
      scheduler(blocks, scheduler_limits(model, options)),
      step_log(options.log_throughput) {
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

std::vector<RequestHandle> Engine::Impl::submit(Request request, std::int32_t count) {
  if (count < 1 || count > options.max_queued) {
    throw make_error(ErrorKind::kInvalidArgument, "n: {}, expected 1 to {}", count,
                     options.max_queued);
  }
  if (request.truncate || options.truncate_prompts) {
    truncate_prompt(request.prompt, request.sampling.max_tokens, longest_sequence());
  }
  check_request(request, limits);
  if (request.on_prompt_hidden && model.hidden_size() == 0) {
    throw Error(ErrorKind::kUnsupported, "the model does not hand out hidden states");
  }
  const std::int64_t most =
      std::int64_t{std::max(options.max_queued, 0)} + std::max(options.max_sequences, 1);
  if (requests.fetch_add(count) + count > most) {
    requests.fetch_sub(count);
    throw make_error(ErrorKind::kResource,
                     "the queue is full: {} requests are running or waiting, try again later",
                     most);
  }
  try {
    std::vector<RequestHandle> handles;
    std::vector<std::unique_ptr<Answer>> made;
    // Where nothing is kept, answers to one prompt still share it.
    if (options.prefix_cache_sequences == 0) request.cache_salt = next_salt.fetch_add(1);
    for (std::int32_t i = 0; i < count; ++i) {
      Request one = request;
      if (one.sampling.seed) *one.sampling.seed += static_cast<std::uint64_t>(i);
      auto channel = std::make_shared<RequestHandle::State>(cancellations);
      made.push_back(std::make_unique<Answer>(std::move(one), tokenizer, end_tokens, channel));
      made.back()->most_tokens = longest_sequence();
      if (i > 0) made.back()->leader = made.front().get();
      made.back()->leads = i == 0 && count > 1;
      handles.emplace_back(std::move(channel));
    }
    {
      const std::lock_guard lock(mutex);
      incoming.reserve(incoming.size() + made.size());
      for (auto& answer : made) incoming.push_back(std::move(answer));
      published.waiting += count;
      submitted += count;
    }
    wake.notify_one();
    return handles;
  } catch (...) {
    requests.fetch_sub(count);
    throw;
  }
}

void Engine::Impl::loop() {
  while (receive()) {
    drop_cancelled();
    try {
      step();
    } catch (const std::bad_alloc&) {
      fail_one();
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
    for (const auto& other : arrivals) {
      if (other && other->leader == answer.get()) other->leader = nullptr;
    }
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
  propose();
  const StepPlan& plan = scheduler.plan(prompt_rows());
  rows.assign(plan.rows.begin(), plan.rows.end());
  // The cache is as full as a context can be: the answer ends for its length.
  const std::vector<Sequence*> full = plan.out_of_cache;
  for (Sequence* sequence : full) finish(answer_of(sequence), FinishReason::kLength);
  if (rows.empty()) {
    if (full.empty()) throw Error(ErrorKind::kInternal, "the scheduler found nothing to do");
    return;
  }
  build_batch();
  const Clock::time_point start = Clock::now();
  for (const PlannedRows& planned : rows) {
    if (const auto waited = answer_of(planned.sequence).begin(start)) {
      stats.queue_seconds.add(*waited);
    }
  }
  compute();
  const double seconds = seconds_since(start);
  cost.note(batch.rows(), seconds);
  step_log.note(rows, seconds);
  ++stats.steps;
  stats.step_seconds.add(seconds);
  stats.step_rows.add(batch.rows());
  stats.step_sequences.add(static_cast<double>(rows.size()));
  deliver();
  if (scheduler.idle()) step_log.idle();
}

// Asks for guesses of what the running answers go on with.
void Engine::Impl::propose() {
  if (!options.drafter || !options.keep_cache) return;
  proposals.clear();
  proposed.clear();
  const auto rows_at_least = static_cast<std::int32_t>(scheduler.running().size());
  for (Sequence* sequence : scheduler.running()) {
    Answer& answer = answer_of(sequence);
    answer.drafts.clear();
    if (answer.remaining() != 1 || !answer.sampler.allows_drafts()) continue;
    const std::int64_t most = std::min<std::int64_t>(options.max_drafts, answer.tokens_left() - 1);
    const std::int32_t wanted =
        options.adapt_drafts ? answer.draft_control.wanted(cost, rows_at_least, draft_seconds,
                                                           static_cast<std::int32_t>(most))
                             : static_cast<std::int32_t>(most);
    if (wanted <= 0) continue;
    proposals.push_back({.sequence = answer.order,
                         .context = answer.tokens,
                         .prompt_length = answer.prompt_length,
                         .wanted = wanted,
                         .sampler = &answer.sampler,
                         .draft = &answer.draft});
    proposed.push_back(&answer);
  }
  if (proposals.empty()) return;
  const Clock::time_point start = Clock::now();
  std::int64_t guesses = 0;
  try {
    options.drafter->propose(proposals);
    for (Answer* answer : proposed) {
      answer->drafts = answer->draft.tokens;
      if (answer->constraint) {
        answer->drafts.resize(answer->constraint->allowed_drafts(answer->drafts));
      }
      guesses += static_cast<std::int64_t>(answer->drafts.size());
    }
  } catch (const std::exception& error) {
    // Guesses are worth less than the answers.
    log::warn("speculative decoding: no guesses for a step: {}", error.what());
    for (Answer* answer : proposed) answer->drafts.clear();
  }
  constexpr double kWeight = 0.1;
  if (guesses > 0) {
    draft_seconds +=
        kWeight * (seconds_since(start) / static_cast<double>(guesses) - draft_seconds);
  }
}

// Rows that prompts may have in the next step without holding up the answers being written.
std::int32_t Engine::Impl::prompt_rows() const {
  std::int32_t decoding = 0;
  for (const Sequence* sequence : scheduler.running()) {
    if (sequence->remaining() != 1) continue;
    decoding += 1 + static_cast<std::int32_t>(sequence->drafts.size());
  }
  if (decoding == 0) return std::numeric_limits<std::int32_t>::max();
  constexpr std::int32_t kLeast = 16;  // fewer would waste the reading of the weights
  // Where many answers alone take long, prompts still get most of a step: each that gets through
  // makes the batch larger, and nobody waits for a first token as long as all others write.
  constexpr double kShare = 4;
  const double most = std::max(options.step_seconds, kShare * cost.seconds(decoding));
  return std::max(kLeast, cost.rows_within(most) - decoding);
}

void Engine::Impl::build_batch() {
  batch.tokens.clear();
  batch.logit_rows.clear();
  batch.hidden_rows.clear();
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
    batch.tokens.insert(batch.tokens.end(), first, first + rows[i].count - rows[i].drafts);
    batch.tokens.insert(batch.tokens.end(), sequence.drafts.begin(),
                        sequence.drafts.begin() + rows[i].drafts);
    for (std::int32_t r = rows[i].logits_from; r < rows[i].count; ++r) {
      batch.logit_rows.push_back(entry.first_row + r);
    }
    if (!sequence.prompt_hidden_missing()) continue;
    for (std::int32_t r = 0; r < rows[i].count; ++r) {
      const std::int64_t position = sequence.computed + r;
      if (position >= sequence.prompt_hidden_from && position < sequence.prompt_length) {
        batch.hidden_rows.push_back(entry.first_row + r);
      }
    }
  }
}

// The rows that tokens are drawn from, of constrained answers: their masks are made meanwhile.
void Engine::Impl::start_masks() {
  mask_jobs.clear();
  for (const PlannedRows& planned : rows) {
    Answer& answer = answer_of(planned.sequence);
    if (!planned.samples || !answer.constraint) continue;
    const auto drafts = static_cast<std::size_t>(planned.drafts);
    mask_jobs.push_back(
        {.constraint = &*answer.constraint, .drafts = std::span(answer.drafts).first(drafts)});
  }
  if (mask_jobs.empty()) return;
  if (!mask_worker) mask_worker.emplace();
  mask_worker->start(mask_jobs);
}

void Engine::Impl::compute() {
  const std::size_t size = batch.logit_rows.size() * static_cast<std::size_t>(limits.vocab_size);
  if (logits.size() < size) logits.resize(size);
  start_masks();
  try {
    forward(std::span(logits).first(size));
  } catch (...) {
    if (mask_worker) mask_worker->finish();
    throw;
  }
  if (mask_worker) mask_worker->finish();
}

void Engine::Impl::forward(std::span<float> rows_of_logits) {
  if (batch.hidden_rows.empty()) {
    model.forward(batch, rows_of_logits);
    return;
  }
  const std::size_t state_size =
      batch.hidden_rows.size() * static_cast<std::size_t>(model.hidden_size());
  if (states.size() < state_size) states.resize(state_size);
  model.forward(batch, rows_of_logits, std::span(states).first(state_size));
}

void Engine::Impl::deliver() {
  // All rows are in the cache now, whatever happens to single answers below.
  for (const PlannedRows& planned : rows) scheduler.advance(planned);
  std::size_t next_logits = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    PlannedRows& planned = rows[i];
    Answer& answer = answer_of(planned.sequence);
    const std::size_t first_logits = next_logits;
    next_logits += static_cast<std::size_t>(planned.count - planned.logits_from);
    try {
      deliver_states(answer, batch.sequences[i]);
      deliver_rows(answer, planned, batch.sequences[i].first_position, first_logits);
    } catch (...) {
      finish(answer, FinishReason::kError, describe_current_exception());
    }
    planned.sequence = nullptr;  // dealt with: a failure further on is not its own
  }
}

// The states of a prompt's rows, which stand in `states` in the order of batch.hidden_rows.
void Engine::Impl::deliver_states(Answer& answer, const nn::BatchSequence& entry) {
  if (!answer.prompt_hidden_missing()) return;
  const auto width = static_cast<std::size_t>(model.hidden_size());
  const auto begin = std::ranges::lower_bound(batch.hidden_rows, entry.first_row);
  for (auto it = begin; it != batch.hidden_rows.end(); ++it) {
    const std::int32_t r = *it - entry.first_row;
    if (r >= entry.row_count) break;
    const std::int64_t position = entry.first_position + r;
    const auto index = static_cast<std::size_t>(it - batch.hidden_rows.begin());
    answer.on_prompt_hidden(position, std::span<const float>(states).subspan(index * width, width));
    answer.prompt_hidden_from = position + 1;
  }
}

void Engine::Impl::deliver_rows(Answer& answer, const PlannedRows& planned,
                                std::int64_t first_position, std::size_t first_logits) {
  const auto vocab = static_cast<std::size_t>(limits.vocab_size);
  const auto row = [&](std::int32_t r) {
    const std::size_t index = first_logits + static_cast<std::size_t>(r - planned.logits_from);
    return std::span<const float>(logits).subspan(index * vocab, vocab);
  };
  if (answer.prompt_logits_missing()) {
    for (std::int32_t r = planned.logits_from; r < planned.count; ++r) {
      const std::int64_t position = first_position + r;
      if (position < answer.prompt_logits_from || position >= answer.prompt_length) continue;
      answer.on_prompt_logits(position, row(r));
      answer.prompt_logits_from = position + 1;
    }
  }
  if (!planned.samples) return;
  const bool first = answer.length() == answer.prompt_length;
  // The row of the last token, then those of its drafts as long as they are right.
  std::int32_t right = 0;
  std::optional<FinishReason> end;
  for (std::int32_t i = 0; !end && i <= planned.drafts; ++i) {
    const std::span<const float> logits_row = row(planned.count - planned.drafts - 1 + i);
    if (i == planned.drafts) {
      const TokenId token = answer.choose(static_cast<std::size_t>(i), logits_row, scratch);
      end = answer.accept(token, end_tokens, limits.context_length);
      break;
    }
    const auto index = static_cast<std::size_t>(i);
    const TokenId token = answer.verify(index, logits_row, scratch);
    const bool as_guessed = token == answer.drafts[index];
    end = answer.accept(token, end_tokens, limits.context_length);
    if (!as_guessed) break;
    ++right;
    ++answer.computed;
  }
  if (!end) end = answer.accept_forced(end_tokens, limits.context_length);
  if (planned.drafts > 0) {
    answer.draft_control.note(planned.drafts, right);
    stats.drafted_tokens += planned.drafts;
    stats.accepted_tokens += right;
  }
  if (first) {
    stats.prompt_tokens += answer.prompt_length;
    stats.cached_tokens += std::min(answer.cached, answer.prompt_length);
    stats.first_token_seconds.add(answer.prompt_seconds());
  }
  if (end) finish(answer, *end);
}

void Engine::Impl::finish(Answer& answer, FinishReason reason, std::string error) noexcept {
  scheduler.remove(answer);
  if (options.drafter) options.drafter->forget(answer.order);
  requests.fetch_sub(1);
  stats.completion_tokens += answer.length() - answer.prompt_length;
  ++finished_counter(reason);
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
  for (const PlannedRows& planned : rows) {
    if (planned.sequence != nullptr) fail(answer_of(planned.sequence));
  }
  // Planning itself failed. Nothing may stay that would fail for ever.
  if (rows.empty()) {
    while (!answers.empty()) fail(*answers.back());
  }
  rows.clear();
}

// Memory ran out while a step was made or planned. Nothing of it counts yet, so the others can try
// again without the one that asked for most.
void Engine::Impl::fail_one() noexcept {
  log::error("out of memory: a request ends");
  Sequence* victim = scheduler.planned_last();
  std::int32_t most = 0;
  for (const PlannedRows& planned : rows) {
    if (planned.sequence == nullptr || planned.count < most) continue;
    most = planned.count;
    victim = planned.sequence;
  }
  rows.clear();
  if (victim == nullptr && !answers.empty()) victim = answers.back().get();
  if (victim != nullptr) finish(answer_of(victim), FinishReason::kError, kOutOfMemory);
}

std::int64_t& Engine::Impl::finished_counter(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return stats.finished_stop;
    case FinishReason::kLength:
      return stats.finished_length;
    case FinishReason::kCancelled:
      return stats.finished_cancelled;
    case FinishReason::kError:
      break;
  }
  return stats.finished_error;
}

void Engine::Impl::publish() noexcept {
  stats.running = static_cast<std::int64_t>(scheduler.running().size());
  stats.blocks_in_use = blocks.blocks_in_use();
  stats.blocks_kept = blocks.blocks_kept();
  stats.cache_bytes = blocks.total_bytes();
  stats.cache_bytes_in_use = blocks.total_bytes() - blocks.free_bytes();
  stats.preemptions = scheduler.preemptions();
  const std::lock_guard lock(mutex);
  stats.waiting = static_cast<std::int64_t>(scheduler.waiting().size() + incoming.size());
  published = stats;
}

Engine::Engine(nn::SequenceModel& model, const text::Tokenizer* tokenizer,
               std::vector<TokenId> end_tokens, EngineOptions options)
    : impl_(std::make_unique<Impl>(model, tokenizer, std::move(end_tokens), options)) {}

Engine::~Engine() = default;

RequestHandle Engine::submit(Request request) {
  return std::move(impl_->submit(std::move(request), 1).front());
}

std::vector<RequestHandle> Engine::submit(Request request, std::int32_t answers) {
  return impl_->submit(std::move(request), answers);
}

std::int64_t Engine::longest_sequence() const {
  return impl_->longest_sequence();
}

EngineStats Engine::stats() const {
  const std::lock_guard lock(impl_->mutex);
  EngineStats stats = impl_->published;
  stats.requests = impl_->submitted;
  return stats;
}

}  // namespace mistral::engine
