// Weights as the CPU kernels read them.
//
// A matrix is cut into units of 32 output rows, each a stretch of memory that a kernel reads from
// one end to the other. What the kernels of a type want decides the layout inside a unit:
// - kInterleaved (block formats with int8 kernels): two panels of 16 rows, whose blocks along k
//   alternate. Inside a panel's block every field of the 16 rows is interleaved in units of its
//   natural width, so that the 4 codes of one row that a dot-product instruction multiplies stand
//   beside those of the next row. The high bits of Q5_0 and Q5_1 are transposed to one byte per
//   lane, bit s for step s of 4 codes. Scales of K types come first. Of four codes of Q6_K, three
//   are the lower six bits of bytes that stand side by side, whose upper two bits make the fourth.
//   Size: exactly that of the file.
// - kDense (F32, F16): [k][32].
// - kPairs (BF16): [k / 2][32][2], an odd last k joined by zero.
// - kRaw (all other types, and any type of numbers that was not packed): rows as in the file; the
//   kernel decodes them on the way.
// The last unit of a packed matrix is padded with zeros; one of rows as in the file just ends.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/page_buffer.h"
#include "ops/cpu/panel_layout.h"
#include "ops/ops.h"

namespace mistral::ops::cpu {

inline constexpr std::int64_t kUnitRows = 2 * kPanelRows;

enum class UnitLayout { kInterleaved, kDense, kPairs, kRaw };
[[nodiscard]] UnitLayout unit_layout(DType dtype);

class CpuWeight final : public Weight {
 public:
  // Packs on all threads of `pool`; see Backend::pack(). `bf16_inputs`: large BF16 matrices are
  // multiplied with bf16 inputs, not f32.
  CpuWeight(const TensorView& source, DType storage, bool bf16_inputs, ThreadPool& pool,
            const ReleaseCallback& on_done);
  // Reads the rows of `source` where they stand, as long as `keeper` keeps them there; see
  // Backend::keep(). The type must be one that can_stay().
  CpuWeight(const TensorView& source, bool bf16_inputs, std::shared_ptr<const void> keeper);

  // Whether kernels can read rows of this type and length as they stand in a file.
  [[nodiscard]] static bool can_stay(DType dtype, std::int64_t in);

  // Once it is packed.
  [[nodiscard]] std::uint64_t bytes() const override { return bytes_; }
  [[nodiscard]] ActivationForm input_form() const override { return form_; }
  void dequantize_row(std::int64_t row, float* out) const override;
  void pack_kept(const std::atomic<bool>& stop, const ReleaseCallback& on_done) const override;

  [[nodiscard]] std::int64_t units() const { return (out() + kUnitRows - 1) / kUnitRows; }
  struct Unit {
    const std::byte* data = nullptr;
    std::int64_t stored_rows = 0;  // that stand there as in a file; 0: it is packed
  };
  [[nodiscard]] Unit unit(std::int64_t index) const {
    const Form& form = *form_now_.load(std::memory_order_acquire);
    return {form.base + index * form.unit_bytes,
            form.layout == UnitLayout::kRaw ? std::min(kUnitRows, out() - index * kUnitRows) : 0};
  }

 private:
  struct Form {
    UnitLayout layout = UnitLayout::kRaw;
    std::int64_t unit_bytes = 0;
    const std::byte* base = nullptr;
  };

  [[nodiscard]] Form packed_form() const;
  void pack_unit(const TensorView& source, std::int64_t index, std::byte* unit) const;

  ActivationForm form_;
  std::uint64_t bytes_;
  std::shared_ptr<const void> keeper_;  // of the stored rows
  Form stored_;                         // its base is null where nobody keeps them
  // Packed: at once, or later by pack_kept(), which only one thread may be in. What is computed
  // meanwhile goes on with the stored rows, which stay where they are.
  mutable PageBuffer buffer_;
  mutable Form packed_;
  mutable std::atomic<const Form*> form_now_;
};

}  // namespace mistral::ops::cpu
