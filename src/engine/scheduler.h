// Decides what each step computes. A pure object without threads, clocks or a model, so that its
// promises can be tested by themselves:
// - first come, first served among those of the same priority: nobody is admitted before one who
//   came earlier, and the first of the running sequences is never interrupted, so every sequence
//   finishes;
// - rows of a step, sequences at once and cache bytes stay within their limits;
// - a sequence that gives way (preemption) keeps its tokens and is computed again later.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <vector>

#include "engine/block_manager.h"
#include "engine/sequence.h"

namespace mistral::engine {

struct SchedulerLimits {
  std::int32_t max_sequences = 1;      // running at once; at most max_rows
  std::int32_t max_rows = 1;           // of a step
  std::int32_t prefill_chunk = 1;      // rows of one sequence in a step
  std::int32_t max_prompt_logits = 1;  // rows of a step with logits, besides those sampled from
  bool keep_cache = true;              // false: every token is computed from the whole sequence
};

// Rows [computed, computed + count) of a sequence. Its blocks cover them.
struct PlannedRows {
  Sequence* sequence = nullptr;
  std::int32_t count = 0;
  std::int32_t logits_from = 0;  // logits are wanted for rows [logits_from, count)
  std::int32_t drafts = 0;       // the last rows are the first of the sequence's drafts
  // The last row before the drafts is the sequence's last token: a new one is sampled from it.
  bool samples = false;
};

struct StepPlan {
  std::vector<PlannedRows> rows;        // decode rows first, then prompt chunks, each oldest first
  std::vector<Sequence*> out_of_cache;  // alone in the cache and still without room for a token
};

class Scheduler {
 public:
  Scheduler(BlockManager& blocks, SchedulerLimits limits);

  // Queues a sequence; it and its leader must live until remove(), which gives back its blocks.
  void add(Sequence& sequence);
  void remove(Sequence& sequence);

  // The next step, with at most `prompt_rows` rows of prompts beside decode rows (at least one).
  // The plan is valid until the next call of any member.
  [[nodiscard]] const StepPlan& plan(
      std::int32_t prompt_rows = std::numeric_limits<std::int32_t>::max());
  // Notes that planned rows were computed. The caller appends the sampled token afterwards; for
  // each draft that turns out to be right, `computed` grows with it.
  void advance(const PlannedRows& rows);

  [[nodiscard]] const std::vector<Sequence*>& running() const { return running_; }
  [[nodiscard]] const std::deque<Sequence*>& waiting() const { return waiting_; }
  [[nodiscard]] bool idle() const { return running_.empty() && waiting_.empty(); }
  [[nodiscard]] std::int64_t preemptions() const { return preemptions_; }
  // When plan() threw: the sequence that it was busy with, or null.
  [[nodiscard]] Sequence* planned_last() const { return at_; }

 private:
  void plan_decode(Sequence& sequence, std::int32_t others);
  void plan_prefill(Sequence& sequence);
  void attach(Sequence& sequence);
  [[nodiscard]] std::int64_t shared_end(const Sequence& sequence) const;
  void admit();
  [[nodiscard]] bool admit(Sequence& sequence, std::int64_t& promised);
  [[nodiscard]] std::int64_t promised_bytes(const Sequence& sequence) const;
  [[nodiscard]] bool reserve_row(Sequence& sequence);
  void preempt_last();
  void push(Sequence& sequence, std::int32_t count, std::int32_t drafts = 0);

  BlockManager& blocks_;
  SchedulerLimits limits_;
  // Both by priority, then in order of arrival.
  std::deque<Sequence*> waiting_;
  std::vector<Sequence*> running_;
  StepPlan plan_;
  Sequence* at_ = nullptr;
  std::uint64_t arrived_ = 0;
  std::int32_t rows_left_ = 0;
  std::int32_t prompt_rows_left_ = 0;
  std::int32_t prompt_logits_left_ = 0;
  std::int64_t preemptions_ = 0;
};

}  // namespace mistral::engine
