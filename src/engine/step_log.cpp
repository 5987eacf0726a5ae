#include "engine/step_log.h"

#include <string>

#include <fmt/format.h>

#include "core/log.h"

namespace mistral::engine {
namespace {

constexpr std::chrono::seconds kInterval{5};

bool is_prompt(const PlannedRows& rows) {
  return rows.sequence->computed < rows.sequence->prompt_length &&
         rows.sequence->length() == rows.sequence->prompt_length;
}

void append_length(std::string& list, std::int64_t length) {
  fmt::format_to(std::back_inserter(list), "{}{}", list.empty() ? "" : ", ", length);
}

void log_step(std::span<const PlannedRows> rows, double seconds) {
  std::string prompts;
  std::string completions;
  for (const PlannedRows& planned : rows) {
    append_length(is_prompt(planned) ? prompts : completions, planned.sequence->length());
  }
  log::debug("Prompt[{}] Completion[{}] - {:.1f} ms", prompts, completions, seconds * 1e3);
}

}  // namespace

void StepLog::note(std::span<const PlannedRows> rows, double seconds) {
  if (log::enabled(log::level::debug)) log_step(rows, seconds);
  if (!throughput_) return;
  const Clock::time_point now = Clock::now();
  if (prompt_tokens_ + completion_tokens_ == 0) {
    since_ =
        now - std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  }
  for (const PlannedRows& planned : rows) {
    if (is_prompt(planned)) prompt_tokens_ += planned.count;
    if (planned.samples) ++completion_tokens_;
  }
  if (now - since_ >= kInterval) report(now);
}

void StepLog::idle() {
  if (prompt_tokens_ + completion_tokens_ > 0) report(Clock::now());
}

void StepLog::report(Clock::time_point now) {
  const double seconds = std::chrono::duration<double>(now - since_).count();
  if (seconds > 0) {
    log::info("Throughput: Prompt: {:.1f} T/s, Completion {:.1f} T/s",
              static_cast<double>(prompt_tokens_) / seconds,
              static_cast<double>(completion_tokens_) / seconds);
  }
  prompt_tokens_ = 0;
  completion_tokens_ = 0;
}

}  // namespace mistral::engine
