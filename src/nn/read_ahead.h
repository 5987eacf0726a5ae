// Keeps the disk busy while weights are packed: reads what the loader takes next, in its order, a
// bounded number of bytes before it takes them. Without it the disk waits while processors pack,
// and processors wait while the disk reads.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "formats/weight_source.h"

namespace mistral::nn {

// What to read when, and what to forget.
class ReadAhead {
 public:
  // As much as a fast disk reads while one slice of a matrix is packed. It is in the system's cache
  // of files and no part of the process.
  static constexpr std::uint64_t kWindow = std::uint64_t{128} << 20;
  // A piece is as large, but for the ends of tensors: each has a cost of its own, and several are
  // read side by side.
  static constexpr std::uint64_t kPiece = std::uint64_t{4} << 20;

  // What becomes of the cache of what was taken: kForget is for a machine whose memory does not
  // hold a model twice, where old files would push out what is needed.
  enum class Behind { kKeep, kForget };

  struct Step {
    formats::TensorInfo part;  // of a tensor
    bool forget = false;       // false: to be read
  };

  // `order`: the tensors as they will be taken; one that is named again is read once.
  explicit ReadAhead(const std::vector<const formats::TensorInfo*>& order,
                     Behind behind = Behind::kKeep, std::uint64_t window = kWindow);

  // From here on as much as there is, however little is taken: it stays where it is.
  void widen() { window_ = kEverything; }

  // What to do next when `taken` bytes in all were taken of the tensors; nothing until more are.
  [[nodiscard]] std::optional<Step> next(std::uint64_t taken);

 private:
  static constexpr std::uint64_t kEverything = std::uint64_t{1} << 62;

  // A place in the order.
  struct Place {
    std::uint64_t bytes = 0;   // of all tensors before it
    std::size_t tensor = 0;    // the one that it is in
    std::uint64_t offset = 0;  // bytes of that before it
  };
  // Moves `place` over one piece that ends at `end` at most.
  [[nodiscard]] std::optional<formats::TensorInfo> move(Place& place, std::uint64_t end) const;

  std::vector<const formats::TensorInfo*> order_;
  Behind behind_;
  std::uint64_t window_;
  std::uint64_t piece_;
  Place asked_;
  Place forgotten_;
};

// Does so by threads of its own: some disks are fast only when asked for several pieces at once.
class ReadAheadThreads {
 public:
  // Begins at once. Where no thread can be started nothing is read ahead. `source` must outlive
  // this.
  ReadAheadThreads(const formats::WeightSource& source, ReadAhead read_ahead);
  ~ReadAheadThreads();  // ends after the pieces that are being read
  ReadAheadThreads(const ReadAheadThreads&) = delete;
  ReadAheadThreads& operator=(const ReadAheadThreads&) = delete;

  // `taken` bytes in all were taken of the tensors. Returns at once.
  void advance(std::uint64_t taken);
  // From here on all that is left is read, without waiting for what is taken. Returns at once.
  void read_rest();
  // After read_rest(): returns when all is read, or soon after stop().
  void finish();
  // Reads no further.
  void stop();

 private:
  static constexpr int kThreads = 3;

  void run();

  const formats::WeightSource& source_;
  std::mutex mutex_;
  std::condition_variable changed_;
  ReadAhead read_ahead_;  // this and what follows: under the mutex
  std::uint64_t taken_ = 0;
  bool stop_ = false;
  bool rest_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace mistral::nn
