#include "nn/activation_buffer.h"

namespace mistral::nn {
namespace {

constexpr std::size_t kAlignment = 64;

}  // namespace

ActivationBuffer::ActivationBuffer(std::int64_t max_rows, std::int64_t cols, unsigned forms)
    : cols_(cols) {
  std::size_t size = 0;
  const auto reserve = [&](std::size_t bytes) {
    const std::size_t offset = size;
    size += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return offset;
  };
  const auto count = static_cast<std::size_t>(max_rows * cols);
  struct Offsets {
    std::size_t codes, scales, sums16, sums32;
  };
  const auto reserve_quantized = [&](std::size_t block) {
    return Offsets{reserve(count), reserve(count / block * sizeof(float)),
                   reserve(count / 16 * sizeof(std::int32_t)),
                   reserve(count / 32 * sizeof(std::int32_t))};
  };
  const std::size_t values = reserve(count * sizeof(float));
  const bool has32 = (forms & ops::kFormQ8x32) != 0;
  const bool has256 = (forms & ops::kFormQ8x256) != 0;
  const Offsets q32 = has32 ? reserve_quantized(32) : Offsets{};
  const Offsets q256 = has256 ? reserve_quantized(256) : Offsets{};
  const bool has_bf16 = (forms & ops::kFormBF16) != 0;
  const std::size_t bf16 =
      has_bf16
          ? reserve(static_cast<std::size_t>(max_rows * ((cols + 1) / 2)) * sizeof(std::uint32_t))
          : 0;
  memory_ = PageBuffer(size);
  const auto at = [&](std::size_t offset) { return memory_.data() + offset; };
  const auto place = [&](const Offsets& o) {
    return ops::Activations::Quantized{reinterpret_cast<std::int8_t*>(at(o.codes)),
                                       reinterpret_cast<float*>(at(o.scales)),
                                       reinterpret_cast<std::int32_t*>(at(o.sums16)),
                                       reinterpret_cast<std::int32_t*>(at(o.sums32))};
  };
  full_.values = reinterpret_cast<float*>(at(values));
  if (has32) full_.q32 = place(q32);
  if (has256) full_.q256 = place(q256);
  if (has_bf16) full_.bf16 = reinterpret_cast<std::uint32_t*>(at(bf16));
}

ops::Activations ActivationBuffer::view(std::int64_t rows, unsigned forms) const {
  ops::Activations result = full_;
  result.forms = forms;
  result.rows = rows;
  result.cols = cols_;
  return result;
}

}  // namespace mistral::nn
