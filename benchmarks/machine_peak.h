// What this machine can do at best, measured: the figures that kernels are compared with. Other
// programs and neighbours on the host disturb them, so they are taken before and after whatever
// they are compared with.
#pragma once

#include <cstddef>
#include <vector>

#include "core/page_buffer.h"

namespace mistral::benchmarks {

// Per second, over repetitions of some tens of milliseconds; zeros when the processor has no such
// instructions.
struct Rate {
  double best = 0;
  double median = 0;
};

class MachinePeak {
 public:
  // Takes `bytes_per_thread` of memory for each thread; that should be several times what the
  // caches hold. Throws Error (kInvalidArgument, kResource).
  explicit MachinePeak(int threads, std::size_t bytes_per_thread = kDefaultBytes);

  // Each keeps all threads busy for about `seconds`. Operations count a multiply-add twice.
  [[nodiscard]] Rate bandwidth(double seconds) const;  // bytes read from memory
  [[nodiscard]] Rate int8_operations(double seconds) const;
  [[nodiscard]] Rate bf16_operations(double seconds) const;
  [[nodiscard]] Rate f32_operations(double seconds) const;

  [[nodiscard]] int threads() const { return static_cast<int>(memory_.size()); }

  static constexpr std::size_t kDefaultBytes = std::size_t{128} << 20U;

 private:
  std::vector<PageBuffer> memory_;  // one for each thread
};

}  // namespace mistral::benchmarks
