#include "engine/scheduler.h"

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace mistral::engine {
namespace {

using nn::CacheGroup;

constexpr std::int32_t kBlock = 8;
const std::vector<CacheGroup> kFull = {{.window = 0, .bytes_per_block = 1}};

// Its tokens are `token`, or others than those of any other sequence.
Sequence sequence_of(std::int64_t prompt, TokenId token = -1) {
  static TokenId next = 1000;
  Sequence s;
  s.tokens.resize(static_cast<std::size_t>(prompt), token < 0 ? next++ : token);
  s.prompt_length = prompt;
  return s;
}

// What the engine does with a plan: computes the rows, appends sampled tokens.
void run(Scheduler& scheduler, const StepPlan& plan) {
  for (const PlannedRows& rows : plan.rows) {
    scheduler.advance(rows);
    if (rows.samples) rows.sequence->tokens.push_back(2);
  }
}

std::vector<std::pair<const Sequence*, int>> counts(const StepPlan& plan) {
  std::vector<std::pair<const Sequence*, int>> result;
  for (const PlannedRows& rows : plan.rows) result.emplace_back(rows.sequence, rows.count);
  return result;
}

TEST(Scheduler, PromptsRunInChunksBesideDecodeRows) {
  BlockManager blocks(kFull, kBlock, 1000);
  Scheduler scheduler(blocks, {.max_sequences = 4, .max_rows = 20, .prefill_chunk = 16});
  Sequence a = sequence_of(5);
  Sequence b = sequence_of(40);
  Sequence c = sequence_of(3);
  scheduler.add(a);
  scheduler.add(b);
  scheduler.add(c);
  const StepPlan& plan = scheduler.plan();
  EXPECT_EQ(counts(plan), (std::vector<std::pair<const Sequence*, int>>{{&a, 5}, {&b, 15}}));
  EXPECT_TRUE(plan.rows[0].samples);
  EXPECT_EQ(plan.rows[0].logits_from, 4);
  EXPECT_FALSE(plan.rows[1].samples);
  EXPECT_EQ(plan.rows[1].logits_from, 15);  // none
  run(scheduler, plan);
  EXPECT_EQ(counts(scheduler.plan()),
            (std::vector<std::pair<const Sequence*, int>>{{&a, 1}, {&b, 16}, {&c, 3}}));
  run(scheduler, scheduler.plan());
  EXPECT_EQ(counts(scheduler.plan()),
            (std::vector<std::pair<const Sequence*, int>>{{&a, 1}, {&c, 1}, {&b, 9}}));
  for (Sequence* s : {&a, &b, &c}) scheduler.remove(*s);
  EXPECT_TRUE(scheduler.idle());
  EXPECT_EQ(blocks.blocks_in_use(), 0);
}

TEST(Scheduler, OneSequenceAtOnceIsALimitThatWorks) {
  BlockManager blocks(kFull, kBlock, 1000);
  Scheduler scheduler(blocks, {.max_sequences = 1, .max_rows = 64, .prefill_chunk = 64});
  Sequence a = sequence_of(5);
  Sequence b = sequence_of(6);
  scheduler.add(a);
  scheduler.add(b);
  EXPECT_EQ(counts(scheduler.plan()), (std::vector<std::pair<const Sequence*, int>>{{&a, 5}}));
  EXPECT_EQ(scheduler.waiting().size(), 1U);
  scheduler.remove(a);
  EXPECT_EQ(counts(scheduler.plan()), (std::vector<std::pair<const Sequence*, int>>{{&b, 6}}));
  scheduler.remove(b);
}

TEST(Scheduler, TheYoungestGivesWayAndIsComputedAgain) {
  BlockManager blocks(kFull, kBlock, 4, {.keep_sequences = 0});  // four blocks
  Scheduler scheduler(blocks, {.max_sequences = 4, .max_rows = 64, .prefill_chunk = 64});
  Sequence a = sequence_of(7);
  Sequence b = sequence_of(7);
  scheduler.add(a);
  scheduler.add(b);
  // Both grow by a token each step: at 17 tokens they would need three blocks each.
  while (scheduler.preemptions() == 0) {
    run(scheduler, scheduler.plan());
    ASSERT_LT(a.length(), 100);
  }
  EXPECT_EQ(scheduler.running(), (std::vector<Sequence*>{&a}));
  EXPECT_EQ(b.computed, 0);
  const std::int64_t kept = b.length();
  EXPECT_GT(kept, 7);
  scheduler.remove(a);
  const StepPlan& plan = scheduler.plan();
  EXPECT_EQ(counts(plan),
            (std::vector<std::pair<const Sequence*, int>>{{&b, static_cast<int>(kept)}}));
  scheduler.remove(b);
}

TEST(Scheduler, ASequenceAloneWithoutRoomIsReported) {
  BlockManager blocks(kFull, kBlock, 2);
  Scheduler scheduler(blocks, {.max_sequences = 4, .max_rows = 64, .prefill_chunk = 64});
  Sequence a = sequence_of(14);
  scheduler.add(a);
  run(scheduler, scheduler.plan());  // 14 computed, 15 tokens
  run(scheduler, scheduler.plan());
  run(scheduler, scheduler.plan());  // 16 computed: both blocks are full
  const StepPlan& plan = scheduler.plan();
  EXPECT_TRUE(plan.rows.empty());
  EXPECT_EQ(plan.out_of_cache, (std::vector<Sequence*>{&a}));
  scheduler.remove(a);
}

TEST(Scheduler, PromptLogitsAreAskedForOnceAndInBoundedSteps) {
  BlockManager blocks(kFull, kBlock, 1000);
  Scheduler scheduler(
      blocks, {.max_sequences = 4, .max_rows = 64, .prefill_chunk = 64, .max_prompt_logits = 10});
  Sequence a = sequence_of(25);
  a.wants_prompt_logits = true;
  scheduler.add(a);
  std::vector<std::int64_t> positions;
  for (int step = 0; step < 5; ++step) {
    const StepPlan& plan = scheduler.plan();
    ASSERT_EQ(plan.rows.size(), 1U);
    const PlannedRows rows = plan.rows[0];
    EXPECT_LE(rows.count - rows.logits_from, 10);
    for (std::int64_t r = rows.logits_from; r < rows.count; ++r) {
      if (a.computed + r < a.prompt_length) positions.push_back(a.computed + r);
    }
    a.prompt_logits_from = std::min<std::int64_t>(a.computed + rows.count, a.prompt_length);
    run(scheduler, plan);
  }
  ASSERT_EQ(positions.size(), 25U);
  for (std::size_t i = 0; i < 25; ++i) EXPECT_EQ(positions[i], static_cast<std::int64_t>(i));
  scheduler.remove(a);
}

std::int32_t rows_until_sampled(Scheduler& scheduler, const Sequence& sequence) {
  std::int32_t rows = 0;
  for (;;) {
    const StepPlan& plan = scheduler.plan();
    bool sampled = false;
    for (const PlannedRows& planned : plan.rows) {
      if (planned.sequence != &sequence) continue;
      rows += planned.count;
      sampled = planned.samples;
    }
    run(scheduler, plan);
    if (sampled) return rows;
  }
}

TEST(Scheduler, WhatWasComputedOnceIsNotComputedAgain) {
  BlockManager blocks(kFull, kBlock, 1000);
  Scheduler scheduler(blocks, {.max_sequences = 4, .max_rows = 64, .prefill_chunk = 64});
  Sequence first = sequence_of(41, 7);
  scheduler.add(first);
  EXPECT_EQ(rows_until_sampled(scheduler, first), 41);
  EXPECT_EQ(first.cached, 0);
  Sequence beside = sequence_of(41, 7);  // while the first one runs
  scheduler.add(beside);
  EXPECT_EQ(rows_until_sampled(scheduler, beside), 1);
  EXPECT_EQ(beside.cached, 40);
  EXPECT_EQ(blocks.held_bytes(beside.blocks), 6);
  EXPECT_EQ(blocks.blocks_in_use(), 7);  // five in common
  scheduler.remove(first);
  scheduler.remove(beside);
  EXPECT_EQ(blocks.blocks_in_use(), 0);
  EXPECT_EQ(blocks.free_bytes(), 1000);
  Sequence after = sequence_of(40, 7);  // the last token is computed in any case
  scheduler.add(after);
  EXPECT_EQ(rows_until_sampled(scheduler, after), 8);
  Sequence stranger = sequence_of(40, 7);
  stranger.salt = 1;
  scheduler.add(stranger);
  EXPECT_EQ(rows_until_sampled(scheduler, stranger), 40);
  for (Sequence* s : {&after, &stranger}) scheduler.remove(*s);
}

TEST(Scheduler, KeepsTheBlocksOfAsManySequencesAsAsked) {
  for (const int keep : {0, 1, 2}) {
    BlockManager blocks(kFull, kBlock, 1000, {.keep_sequences = keep});
    Scheduler scheduler(blocks, {.max_sequences = 4, .max_rows = 64, .prefill_chunk = 64});
    for (const TokenId token : {1, 2, 3}) {
      Sequence s = sequence_of(17, token);
      scheduler.add(s);
      EXPECT_EQ(rows_until_sampled(scheduler, s), 17);
      scheduler.remove(s);
    }
    EXPECT_EQ(blocks.blocks_kept(), 2 * keep);
    const std::vector<TokenId> again =
        keep == 2 ? std::vector<TokenId>{2, 3, 1} : std::vector<TokenId>{3, 1, 2};
    for (int i = 0; i < 3; ++i) {
      Sequence s = sequence_of(17, again[static_cast<std::size_t>(i)]);
      scheduler.add(s);
      EXPECT_EQ(rows_until_sampled(scheduler, s), i < keep ? 1 : 17);
      scheduler.remove(s);
    }
  }
}

TEST(Scheduler, KeptBlocksMakeRoom) {
  BlockManager blocks(kFull, kBlock, 6);
  Scheduler scheduler(blocks, {.max_sequences = 4, .max_rows = 64, .prefill_chunk = 64});
  for (int i = 0; i < 20; ++i) {
    Sequence s = sequence_of(39);
    scheduler.add(s);
    EXPECT_EQ(rows_until_sampled(scheduler, s), 39);
    EXPECT_LE(blocks.blocks_in_use() + blocks.blocks_kept(), 6);
    scheduler.remove(s);
  }
}

TEST(Scheduler, AnswersToOnePromptWaitForTheFirst) {
  BlockManager blocks(kFull, kBlock, 1000, {.keep_sequences = 0});
  Scheduler scheduler(blocks, {.max_sequences = 4, .max_rows = 64, .prefill_chunk = 16});
  Sequence first = sequence_of(50, 7);
  Sequence second = sequence_of(50, 7);
  second.leader = &first;
  first.leads = true;
  Sequence other = sequence_of(3);
  scheduler.add(first);
  scheduler.add(second);
  scheduler.add(other);
  EXPECT_EQ(rows_until_sampled(scheduler, first), 50);
  EXPECT_GT(other.length(), 5) << "it need not wait";
  EXPECT_GE(rows_until_sampled(scheduler, second), 1);
  EXPECT_EQ(second.cached, 48);
  scheduler.remove(first);
  Sequence third = sequence_of(50, 7);
  third.leader = &second;
  scheduler.add(third);
  scheduler.remove(second);  // before the third one came to run
  EXPECT_EQ(rows_until_sampled(scheduler, third), 50);
  for (Sequence* s : {&third, &other}) scheduler.remove(*s);
}

TEST(Scheduler, HigherPrioritiesComeFirst) {
  BlockManager blocks(kFull, kBlock, 1000);
  Scheduler scheduler(blocks, {.max_sequences = 2, .max_rows = 64, .prefill_chunk = 64});
  std::vector<Sequence> s;
  for (int i = 0; i < 4; ++i) s.push_back(sequence_of(5));
  s[2].priority = 1;
  s[3].priority = 2;
  scheduler.add(s[0]);
  scheduler.add(s[1]);
  run(scheduler, scheduler.plan());
  scheduler.add(s[2]);
  run(scheduler, scheduler.plan());
  EXPECT_EQ(scheduler.running(), (std::vector<Sequence*>{&s[2], &s[0]}));
  scheduler.add(s[3]);
  run(scheduler, scheduler.plan());
  EXPECT_EQ(scheduler.running(), (std::vector<Sequence*>{&s[3], &s[2]}));
  EXPECT_EQ(scheduler.waiting(), (std::deque<Sequence*>{&s[0], &s[1]}));
  scheduler.remove(s[2]);
  run(scheduler, scheduler.plan());
  EXPECT_EQ(scheduler.running(), (std::vector<Sequence*>{&s[3], &s[0]}));
  for (Sequence& one : s) scheduler.remove(one);
  EXPECT_EQ(blocks.blocks_in_use(), 0);
}

TEST(Scheduler, DraftsTakeWhatNobodyNeeds) {
  BlockManager blocks(kFull, kBlock, 3);
  Scheduler scheduler(blocks, {.max_sequences = 2, .max_rows = 6, .prefill_chunk = 6});
  Sequence a = sequence_of(3);
  Sequence b = sequence_of(3);
  scheduler.add(a);
  scheduler.add(b);
  run(scheduler, scheduler.plan());
  a.drafts = {11, 12, 13, 14, 15, 16, 17, 18};
  const StepPlan plan = scheduler.plan();
  ASSERT_EQ(plan.rows.size(), 2U);
  EXPECT_EQ(plan.rows[0].drafts, 4);  // a row is b's
  EXPECT_EQ(plan.rows[0].count, 5);
  EXPECT_EQ(plan.rows[0].logits_from, 0);
  EXPECT_TRUE(plan.rows[0].samples);
  run(scheduler, plan);
  EXPECT_EQ(a.computed, 4) << "drafts count when they turn out right";
  a.tokens.insert(a.tokens.end(), {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2});
  a.computed = a.length() - 1;  // 15 of the 16 tokens that its blocks can hold
  const StepPlan next = scheduler.plan();
  EXPECT_EQ(next.rows[0].drafts, 0);
  EXPECT_EQ(scheduler.preemptions(), 0) << "for a draft";
  for (Sequence* s : {&a, &b}) scheduler.remove(*s);
}

TEST(Scheduler, WithoutACacheEachTokenTakesTheWholeSequence) {
  BlockManager blocks(kFull, kBlock, 1000);
  Scheduler scheduler(
      blocks, {.max_sequences = 4, .max_rows = 64, .prefill_chunk = 16, .keep_cache = false});
  Sequence a = sequence_of(20, 7);
  Sequence b = sequence_of(20, 7);
  b.leader = &a;
  scheduler.add(a);
  scheduler.add(b);
  for (std::int32_t length = 20; length < 30; ++length) {
    EXPECT_EQ(rows_until_sampled(scheduler, a), length);
    EXPECT_EQ(a.computed, 0);
  }
  EXPECT_GT(b.length(), 25);
  for (Sequence* s : {&a, &b}) scheduler.remove(*s);
}

TEST(Scheduler, PromptsGetAsManyRowsAsAllowed) {
  BlockManager blocks(kFull, kBlock, 1000);
  Scheduler scheduler(blocks, {.max_sequences = 4, .max_rows = 64, .prefill_chunk = 32});
  Sequence a = sequence_of(3);
  Sequence b = sequence_of(60);
  Sequence c = sequence_of(60);
  scheduler.add(a);
  run(scheduler, scheduler.plan());
  scheduler.add(b);
  scheduler.add(c);
  EXPECT_EQ(counts(scheduler.plan(10)),
            (std::vector<std::pair<const Sequence*, int>>{{&a, 1}, {&b, 10}}));
  EXPECT_EQ(counts(scheduler.plan(0)),
            (std::vector<std::pair<const Sequence*, int>>{{&a, 1}, {&b, 1}}));
  EXPECT_EQ(counts(scheduler.plan(40)),
            (std::vector<std::pair<const Sequence*, int>>{{&a, 1}, {&b, 32}, {&c, 8}}));
  for (Sequence* s : {&a, &b, &c}) scheduler.remove(*s);
}

// Random arrivals, lengths, cancellations and cache sizes. Checks what scheduler.h promises.
class SchedulerProperties : public testing::TestWithParam<unsigned> {
 protected:
  static void TearDownTestSuite() { EXPECT_GT(blocks_shared, 1000); }
  static inline std::int64_t blocks_shared = 0;
};

TEST_P(SchedulerProperties, Hold) {
  std::mt19937 random(GetParam());
  const auto pick = [&random](int low, int high) {
    return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
  };
  std::vector<CacheGroup> groups = {{.window = 0, .bytes_per_block = pick(1, 9)}};
  if (pick(0, 1) == 1) groups.push_back({.window = pick(1, 40), .bytes_per_block = pick(1, 9)});
  if (pick(0, 3) == 0) groups[0].window = pick(1, 60);
  constexpr int kLongest = 120;
  const std::int64_t cache =
      BlockManager(groups, kBlock, 1 << 20).peak_bytes(kLongest) * pick(100, 300) / 100;
  BlockManager blocks(groups, kBlock, cache, {.keep_sequences = pick(0, 9)});
  const SchedulerLimits limits{.max_sequences = pick(1, 8),
                               .max_rows = pick(1, 60),
                               .prefill_chunk = pick(1, 60),
                               .max_prompt_logits = pick(1, 20)};
  Scheduler scheduler(blocks, limits);

  struct Job {
    Sequence sequence;
    std::int64_t target = 0;  // length at which it is done
    int id = 0;
    std::set<std::int64_t> prompt_rows;
  };
  std::map<Sequence*, std::unique_ptr<Job>> jobs;
  int arrived = 0;
  int finished = 0;
  constexpr int kJobs = 60;
  const auto drop = [&](Sequence* s) {
    scheduler.remove(*s);
    EXPECT_EQ(blocks.held_bytes(s->blocks), 0);
    jobs.erase(s);
  };
  int steps = 0;
  int shared = 0;
  while (finished < kJobs) {
    ASSERT_LT(++steps, 100'000) << "somebody starves";
    while (arrived < kJobs && (jobs.empty() || pick(0, 9) == 0)) {
      auto job = std::make_unique<Job>();
      const int prompt = pick(1, kLongest - 1);
      job->sequence = sequence_of(prompt);
      // Few beginnings, so that some are shared.
      const int kind = pick(0, 3);
      const int common = pick(0, prompt);
      for (int i = 0; i < prompt; ++i) {
        job->sequence.tokens[static_cast<std::size_t>(i)] = i < common ? kind : arrived + 10;
      }
      job->sequence.salt = static_cast<std::uint64_t>(pick(0, 1));
      job->sequence.wants_prompt_logits = pick(0, 3) == 0;
      job->target = pick(prompt + 1, kLongest);
      job->id = arrived++;
      scheduler.add(job->sequence);
      jobs.emplace(&job->sequence, std::move(job));
    }
    if (!jobs.empty() && pick(0, 60) == 0) {  // a client leaves
      auto it = jobs.begin();
      std::advance(it, pick(0, static_cast<int>(jobs.size()) - 1));
      drop(it->first);
      ++finished;
      continue;
    }
    if (jobs.empty()) continue;

    Sequence* oldest = scheduler.running().empty() ? nullptr : scheduler.running().front();
    const StepPlan plan = scheduler.plan();
    ASSERT_FALSE(plan.rows.empty() && plan.out_of_cache.empty()) << "a step without work";
    EXPECT_TRUE(plan.out_of_cache.empty()) << "every sequence fits alone";
    if (oldest != nullptr) {
      ASSERT_EQ(scheduler.running().front(), oldest) << "the oldest was interrupted";
      EXPECT_TRUE(std::any_of(plan.rows.begin(), plan.rows.end(),
                              [&](const PlannedRows& r) { return r.sequence == oldest; }));
    }
    EXPECT_LE(static_cast<int>(scheduler.running().size()), limits.max_sequences);
    EXPECT_GE(blocks.free_bytes(), 0);

    // Admission in order of arrival.
    for (Sequence* s : scheduler.running()) {
      for (Sequence* w : scheduler.waiting()) EXPECT_LT(jobs.at(s)->id, jobs.at(w)->id);
    }

    std::int32_t rows_total = 0;
    std::int32_t prompt_logits = 0;
    // Who shares a block has the same tokens up to its end and has computed them.
    struct Holding {
      Sequence* sequence;
      std::size_t index;
    };
    std::map<std::pair<std::size_t, nn::BlockId>, Holding> owners;
    for (const auto& [s, job] : jobs) {
      for (std::size_t g = 0; g < s->blocks.groups.size(); ++g) {
        for (std::size_t b = 0; b < s->blocks.groups[g].size(); ++b) {
          const nn::BlockId id = s->blocks.groups[g][b];
          if (id == nn::kNoBlock) continue;
          const auto [owner, first] = owners.emplace(std::pair{g, id}, Holding{s, b});
          if (first) continue;
          ++shared;
          const Sequence* other = owner->second.sequence;
          const auto end = static_cast<std::int64_t>((b + 1) * kBlock);
          ASSERT_EQ(owner->second.index, b);
          ASSERT_LE(end, std::min(s->computed, other->computed)) << "shared and written to";
          ASSERT_TRUE(
              std::equal(s->tokens.begin(), s->tokens.begin() + end, other->tokens.begin()));
        }
      }
    }
    EXPECT_EQ(static_cast<std::int64_t>(owners.size()), blocks.blocks_in_use());
    for (const PlannedRows& rows : plan.rows) {
      Sequence& s = *rows.sequence;
      rows_total += rows.count;
      ASSERT_GE(rows.count, 1);
      ASSERT_LE(rows.count, s.remaining());
      EXPECT_LE(rows.count, limits.prefill_chunk);
      EXPECT_EQ(rows.samples, rows.count == s.remaining());
      // Every row's visible past and its own place are in blocks.
      for (std::size_t g = 0; g < groups.size(); ++g) {
        const std::int64_t window = groups[g].window;
        const std::int64_t first =
            window > 0 ? std::max<std::int64_t>(0, s.computed - window + 1) : 0;
        for (std::int64_t p = first; p < s.computed + rows.count; ++p) {
          const auto block = static_cast<std::size_t>(p / kBlock);
          ASSERT_LT(block, s.blocks.groups[g].size());
          EXPECT_NE(s.blocks.groups[g][block], nn::kNoBlock);
        }
      }
      for (std::int64_t r = rows.logits_from; r < rows.count; ++r) {
        const std::int64_t position = s.computed + r;
        if (!s.wants_prompt_logits || position >= s.prompt_length) {
          EXPECT_TRUE(rows.samples && r == rows.count - 1) << "logits nobody asked for";
          continue;
        }
        if (!rows.samples || r < rows.count - 1) ++prompt_logits;
        if (position >= s.prompt_logits_from) {
          EXPECT_TRUE(jobs.at(&s)->prompt_rows.insert(position).second);
        }
      }
      if (s.wants_prompt_logits) {
        s.prompt_logits_from =
            std::max(s.prompt_logits_from, std::min(s.computed + rows.count, s.prompt_length));
      }
    }
    EXPECT_LE(rows_total, limits.max_rows);
    EXPECT_LE(prompt_logits, limits.max_prompt_logits);

    run(scheduler, plan);
    for (const PlannedRows& rows : plan.rows) {
      Sequence* s = rows.sequence;
      if (rows.samples && s->length() >= jobs.at(s)->target) {
        if (s->wants_prompt_logits) {
          EXPECT_EQ(static_cast<std::int64_t>(jobs.at(s)->prompt_rows.size()), s->prompt_length);
        }
        drop(s);
        ++finished;
      }
    }
  }
  EXPECT_TRUE(scheduler.idle());
  EXPECT_EQ(blocks.blocks_in_use(), 0);
  blocks_shared += shared;
}

INSTANTIATE_TEST_SUITE_P(Seeds, SchedulerProperties, testing::Range(0U, 150U));

// The random runs above must reach the interesting state.
TEST(Scheduler, PreemptionHappensUnderPressure) {
  BlockManager blocks(kFull, kBlock, 20);
  Scheduler scheduler(blocks, {.max_sequences = 8, .max_rows = 64, .prefill_chunk = 16});
  std::vector<Sequence> sequences;
  for (int i = 0; i < 6; ++i) sequences.push_back(sequence_of(10));
  for (Sequence& s : sequences) scheduler.add(s);
  int done = 0;
  while (done < 6) {
    const StepPlan plan = scheduler.plan();
    run(scheduler, plan);
    for (const PlannedRows& rows : plan.rows) {
      if (rows.sequence->length() >= 100) {
        scheduler.remove(*rows.sequence);
        ++done;
      }
    }
  }
  EXPECT_GT(scheduler.preemptions(), 0);
  EXPECT_EQ(blocks.blocks_in_use(), 0);
}

}  // namespace
}  // namespace mistral::engine
