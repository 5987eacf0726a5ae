// What an engine counts. Counters only grow; the rest is the state after the last step.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mistral::engine {

// How often values fell below rising bounds, as Prometheus counts them.
template <std::size_t kBounds>
class Histogram {
 public:
  explicit constexpr Histogram(const std::array<double, kBounds>& bounds) : bounds_(bounds) {}

  void add(double value) {
    std::size_t bucket = 0;
    while (bucket < kBounds && value > bounds_[bucket]) ++bucket;
    ++counts_[bucket];
    sum_ += value;
    ++count_;
  }
  [[nodiscard]] std::span<const double> bounds() const { return bounds_; }
  // Of each bound the values up to it and above the one before; last: those above all.
  [[nodiscard]] std::span<const std::int64_t> counts() const { return counts_; }
  [[nodiscard]] double sum() const { return sum_; }
  [[nodiscard]] std::int64_t count() const { return count_; }

 private:
  std::array<double, kBounds> bounds_;
  std::array<std::int64_t, kBounds + 1> counts_{};
  double sum_ = 0;
  std::int64_t count_ = 0;
};

inline constexpr std::array<double, 14> kSecondsBounds = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60};
inline constexpr std::array<double, 11> kCountBounds = {1,  2,   4,   8,   16,  32,
                                                        64, 128, 256, 512, 1024};

struct EngineStats {
  std::int64_t running = 0;
  std::int64_t waiting = 0;
  std::int64_t blocks_in_use = 0;  // over all cache groups
  std::int64_t blocks_kept = 0;    // for others that begin alike; given up when memory is needed
  std::int64_t cache_bytes = 0;
  std::int64_t cache_bytes_in_use = 0;

  std::int64_t steps = 0;
  std::int64_t preemptions = 0;
  std::int64_t requests = 0;  // that were taken
  std::int64_t finished_stop = 0;
  std::int64_t finished_length = 0;
  std::int64_t finished_cancelled = 0;
  std::int64_t finished_error = 0;
  std::int64_t prompt_tokens = 0;  // of requests that ended or began to answer
  std::int64_t cached_tokens = 0;  // of those, found in the cache
  std::int64_t completion_tokens = 0;
  std::int64_t drafted_tokens = 0;
  std::int64_t accepted_tokens = 0;  // drafts that were right

  Histogram<kSecondsBounds.size()> queue_seconds{kSecondsBounds};  // until its first step
  Histogram<kSecondsBounds.size()> first_token_seconds{kSecondsBounds};
  Histogram<kSecondsBounds.size()> step_seconds{kSecondsBounds};
  Histogram<kCountBounds.size()> step_rows{kCountBounds};
  Histogram<kCountBounds.size()> step_sequences{kCountBounds};
};

}  // namespace mistral::engine
