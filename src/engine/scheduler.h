// Decides what each step computes. A pure object without threads, clocks or a model, so that its
// promises can be tested by themselves:
// - first come, first served: nobody is admitted before one who came earlier, and the oldest
// running
//   sequence is never interrupted, so every sequence finishes;
// - rows of a step, sequences at once and cache bytes stay within their limits;
// - a sequence that gives way (preemption) keeps its tokens and is computed again later.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "engine/block_manager.h"
#include "engine/sequence.h"

namespace mistral::engine {

struct SchedulerLimits {
  std::int32_t max_sequences = 1;      // running at once; at most max_rows
  std::int32_t max_rows = 1;           // of a step
  std::int32_t prefill_chunk = 1;      // rows of one sequence in a step
  std::int32_t max_prompt_logits = 1;  // rows of a step with logits, besides those sampled from
};

// Rows [computed, computed + count) of a sequence. Its blocks cover them.
struct PlannedRows {
  Sequence* sequence = nullptr;
  std::int32_t count = 0;
  std::int32_t logits_from = 0;  // logits are wanted for rows [logits_from, count)
  // The last row is the sequence's last token: a new one is sampled from it.
  bool samples = false;
};

struct StepPlan {
  std::vector<PlannedRows> rows;        // decode rows first, then prompt chunks, each oldest first
  std::vector<Sequence*> out_of_cache;  // alone in the cache and still without room for a token
};

class Scheduler {
 public:
  Scheduler(BlockManager& blocks, SchedulerLimits limits);

  // Queues a sequence; it must live until remove(), which gives back its blocks.
  void add(Sequence& sequence);
  void remove(Sequence& sequence);

  // The next step. The plan is valid until the next call of any member.
  [[nodiscard]] const StepPlan& plan();
  // Notes that planned rows were computed. The caller appends the sampled token afterwards.
  static void advance(const PlannedRows& rows) { rows.sequence->computed += rows.count; }

  [[nodiscard]] const std::vector<Sequence*>& running() const { return running_; }
  [[nodiscard]] const std::deque<Sequence*>& waiting() const { return waiting_; }
  [[nodiscard]] bool idle() const { return running_.empty() && waiting_.empty(); }
  [[nodiscard]] std::int64_t preemptions() const { return preemptions_; }

 private:
  void plan_decode(Sequence& sequence);
  void plan_prefill(Sequence& sequence);
  void admit();
  [[nodiscard]] bool reserve_row(Sequence& sequence);
  void preempt_youngest();
  void push(Sequence& sequence, std::int32_t count);

  BlockManager& blocks_;
  SchedulerLimits limits_;
  std::deque<Sequence*> waiting_;   // oldest first; those that gave way are older than the others
  std::vector<Sequence*> running_;  // oldest first
  StepPlan plan_;
  std::int32_t rows_left_ = 0;
  std::int32_t prompt_logits_left_ = 0;
  std::int64_t preemptions_ = 0;
};

}  // namespace mistral::engine
