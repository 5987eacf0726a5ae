#include "engine/scheduler.h"

#include <algorithm>

namespace mistral::engine {
namespace {

// Rows whose logits go to the client only; the row that is sampled from is computed in any case.
std::int32_t prompt_logit_rows(const PlannedRows& rows) {
  return rows.count - rows.logits_from - (rows.samples ? 1 : 0);
}

}  // namespace

Scheduler::Scheduler(BlockManager& blocks, SchedulerLimits limits)
    : blocks_(blocks), limits_(limits) {
  limits_.max_rows = std::max(limits_.max_rows, 1);
  // With a row for every running sequence, decoding ones never crowd out a prompt.
  limits_.max_sequences = std::clamp(limits_.max_sequences, 1, limits_.max_rows);
  limits_.prefill_chunk = std::clamp(limits_.prefill_chunk, 1, limits_.max_rows);
  limits_.max_prompt_logits = std::max(limits_.max_prompt_logits, 1);
}

void Scheduler::add(Sequence& sequence) {
  waiting_.push_back(&sequence);
}

void Scheduler::remove(Sequence& sequence) {
  std::erase(running_, &sequence);
  std::erase(waiting_, &sequence);
  std::erase_if(plan_.rows, [&](const PlannedRows& rows) { return rows.sequence == &sequence; });
  std::erase(plan_.out_of_cache, &sequence);
  blocks_.release(sequence.blocks);
  sequence.computed = 0;
}

const StepPlan& Scheduler::plan() {
  plan_.rows.clear();
  plan_.out_of_cache.clear();
  rows_left_ = limits_.max_rows;
  prompt_logits_left_ = limits_.max_prompt_logits;
  const std::int64_t preemptions_before = preemptions_;

  for (Sequence* sequence : running_) {
    blocks_.release_unseen(sequence->blocks, sequence->computed);
  }
  // By index: preemption shortens the vector at its end while we walk.
  for (std::size_t i = 0; i < running_.size(); ++i) {
    if (running_[i]->remaining() == 1) plan_decode(*running_[i]);
  }
  for (std::size_t i = 0; i < running_.size(); ++i) {
    if (running_[i]->remaining() > 1) plan_prefill(*running_[i]);
  }
  // Admitting right after an interruption would hand the blocks back to the one that gave way.
  if (preemptions_ == preemptions_before) admit();
  return plan_;
}

void Scheduler::plan_decode(Sequence& sequence) {
  if (rows_left_ > 0 && reserve_row(sequence)) push(sequence, 1);
}

void Scheduler::plan_prefill(Sequence& sequence) {
  std::int32_t count = std::min(limits_.prefill_chunk, rows_left_);
  count = static_cast<std::int32_t>(std::min<std::int64_t>(count, sequence.remaining()));
  if (sequence.prompt_logits_missing()) {
    const std::int64_t delivered =
        std::max<std::int64_t>(0, sequence.prompt_logits_from - sequence.computed);
    count =
        static_cast<std::int32_t>(std::min<std::int64_t>(count, delivered + prompt_logits_left_));
  }
  if (count <= 0) return;
  count = std::max(1, blocks_.growth(sequence.blocks, sequence.computed, count));
  if (reserve_row(sequence) && blocks_.grow(sequence.blocks, sequence.computed + count)) {
    push(sequence, count);
  }
}

// Room for one more token, at the expense of younger sequences if need be.
bool Scheduler::reserve_row(Sequence& sequence) {
  while (!blocks_.grow(sequence.blocks, sequence.computed + 1)) {
    if (running_.back() != &sequence) {
      preempt_youngest();
      continue;
    }
    // The youngest waits for a step in which others have finished, unless there are none.
    if (running_.size() == 1) plan_.out_of_cache.push_back(&sequence);
    return false;
  }
  return true;
}

void Scheduler::preempt_youngest() {
  Sequence& victim = *running_.back();
  running_.pop_back();
  std::erase_if(plan_.rows, [&](const PlannedRows& rows) {
    if (rows.sequence != &victim) return false;
    rows_left_ += rows.count;
    prompt_logits_left_ += prompt_logit_rows(rows);
    return true;
  });
  blocks_.release(victim.blocks);
  victim.computed = 0;
  waiting_.push_front(&victim);
  ++preemptions_;
}

void Scheduler::admit() {
  if (waiting_.empty()) return;
  // Bytes that running prompts were promised when they were admitted but do not hold yet, and a
  // block for each running sequence, so that a newcomer is not thrown out at once.
  std::int64_t promised = 0;
  for (const Sequence* sequence : running_) {
    const std::int64_t peak = blocks_.peak_bytes(sequence->length());
    promised += std::max<std::int64_t>(0, peak - blocks_.held_bytes(sequence->blocks));
    promised += blocks_.step_bytes();
  }
  while (!waiting_.empty() && rows_left_ > 0 &&
         static_cast<std::int32_t>(running_.size()) < limits_.max_sequences) {
    Sequence& sequence = *waiting_.front();
    const std::int64_t needed = blocks_.peak_bytes(sequence.length());
    if (!running_.empty() && promised + needed > blocks_.free_bytes()) return;
    waiting_.pop_front();
    running_.push_back(&sequence);
    const std::int64_t free_before = blocks_.free_bytes();
    if (sequence.remaining() == 1) {
      plan_decode(sequence);
    } else {
      plan_prefill(sequence);
    }
    const std::int64_t taken = free_before - blocks_.free_bytes();
    promised += std::max<std::int64_t>(0, needed - taken) + blocks_.step_bytes();
  }
}

void Scheduler::push(Sequence& sequence, std::int32_t count) {
  PlannedRows rows{.sequence = &sequence, .count = count, .logits_from = count};
  rows.samples = count == sequence.remaining();
  if (rows.samples) rows.logits_from = count - 1;
  if (sequence.prompt_logits_missing()) {
    const std::int64_t first =
        std::max<std::int64_t>(0, sequence.prompt_logits_from - sequence.computed);
    rows.logits_from = static_cast<std::int32_t>(std::min<std::int64_t>(first, rows.logits_from));
  }
  prompt_logits_left_ -= prompt_logit_rows(rows);
  rows_left_ -= count;
  plan_.rows.push_back(rows);
}

}  // namespace mistral::engine
