#include "nn/read_ahead.h"

#include <algorithm>
#include <unordered_set>

namespace mistral::nn {
namespace {

// Requests are no smaller, but for the ends of tensors: each has a cost of its own.
constexpr std::uint64_t kRequest = std::uint64_t{4} << 20;

}  // namespace

ReadAhead::ReadAhead(const formats::WeightSource& source,
                     const std::vector<const formats::TensorInfo*>& order, std::uint64_t window)
    : source_(source), window_(window) {
  std::unordered_set<const formats::TensorInfo*> seen;
  for (const formats::TensorInfo* tensor : order) {
    if (seen.insert(tensor).second) order_.push_back(tensor);
  }
}

void ReadAhead::advance(std::uint64_t taken) {
  const std::uint64_t end = taken + window_;
  while (tensor_ < order_.size() && asked_ < end) {
    const formats::TensorInfo& tensor = *order_[tensor_];
    const auto size = static_cast<std::uint64_t>(byte_size(tensor.view));
    const std::uint64_t rest = size - offset_;
    const std::uint64_t wanted = std::min(rest, end - asked_);
    if (wanted < rest && wanted < std::min(kRequest, window_)) return;
    // Scattered elements have no place of their own in the file; they only count.
    if (!tensor.scattered && wanted > 0) {
      formats::TensorInfo part{{}, tensor.view, tensor.file, false};
      part.view.data = tensor.view.data.subspan(static_cast<std::size_t>(offset_),
                                                static_cast<std::size_t>(wanted));
      source_.prefetch(part);
    }
    asked_ += wanted;
    offset_ += wanted;
    if (offset_ == size) {
      ++tensor_;
      offset_ = 0;
    }
  }
}

}  // namespace mistral::nn
