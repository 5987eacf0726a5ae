// Keeps the disk busy while weights are packed: asks for what the loader takes next, in its order,
// a bounded number of bytes before it takes them. Without it the disk waits while processors pack,
// and processors wait while the disk reads.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "formats/weight_source.h"

namespace mistral::nn {

class ReadAhead {
 public:
  // As much as a fast disk reads while one slice of a matrix is packed. It is in the system's cache
  // of files and no part of the process.
  static constexpr std::uint64_t kWindow = std::uint64_t{128} << 20;

  // What becomes of the cache of what was taken: kForget is for a machine whose memory does not
  // hold a model twice, where old files would push out what is needed.
  enum class Behind { kKeep, kForget };

  // `order`: the tensors as they will be taken; one that is named again is read once. `source` must
  // outlive this.
  ReadAhead(const formats::WeightSource& source,
            const std::vector<const formats::TensorInfo*>& order, Behind behind = Behind::kKeep,
            std::uint64_t window = kWindow);

  // `taken` bytes in all were taken of the tensors.
  void advance(std::uint64_t taken);

 private:
  // A place in the order.
  struct Place {
    std::uint64_t bytes = 0;   // of all tensors before it
    std::size_t tensor = 0;    // the one that it is in
    std::uint64_t offset = 0;  // bytes of that before it
  };
  // Moves `place` to `end` with calls of `use` for what lies between, in pieces of a tensor. Pieces
  // that are no whole rest of a tensor are not made smaller than `smallest`.
  template <typename Use>
  void move(Place& place, std::uint64_t end, std::uint64_t smallest, Use use) const;

  const formats::WeightSource& source_;
  std::vector<const formats::TensorInfo*> order_;
  Behind behind_;
  std::uint64_t window_;
  Place asked_;
  Place forgotten_;
};

// The same by a thread of its own: to ask takes the system time, for it finds room for every page.
class ReadAheadThread {
 public:
  // Begins at once. Where no thread can be started nothing is read ahead.
  explicit ReadAheadThread(ReadAhead read_ahead);
  ~ReadAheadThread();  // asks for no more
  ReadAheadThread(const ReadAheadThread&) = delete;
  ReadAheadThread& operator=(const ReadAheadThread&) = delete;

  // As ReadAhead::advance(), but returns at once.
  void advance(std::uint64_t taken);

 private:
  void run();

  ReadAhead read_ahead_;  // the thread's
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t taken_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace mistral::nn
