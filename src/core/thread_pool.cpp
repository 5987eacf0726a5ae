#include "core/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <system_error>

#include "core/cpu_count.h"
#include "core/error.h"

namespace mistral {
namespace {

// Long enough to bridge the serial stretches between the ops of a decode step, short enough that
// an idle pool costs nothing.
constexpr std::chrono::microseconds kSpinTime{40};
// A piece is this part of an equal share of what is left.
constexpr int kShares = 3;
constexpr int kMaxThreads = 4096;  // must stay below the gate's count of workers

inline void cpu_pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

// Waits without sleeping until `ready()` or the time is up; says whether it is ready.
template <typename Ready>
bool spin_until(bool allowed, Ready ready) {
  if (ready()) return true;
  if (!allowed) return false;
  const auto deadline = std::chrono::steady_clock::now() + kSpinTime;
  do {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      cpu_pause();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return ready();
}

}  // namespace

ThreadPool::ThreadPool(int threads)
    : size_(threads), spin_(threads <= static_cast<int>(allowed_cpus().size())) {
  if (threads < 1 || threads > kMaxThreads) {
    throw make_error(ErrorKind::kInvalidArgument, "number of threads is {}: expected 1 to {}",
                     threads, kMaxThreads);
  }
  threads_.reserve(static_cast<std::size_t>(size_ - 1));
  try {
    for (int index = 1; index < size_; ++index) {
      threads_.emplace_back([this, index] { worker(index); });
    }
  } catch (const std::system_error& error) {
    const std::size_t started = threads_.size() + 1;
    stop_workers();
    throw make_error(ErrorKind::kResource, "cannot start thread {} of {}: {}", started + 1, size_,
                     error.what());
  }
}

ThreadPool::~ThreadPool() {
  stop_workers();
}

void ThreadPool::stop_workers() {
  {
    const std::lock_guard lock(mutex_);
    stop_.store(true);
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

int ThreadPool::default_size() {
  const int cores = physical_cores(allowed_cpus(), "/");
  const int quota = cgroup_cpu_limit("/");
  return std::clamp(quota > 0 ? std::min(cores, quota) : cores, 1, kMaxThreads);
}

bool ThreadPool::open_after(std::uint64_t gate, std::uint64_t seen) const {
  return (gate & kOpen) != 0 && gate / kRun != seen;
}

void ThreadPool::run(std::int64_t count, std::int64_t grain, RangeTask task) {
  if (count <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  if (count <= grain || size_ == 1) return task(0, count, 0);

  task_ = &task;
  count_ = count;
  grain_ = grain;
  pieces_ = count / grain + (count % grain != 0 ? 1 : 0);
  next_.store(0, std::memory_order_relaxed);
  const std::uint64_t run = gate_.load(std::memory_order_relaxed) / kRun + 1;
  // Sequentially consistent, as is a worker's way to sleep: either the worker sees the open gate,
  // or this thread sees the sleeper.
  gate_.store(run * kRun | kOpen);
  if (const int sleepers = sleepers_.load(); sleepers > 0) {
    { const std::lock_guard lock(mutex_); }
    if (pieces_ > sleepers) {
      wake_.notify_all();
    } else {
      for (std::int64_t i = 1; i < pieces_; ++i) wake_.notify_one();
    }
  }

  work(0);

  gate_.fetch_and(~kOpen);
  const auto empty = [this] { return (gate_.load(std::memory_order_acquire) & kInside) == 0; };
  if (spin_until(spin_, empty)) return;
  std::unique_lock lock(mutex_);
  caller_sleeps_.store(true);
  left_.wait(lock, [this] { return (gate_.load() & kInside) == 0; });
  caller_sleeps_.store(false);
}

void ThreadPool::work(int index) noexcept {
  std::int64_t begin = next_.load(std::memory_order_relaxed);
  for (;;) {
    const std::int64_t left = count_ - begin;
    if (left <= 0) return;
    // A share of what is left: long pieces first, since they read memory in long streams, short
    // ones at the end, so that all workers finish together.
    const std::int64_t share = left / (std::int64_t{kShares} * size_) / grain_ * grain_;
    const std::int64_t end = begin + std::min(left, std::max(grain_, share));
    if (!next_.compare_exchange_weak(begin, end, std::memory_order_relaxed)) continue;
    (*task_)(begin, end, index);
    begin = next_.load(std::memory_order_relaxed);
  }
}

void ThreadPool::worker(int index) {
  std::uint64_t seen = 0;
  const auto ready = [this, &seen] {
    return open_after(gate_.load(std::memory_order_relaxed), seen) ||
           stop_.load(std::memory_order_relaxed);
  };
  for (;;) {
    if (!spin_until(spin_, ready)) {
      std::unique_lock lock(mutex_);
      sleepers_.fetch_add(1);
      wake_.wait(lock, [this, &seen] { return open_after(gate_.load(), seen) || stop_.load(); });
      sleepers_.fetch_sub(1);
    }
    if (stop_.load()) return;
    std::uint64_t gate = gate_.load(std::memory_order_relaxed);
    while (open_after(gate, seen)) {
      if (!gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
        continue;
      }
      seen = gate / kRun;
      work(index);
      const std::uint64_t after = gate_.fetch_sub(1) - 1;
      if ((after & (kInside | kOpen)) == 0 && caller_sleeps_.load()) {
        { const std::lock_guard lock(mutex_); }
        left_.notify_one();
      }
      break;
    }
  }
}

}  // namespace mistral
