// Weights in the layout of the CPU kernels.
//
// A matrix is cut into panels of 16 output rows (padded with zeros to whole panels, and to
// an even number of them). What the
// kernels of a type want decides the layout inside a panel:
// - kInterleaved (block formats with int8 kernels): block after block along k; inside a block every
//   field of the 16 rows is interleaved in units of its natural width, so that the 4 codes of one
//   row that a dot-product instruction multiplies stand beside those of the next row. The high bits
//   of Q5_0 and Q5_1 are transposed to one byte per lane, bit s for step s of 4 codes.
//   Size: exactly that of the file.
// - kDense (F32, F16): [k][16].
// - kPairs (BF16): [k / 2][16][2], an odd last k joined by zero.
// - kRaw (all other types): rows as in the file; the kernel decodes them on the way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/page_buffer.h"
#include "ops/ops.h"

namespace mistral::ops::cpu {

inline constexpr std::int64_t kPanelRows = 16;

enum class PanelLayout { kInterleaved, kDense, kPairs, kRaw };
[[nodiscard]] PanelLayout panel_layout(DType dtype);

class PackedWeight final : public Weight {
 public:
  // Packs on all threads of `pool`; see Backend::pack(). `bf16_inputs`: large BF16 matrices are
  // multiplied with bf16 inputs, not f32.
  PackedWeight(const TensorView& source, DType storage, bool bf16_inputs, ThreadPool& pool,
               const ReleaseCallback& on_done);

  [[nodiscard]] std::uint64_t bytes() const override { return buffer_.size(); }
  [[nodiscard]] ActivationForm input_form() const override { return form_; }
  void dequantize_row(std::int64_t row, float* out) const override;

  // Even: the kernels take two at a time.
  [[nodiscard]] std::int64_t panels() const {
    return (out() + 2 * kPanelRows - 1) / (2 * kPanelRows) * 2;
  }
  [[nodiscard]] std::int64_t panel_bytes() const { return panel_bytes_; }
  [[nodiscard]] const std::byte* panel(std::int64_t index) const {
    return buffer_.data() + index * panel_bytes_;
  }

 private:
  void pack_panel(const TensorView& source, std::int64_t index);

  PanelLayout layout_;
  ActivationForm form_;
  std::int64_t panel_bytes_;
  PageBuffer buffer_;
};

}  // namespace mistral::ops::cpu
