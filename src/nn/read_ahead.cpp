#include "nn/read_ahead.h"

#include <algorithm>
#include <system_error>
#include <unordered_set>
#include <utility>

namespace mistral::nn {
namespace {

// Requests are no smaller, but for the ends of tensors: each has a cost of its own.
constexpr std::uint64_t kRequest = std::uint64_t{4} << 20;

}  // namespace

ReadAhead::ReadAhead(const formats::WeightSource& source,
                     const std::vector<const formats::TensorInfo*>& order, Behind behind,
                     std::uint64_t window)
    : source_(source), behind_(behind), window_(window) {
  std::unordered_set<const formats::TensorInfo*> seen;
  for (const formats::TensorInfo* tensor : order) {
    if (seen.insert(tensor).second) order_.push_back(tensor);
  }
}

template <typename Use>
void ReadAhead::move(Place& place, std::uint64_t end, std::uint64_t smallest, Use use) const {
  while (place.tensor < order_.size() && place.bytes < end) {
    const formats::TensorInfo& tensor = *order_[place.tensor];
    const auto size = static_cast<std::uint64_t>(byte_size(tensor.view));
    const std::uint64_t rest = size - place.offset;
    const std::uint64_t wanted = std::min(rest, end - place.bytes);
    if (wanted < rest && wanted < smallest) return;
    // Scattered elements have no place of their own in the file; they only count.
    if (!tensor.scattered && wanted > 0) {
      formats::TensorInfo part{{}, tensor.view, tensor.file, false};
      part.view.data = tensor.view.data.subspan(static_cast<std::size_t>(place.offset),
                                                static_cast<std::size_t>(wanted));
      use(part);
    }
    place.bytes += wanted;
    place.offset += wanted;
    if (place.offset == size) {
      ++place.tensor;
      place.offset = 0;
    }
  }
}

void ReadAhead::advance(std::uint64_t taken) {
  const std::uint64_t smallest = std::min(kRequest, window_);
  move(asked_, taken + window_, smallest,
       [&](const formats::TensorInfo& part) { source_.prefetch(part); });
  if (behind_ == Behind::kKeep) return;
  move(forgotten_, taken, smallest, [&](const formats::TensorInfo& part) { source_.forget(part); });
}

ReadAheadThread::ReadAheadThread(ReadAhead read_ahead) : read_ahead_(std::move(read_ahead)) {
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error&) {
    // Weights are read when they are touched.
  }
}

ReadAheadThread::~ReadAheadThread() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void ReadAheadThread::advance(std::uint64_t taken) {
  {
    const std::lock_guard lock(mutex_);
    taken_ = taken;
  }
  changed_.notify_one();
}

void ReadAheadThread::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const std::uint64_t taken = taken_;
    lock.unlock();
    read_ahead_.advance(taken);
    lock.lock();
    changed_.wait(lock, [&] { return stop_ || taken_ != taken; });
  }
}

}  // namespace mistral::nn
