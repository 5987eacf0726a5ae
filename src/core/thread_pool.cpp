#include "core/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <system_error>

#include "core/cpu_count.h"
#include "core/error.h"

namespace mistral {
namespace {

// Long enough to bridge the serial stretches between the ops of a decode step, short enough that
// an idle pool costs nothing.
constexpr std::chrono::microseconds kSpinTime{40};
// A worker takes this part of what is left of its share at a time.
constexpr std::uint64_t kPart = 8;
constexpr int kMaxThreads = 4096;  // must stay below the gate's count of workers
constexpr std::int64_t kMaxPieces = std::numeric_limits<std::uint32_t>::max();

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
  shares_ = std::vector<Share>(static_cast<std::size_t>(size_));
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

  grain *= (count - 1) / grain / kMaxPieces + 1;
  task_ = &task;
  count_ = count;
  grain_ = grain;
  const std::int64_t pieces = (count - 1) / grain + 1;
  for (int i = 0; i < size_; ++i) {
    shares_[static_cast<std::size_t>(i)].pieces.store(pack({part(pieces, i), part(pieces, i + 1)}),
                                                      std::memory_order_relaxed);
  }
  const std::uint64_t run = gate_.load(std::memory_order_relaxed) / kRun + 1;
  // Sequentially consistent, as is a worker's way to sleep: either the worker sees the open gate,
  // or this thread sees the sleeper.
  gate_.store(run * kRun | kOpen);
  if (const int sleepers = sleepers_.load(); sleepers > 0) {
    { const std::lock_guard lock(mutex_); }
    if (pieces > sleepers) {
      wake_.notify_all();
    } else {
      for (std::int64_t i = 1; i < pieces; ++i) wake_.notify_one();
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
  std::atomic<std::uint64_t>& own = shares_[static_cast<std::size_t>(index)].pieces;
  for (;;) {
    std::uint64_t seen = own.load(std::memory_order_relaxed);
    const Pieces left = unpack(seen);
    if (left.first == left.last) {
      if (!steal(index)) return;
      continue;
    }
    const std::uint64_t end =
        left.first + std::max<std::uint64_t>(1, (left.last - left.first) / kPart);
    if (!own.compare_exchange_weak(seen, pack({end, left.last}), std::memory_order_relaxed)) {
      continue;
    }
    (*task_)(static_cast<std::int64_t>(left.first) * grain_,
             std::min(count_, static_cast<std::int64_t>(end) * grain_), index);
  }
}

bool ThreadPool::steal(int index) noexcept {
  for (int i = 1; i < size_; ++i) {
    std::atomic<std::uint64_t>& other =
        shares_[static_cast<std::size_t>((index + i) % size_)].pieces;
    std::uint64_t seen = other.load(std::memory_order_relaxed);
    for (;;) {
      const Pieces left = unpack(seen);
      if (left.first == left.last) break;
      const std::uint64_t middle = left.first + (left.last - left.first) / 2;
      if (!other.compare_exchange_weak(seen, pack({left.first, middle}),
                                       std::memory_order_relaxed)) {
        continue;
      }
      // No worker takes from a share that is empty, so this one is the owner's alone.
      shares_[static_cast<std::size_t>(index)].pieces.store(pack({middle, left.last}),
                                                            std::memory_order_relaxed);
      return true;
    }
  }
  return false;
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
