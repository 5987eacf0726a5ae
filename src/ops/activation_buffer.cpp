#include "ops/activation_buffer.h"

#include <cstddef>

namespace mistral::ops {
namespace {

constexpr std::size_t kAlignment = 64;

// Kernels go over a stretch of inputs of many rows at a time. Rows that start a large power of two
// apart would meet in few sets of the caches and drive each other out; an odd number of stretches
// apart, they use all sets.
constexpr std::int64_t kStretchOfValues = 128;
constexpr std::int64_t kStretchOfCodes = 256;
std::int64_t gap_of(std::int64_t cols, std::int64_t stretch) {
  return cols % (2 * stretch) == 0 ? stretch : 0;
}

// Hands out one part of a buffer after the other; without a buffer, only counts them.
class Parts {
 public:
  explicit Parts(std::byte* base) : base_(base) {}
  template <typename T>
  void place(T*& part, std::int64_t count) {
    part = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + size_);
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    size_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }
  void place(Activations::Quantized& q, std::int64_t rows, std::int64_t cols, std::int64_t block) {
    const std::int64_t count = rows * cols;
    q.codes_gap = gap_of(cols, kStretchOfCodes);
    place(q.codes, rows * (cols + q.codes_gap));
    place(q.scales, count / block);
    place(q.sums16, count / 16);
    place(q.sums32, count / 32);
  }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::byte* base_;
  std::size_t size_ = 0;
};

// Bytes of all forms of `a`, which are placed at `base` unless that is null.
std::size_t place_forms(Activations& a, std::byte* base) {
  Parts parts(base);
  a.values_gap = gap_of(a.cols, kStretchOfValues);
  parts.place(a.values, a.rows * (a.cols + a.values_gap));
  if ((a.forms & kFormQ8x32) != 0) parts.place(a.q32, a.rows, a.cols, 32);
  if ((a.forms & kFormQ8x256) != 0) parts.place(a.q256, a.rows, a.cols, 256);
  if ((a.forms & kFormBF16) != 0) parts.place(a.bf16, a.rows * ((a.cols + 1) / 2));
  if ((a.forms & kFormPanels) != 0 && a.rows > kRowsWithoutPanels) {
    parts.place(a.panels, (a.rows + kInputPanel - 1) / kInputPanel * kInputPanel * a.cols);
  }
  return parts.size();
}

}  // namespace

std::size_t ActivationBuffer::bytes_for(std::int64_t rows, std::int64_t cols, unsigned forms) {
  Activations a;
  a.forms = forms;
  a.rows = rows;
  a.cols = cols;
  return place_forms(a, nullptr);
}

Activations ActivationBuffer::view(std::int64_t rows, std::int64_t cols, unsigned forms) {
  Activations a;
  a.forms = forms;
  a.rows = rows;
  a.cols = cols;
  const std::size_t size = place_forms(a, nullptr);
  if (size > memory_.size()) {
    memory_ = PageBuffer();  // the old one first: never both
    memory_ = PageBuffer(size);
  }
  place_forms(a, memory_.data());
  return a;
}

}  // namespace mistral::ops
