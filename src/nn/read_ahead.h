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

  // `order`: the tensors as they will be taken; one that is named again is read once. `source` must
  // outlive this.
  ReadAhead(const formats::WeightSource& source,
            const std::vector<const formats::TensorInfo*>& order, std::uint64_t window = kWindow);

  // `taken` bytes in all were taken of the tensors.
  void advance(std::uint64_t taken);

 private:
  const formats::WeightSource& source_;
  std::vector<const formats::TensorInfo*> order_;
  std::uint64_t window_;
  std::uint64_t asked_ = 0;   // bytes of all tensors in order that were asked for
  std::size_t tensor_ = 0;    // the first one that is not asked for as a whole
  std::uint64_t offset_ = 0;  // what was asked for of it
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
