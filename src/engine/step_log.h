// Log lines about the steps of an engine: of each step at level debug, and how many tokens per
// second go through it at level info.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "engine/scheduler.h"

namespace mistral::engine {

class StepLog {
 public:
  explicit StepLog(bool throughput) : throughput_(throughput) {}

  // After a step that took `seconds`, before its rows are counted as computed.
  void note(std::span<const PlannedRows> rows, double seconds);
  // There is nothing more to do: reports what was not reported yet.
  void idle();

 private:
  using Clock = std::chrono::steady_clock;
  void report(Clock::time_point now);

  bool throughput_;
  Clock::time_point since_;  // the first step that is not reported yet
  std::int64_t prompt_tokens_ = 0;
  std::int64_t completion_tokens_ = 0;
};

}  // namespace mistral::engine
