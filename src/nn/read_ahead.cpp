#include "nn/read_ahead.h"

#include <algorithm>
#include <system_error>
#include <unordered_set>
#include <utility>

namespace mistral::nn {

ReadAhead::ReadAhead(const std::vector<const formats::TensorInfo*>& order, Behind behind,
                     std::uint64_t window)
    : behind_(behind), window_(window), piece_(std::min(kPiece, window)) {
  std::unordered_set<const formats::TensorInfo*> seen;
  for (const formats::TensorInfo* tensor : order) {
    if (seen.insert(tensor).second) order_.push_back(tensor);
  }
}

std::optional<formats::TensorInfo> ReadAhead::move(Place& place, std::uint64_t end) const {
  while (place.tensor < order_.size() && place.bytes < end) {
    const formats::TensorInfo& tensor = *order_[place.tensor];
    const auto size = static_cast<std::uint64_t>(byte_size(tensor.view));
    // Scattered elements have no place of their own in the file; they only count.
    const std::uint64_t most = tensor.scattered ? size : piece_;
    const std::uint64_t wanted = std::min({size - place.offset, end - place.bytes, most});
    if (wanted < size - place.offset && wanted < piece_) return std::nullopt;
    formats::TensorInfo part{{}, tensor.view, tensor.file, false};
    if (!tensor.scattered) {
      part.view.data = tensor.view.data.subspan(static_cast<std::size_t>(place.offset),
                                                static_cast<std::size_t>(wanted));
    }
    place.bytes += wanted;
    place.offset += wanted;
    if (place.offset == size) {
      ++place.tensor;
      place.offset = 0;
    }
    if (!tensor.scattered && wanted > 0) return part;
  }
  return std::nullopt;
}

std::optional<ReadAhead::Step> ReadAhead::next(std::uint64_t taken) {
  // This first, as it makes room.
  if (behind_ == Behind::kForget) {
    if (auto part = move(forgotten_, taken)) return Step{std::move(*part), true};
  }
  // What was taken before its turn came is there already, or was forgotten.
  while (auto part = move(asked_, taken + window_)) {
    if (asked_.bytes > taken) return Step{std::move(*part), false};
  }
  return std::nullopt;
}

ReadAheadThreads::ReadAheadThreads(const formats::WeightSource& source, ReadAhead read_ahead)
    : source_(source), read_ahead_(std::move(read_ahead)) {
  try {
    while (threads_.size() < kThreads) threads_.emplace_back([this] { run(); });
  } catch (const std::system_error&) {
    // Weights are read when they are touched.
  }
}

ReadAheadThreads::~ReadAheadThreads() {
  stop();
  finish();
}

void ReadAheadThreads::advance(std::uint64_t taken) {
  {
    const std::lock_guard lock(mutex_);
    taken_ = taken;
  }
  changed_.notify_all();
}

void ReadAheadThreads::read_rest() {
  {
    const std::lock_guard lock(mutex_);
    read_ahead_.widen();
    rest_ = true;
  }
  changed_.notify_all();
}

void ReadAheadThreads::finish() {
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void ReadAheadThreads::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
}

void ReadAheadThreads::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    std::optional<ReadAhead::Step> step;
    changed_.wait(lock, [&] {
      if (!stop_) step = read_ahead_.next(taken_);
      return stop_ || step || rest_;
    });
    if (!step) return;
    lock.unlock();
    if (step->forget) {
      source_.forget(step->part);
    } else {
      source_.prefetch(step->part);
    }
    lock.lock();
  }
}

}  // namespace mistral::nn
