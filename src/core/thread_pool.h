// The threads that run kernels. One pool belongs to one engine; the thread that calls run() works
// as worker 0, so a pool of one thread has no threads of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace mistral {

// A borrowed callable `void(int64 begin, int64 end, int worker)`; lives as long as the call.
class RangeTask {
 public:
  template <typename F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, RangeTask>)
      RangeTask(F&& f)  // NOLINT(google-explicit-constructor): a parameter type, like string_view
      : object_(const_cast<void*>(static_cast<const void*>(&f))),
        call_([](void* object, std::int64_t begin, std::int64_t end, int worker) {
          (*static_cast<std::remove_reference_t<F>*>(object))(begin, end, worker);
        }) {}
  void operator()(std::int64_t begin, std::int64_t end, int worker) const {
    call_(object_, begin, end, worker);
  }

 private:
  void* object_;
  void (*call_)(void*, std::int64_t, std::int64_t, int);
};

class ThreadPool {
 public:
  // threads >= 1. Throws Error (kResource) when a thread cannot be started.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int size() const { return size_; }

  // Runs `task` over [0, count) in pieces and returns when all are done. Every worker has a share
  // of neighbouring items, which it takes in order, so that it reads memory in one long stream; one
  // that is done takes half of what another has left. Pieces are multiples of `grain` items (but
  // for the last one). Which worker runs a piece is not determined; a task's
  // result must not depend on it; pieces may be fewer than workers. `task` must not throw. Called
  // by one thread at a time, not from within a task. A grain below 1 counts as 1.
  void run(std::int64_t count, std::int64_t grain, RangeTask task);

  // Physical cores that this process may use, limited by affinity and cgroup quota; at least 1.
  [[nodiscard]] static int default_size();

 private:
  // The gate: a run's number, an open bit, and the count of workers inside. Workers enter only
  // while it is open, so a run never waits for a worker that has not woken up yet.
  static constexpr std::uint64_t kInside = (std::uint64_t{1} << 16U) - 1;
  static constexpr std::uint64_t kOpen = std::uint64_t{1} << 16U;
  static constexpr std::uint64_t kRun = std::uint64_t{1} << 17U;

  // Numbers of pieces, [first, last), below 2^32.
  struct Pieces {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
  };
  static std::uint64_t pack(Pieces pieces) { return pieces.first << 32U | pieces.last; }
  static Pieces unpack(std::uint64_t packed) { return {packed >> 32U, packed & 0xFFFFFFFFU}; }
  // What a worker has yet to do: it takes from the front, the others from the back.
  struct alignas(64) Share {
    std::atomic<std::uint64_t> pieces{0};
  };

  void worker(int index);
  void work(int index) noexcept;
  // Takes what another worker has left, or a part of it; says whether there was any.
  bool steal(int index) noexcept;
  // Where share `index` of equal ones begins.
  [[nodiscard]] std::uint64_t part(std::int64_t pieces, int index) const {
    return static_cast<std::uint64_t>(pieces) * static_cast<std::uint64_t>(index) /
           static_cast<std::uint64_t>(size_);
  }
  [[nodiscard]] bool open_after(std::uint64_t gate, std::uint64_t seen) const;
  void stop_workers();

  int size_;
  bool spin_;  // false with more threads than cpus: a spinning thread would keep a working one out
  std::vector<std::thread> threads_;

  std::mutex mutex_;
  std::condition_variable wake_;  // workers: the gate opened, or stop_
  std::condition_variable left_;  // caller: the last worker left
  std::atomic<int> sleepers_{0};  // workers at wake_
  std::atomic<bool> caller_sleeps_{false};
  std::atomic<bool> stop_{false};

  // Written by run() while the gate is closed and empty.
  const RangeTask* task_ = nullptr;
  std::int64_t count_ = 0;
  std::int64_t grain_ = 1;
  std::vector<Share> shares_;

  alignas(64) std::atomic<std::uint64_t> gate_{0};
};

}  // namespace mistral
