#include "benchmarks/machine_peak.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstring>
#include <functional>
#include <optional>
#include <system_error>
#include <thread>

#include <sys/mman.h>

#include "benchmarks/peak_kernels.h"
#include "core/error.h"

namespace mistral::benchmarks {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMaxThreads = 1024;

double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

// Lets `threads` threads call `work(thread)` at the same time, again and again for about
// `seconds`, at least three times; returns how long each repetition took.
std::vector<double> repeat(int threads, double seconds, const std::function<void(int)>& work) {
  std::vector<double> durations;
  std::atomic<bool> over{false};
  std::barrier<> gate(threads);
  const auto loop = [&](int thread) {
    const Clock::time_point start = Clock::now();
    while (true) {
      gate.arrive_and_wait();
      if (over) return;
      const Clock::time_point begin = Clock::now();
      work(thread);
      gate.arrive_and_wait();
      if (thread != 0) continue;
      const Clock::time_point end = Clock::now();
      durations.push_back(seconds_between(begin, end));
      if (durations.size() >= 3 && seconds_between(start, end) >= seconds) over = true;
    }
  };
  std::vector<std::jthread> others;
  try {
    for (int i = 1; i < threads; ++i) others.emplace_back(loop, i);
  } catch (const std::system_error& error) {
    // Those that started wait at the gate: let them through, and leave it for the missing ones.
    over = true;
    for (std::size_t i = others.size(); i < static_cast<std::size_t>(threads); ++i) {
      (void)gate.arrive();
    }
    throw make_error(ErrorKind::kResource, "cannot start {} threads: {}", threads, error.what());
  }
  loop(0);
  return durations;
}

Rate rate(std::vector<double> durations, double amount) {
  std::ranges::sort(durations);
  return {amount / durations.front(), amount / durations[durations.size() / 2]};
}

// How many times to call something for a repetition: long enough that what is measured lasts, not
// what a burst can do.
template <typename Run>
std::int64_t repetition_of(Run&& run, std::int64_t calls) {
  constexpr double kRepetition = 20e-3;
  while (true) {
    const Clock::time_point begin = Clock::now();
    run(calls);
    if (seconds_between(begin, Clock::now()) >= kRepetition) return calls;
    calls *= 2;
  }
}

Rate operations(int threads, const std::optional<PeakKernel>& kernel, double seconds) {
  if (!kernel) return {};
  const std::int64_t iterations = repetition_of(kernel->run, 1000);
  std::vector<double> durations = repeat(threads, seconds, [&](int) { kernel->run(iterations); });
  return rate(std::move(durations), static_cast<double>(threads) * static_cast<double>(iterations) *
                                        static_cast<double>(kernel->operations));
}

}  // namespace

MachinePeak::MachinePeak(int threads, std::size_t bytes_per_thread) {
  if (threads < 1 || threads > kMaxThreads) {
    throw make_error(ErrorKind::kInvalidArgument, "{} threads: expected 1 to {}", threads,
                     kMaxThreads);
  }
  if (bytes_per_thread == 0) {
    throw make_error(ErrorKind::kInvalidArgument, "no memory to read from");
  }
  for (int i = 0; i < threads; ++i) {
    memory_.emplace_back(bytes_per_thread);
    // Large pages where the system gives them; without them the figure is lower by the time for
    // address look-ups, on this machine as for every program.
    (void)madvise(memory_.back().data(), bytes_per_thread, MADV_HUGEPAGE);
    std::memset(memory_.back().data(), i + 1, bytes_per_thread);
  }
}

Rate MachinePeak::bandwidth(double seconds) const {
  const std::size_t size = memory_.front().size();
  std::atomic<std::uint64_t> sum{0};  // what is read must be used
  const auto read = [&](std::size_t thread, std::int64_t passes) {
    for (std::int64_t i = 0; i < passes; ++i) sum += read_all({memory_[thread].data(), size});
  };
  const std::int64_t passes = repetition_of([&](std::int64_t n) { read(0, n); }, 1);
  std::vector<double> durations = repeat(
      threads(), seconds, [&](int thread) { read(static_cast<std::size_t>(thread), passes); });
  return rate(std::move(durations), static_cast<double>(threads()) * static_cast<double>(size) *
                                        static_cast<double>(passes));
}

Rate MachinePeak::int8_operations(double seconds) const {
  return operations(threads(), int8_kernel(), seconds);
}

Rate MachinePeak::bf16_operations(double seconds) const {
  return operations(threads(), bf16_kernel(), seconds);
}

Rate MachinePeak::f32_operations(double seconds) const {
  return operations(threads(), f32_kernel(), seconds);
}

}  // namespace mistral::benchmarks
