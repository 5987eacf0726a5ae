#include "engine/scheduler.h"

#include <algorithm>
#include <new>

namespace mistral::engine {
namespace {

// Rows whose logits go to the client only; the row that is sampled from is computed in any case.
std::int32_t prompt_logit_rows(const PlannedRows& rows) {
  return rows.count - rows.drafts - rows.logits_from - (rows.samples ? 1 : 0);
}

// Who comes first.
bool before(const Sequence* a, const Sequence* b) {
  return a->priority != b->priority ? a->priority > b->priority : a->order < b->order;
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
  sequence.order = arrived_++;
  if (!limits_.keep_cache) sequence.leader = nullptr;  // it would have nothing to share
  waiting_.insert(std::ranges::upper_bound(waiting_, &sequence, before), &sequence);
}

void Scheduler::remove(Sequence& sequence) {
  std::erase(running_, &sequence);
  std::erase(waiting_, &sequence);
  for (Sequence* follower : waiting_) {
    if (follower->leader == &sequence) follower->leader = nullptr;
  }
  std::erase_if(plan_.rows, [&](const PlannedRows& rows) { return rows.sequence == &sequence; });
  std::erase(plan_.out_of_cache, &sequence);
  if (at_ == &sequence) at_ = nullptr;
  blocks_.release(sequence.blocks);
  sequence.computed = 0;
}

const StepPlan& Scheduler::plan(std::int32_t prompt_rows) {
  plan_.rows.clear();
  plan_.out_of_cache.clear();
  rows_left_ = limits_.max_rows;
  prompt_rows_left_ = std::max(prompt_rows, 1);
  prompt_logits_left_ = limits_.max_prompt_logits;
  const std::int64_t preemptions_before = preemptions_;

  std::int32_t decoding = 0;
  for (Sequence* sequence : running_) {
    blocks_.release_unseen(sequence->blocks, sequence->computed);
    if (sequence->remaining() == 1) ++decoding;
  }
  // By index: preemption shortens the vector at its end while we walk.
  for (std::size_t i = 0; i < running_.size(); ++i) {
    if (running_[i]->remaining() != 1) continue;
    at_ = running_[i];
    plan_decode(*running_[i], --decoding);
  }
  for (std::size_t i = 0; i < running_.size(); ++i) {
    if (running_[i]->remaining() == 1) continue;
    at_ = running_[i];
    plan_prefill(*running_[i]);
  }
  // Admitting right after an interruption would hand the blocks back to the one that gave way.
  if (preemptions_ == preemptions_before) admit();
  at_ = nullptr;
  return plan_;
}

void Scheduler::advance(const PlannedRows& rows) {
  Sequence& sequence = *rows.sequence;
  sequence.computed += rows.count - rows.drafts;
  if (limits_.keep_cache) {
    blocks_.offer(sequence.blocks, sequence.content(), sequence.computed);
  } else if (rows.samples) {
    blocks_.release(sequence.blocks);
    sequence.computed = 0;
  }
}

// `others`: sequences after it that want a row, too.
void Scheduler::plan_decode(Sequence& sequence, std::int32_t others) {
  if (rows_left_ == 0 || !reserve_row(sequence)) return;
  // Drafts take what nobody needs.
  std::int32_t drafts = static_cast<std::int32_t>(sequence.drafts.size());
  drafts = std::max(0, std::min(drafts, rows_left_ - 1 - others));
  if (drafts > 0) {
    const std::int32_t rows = blocks_.growth(sequence.blocks, sequence.computed, drafts + 1);
    drafts = blocks_.grow(sequence.blocks, sequence.computed + rows) ? rows - 1 : 0;
  }
  push(sequence, 1 + drafts, drafts);
}

// Where the full blocks of a prompt end that others can take over.
std::int64_t Scheduler::shared_end(const Sequence& sequence) const {
  return (sequence.prompt_length - 1) / blocks_.block_size() * blocks_.block_size();
}

// Skips what others have computed.
void Scheduler::attach(Sequence& sequence) {
  if (!limits_.keep_cache) return;
  const std::int64_t before_it = sequence.computed;
  try {
    sequence.computed =
        blocks_.attach(sequence.blocks, sequence.content(), sequence.computed, sequence.sharable());
  } catch (const std::bad_alloc&) {
    return;  // it computes them itself
  }
  if (!sequence.interrupted) sequence.cached += sequence.computed - before_it;
}

void Scheduler::plan_prefill(Sequence& sequence) {
  attach(sequence);
  std::int32_t count = std::min({limits_.prefill_chunk, rows_left_, prompt_rows_left_});
  count = static_cast<std::int32_t>(std::min<std::int64_t>(count, sequence.remaining()));
  if (sequence.prompt_logits_missing()) {
    const std::int64_t delivered =
        std::max<std::int64_t>(0, sequence.prompt_logits_from - sequence.computed);
    count =
        static_cast<std::int32_t>(std::min<std::int64_t>(count, delivered + prompt_logits_left_));
  }
  // Others take over here: further on, windows would have left some of their blocks behind.
  if (sequence.leads && sequence.computed < shared_end(sequence)) {
    count = static_cast<std::int32_t>(
        std::min<std::int64_t>(count, shared_end(sequence) - sequence.computed));
  }
  if (count <= 0) return;
  count = std::max(1, blocks_.growth(sequence.blocks, sequence.computed, count));
  if (reserve_row(sequence) && blocks_.grow(sequence.blocks, sequence.computed + count)) {
    push(sequence, count);
    prompt_rows_left_ -= count;
  }
}

// Room for one more token, at the expense of sequences behind it if need be.
bool Scheduler::reserve_row(Sequence& sequence) {
  while (!blocks_.grow(sequence.blocks, sequence.computed + 1)) {
    if (running_.back() != &sequence) {
      preempt_last();
      continue;
    }
    // The last one waits for a step in which others have finished, unless there are none.
    if (running_.size() == 1) plan_.out_of_cache.push_back(&sequence);
    return false;
  }
  return true;
}

void Scheduler::preempt_last() {
  Sequence& victim = *running_.back();
  waiting_.insert(std::ranges::upper_bound(waiting_, &victim, before), &victim);
  running_.pop_back();
  std::erase_if(plan_.rows, [&](const PlannedRows& rows) {
    if (rows.sequence != &victim) return false;
    rows_left_ += rows.count;
    if (victim.remaining() > 1) prompt_rows_left_ += rows.count;
    prompt_logits_left_ += prompt_logit_rows(rows);
    return true;
  });
  blocks_.release(victim.blocks);
  victim.computed = 0;
  victim.interrupted = true;
  ++preemptions_;
}

void Scheduler::admit() {
  if (waiting_.empty()) return;
  std::int64_t promised = 0;
  for (const Sequence* sequence : running_) promised += promised_bytes(*sequence);
  // By index: one that waits for its leader is passed over.
  for (std::size_t i = 0; i < waiting_.size() && rows_left_ > 0 && prompt_rows_left_ > 0;) {
    Sequence& sequence = *waiting_[i];
    if (sequence.leader != nullptr && sequence.leader->computed < shared_end(sequence)) {
      ++i;
      continue;
    }
    sequence.leader = nullptr;
    at_ = &sequence;
    while (!admit(sequence, promised)) {
      // Where there is no room, those that matter less make some.
      if (running_.empty() || running_.back()->priority >= sequence.priority) return;
      promised -= promised_bytes(*running_.back());
      preempt_last();
    }
  }
}

// What a running sequence was promised when it was admitted but does not hold yet, and a block for
// its next step, so that a newcomer is not thrown out at once.
std::int64_t Scheduler::promised_bytes(const Sequence& sequence) const {
  const std::int64_t peak = blocks_.peak_bytes(sequence.length());
  return std::max<std::int64_t>(0, peak - blocks_.held_bytes(sequence.blocks)) +
         blocks_.step_bytes();
}

bool Scheduler::admit(Sequence& sequence, std::int64_t& promised) {
  if (static_cast<std::int32_t>(running_.size()) >= limits_.max_sequences) return false;
  attach(sequence);
  const std::int64_t held = blocks_.held_bytes(sequence.blocks);
  const std::int64_t needed = blocks_.peak_bytes(sequence.length());
  if (!running_.empty() && promised + needed - held > blocks_.free_bytes()) {
    blocks_.release(sequence.blocks);
    sequence.computed = 0;
    if (!sequence.interrupted) sequence.cached = 0;
    return false;
  }
  running_.insert(std::ranges::upper_bound(running_, &sequence, before), &sequence);
  std::erase(waiting_, &sequence);
  const std::int64_t free_before = blocks_.free_bytes();
  plan_prefill(sequence);
  const std::int64_t taken = free_before - blocks_.free_bytes();
  promised += std::max<std::int64_t>(0, needed - held - taken) + blocks_.step_bytes();
  return true;
}

void Scheduler::push(Sequence& sequence, std::int32_t count, std::int32_t drafts) {
  PlannedRows rows{.sequence = &sequence, .count = count, .logits_from = count, .drafts = drafts};
  rows.samples = count - drafts == sequence.remaining();
  if (rows.samples) rows.logits_from = count - drafts - 1;
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
