// A thread that makes the masks of constrained answers while the model computes.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "engine/answer_constraint.h"

namespace mistral::engine {

class MaskWorker {
 public:
  struct Job {
    AnswerConstraint* constraint = nullptr;
    std::span<const TokenId> drafts = {};
  };

  MaskWorker() : thread_([this] { work(); }) {}
  ~MaskWorker();
  MaskWorker(const MaskWorker&) = delete;
  MaskWorker& operator=(const MaskWorker&) = delete;

  // Begins the jobs, which must live and stay untouched until finish() has returned.
  void start(std::span<const Job> jobs);
  // Helps with what is left and waits for the end.
  void finish() noexcept;

 private:
  void work();
  // Does one job; false when none is left.
  bool take_one(std::unique_lock<std::mutex>& lock);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::span<const Job> jobs_;
  std::size_t next_ = 0;
  std::size_t running_ = 0;
  bool stop_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace mistral::engine
