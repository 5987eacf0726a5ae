#include "ops/cpu/cpu_weight.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "core/error.h"
#include "ops/cpu/panel_layout.h"
#include "quant/dequantize.h"
#include "quant/quantize.h"

namespace mistral::ops::cpu {
namespace {

// Elements of `Width` bytes of up to kUnitRows rows, those of a column side by side. In blocks of
// columns, so that what is written stays in the nearest cache until its lines are full.
template <std::size_t Width>
void transpose_rows(const std::byte* rows, int row_count, std::int64_t row_size,
                    std::int64_t elements, std::byte* out) {
  constexpr std::int64_t kBlock = 64 / Width;  // a cache line of each row
  for (std::int64_t first = 0; first < elements; first += kBlock) {
    const std::int64_t end = std::min(elements, first + kBlock);
    for (int r = 0; r < row_count; ++r) {
      const std::byte* row = rows + r * row_size;
      for (std::int64_t k = first; k < end; ++k) {
        std::memcpy(out + static_cast<std::size_t>(k * kUnitRows + r) * Width,
                    row + static_cast<std::size_t>(k) * Width, Width);
      }
    }
  }
}

// Rounding inputs to bf16 is worth it where time is spent; small matrices keep the exactness of
// f32 inputs for little.
constexpr std::int64_t kBF16InputWeights = std::int64_t{1} << 20;

ActivationForm form_of(DType dtype, std::int64_t weights, bool bf16_inputs) {
  switch (dtype) {
    case DType::kQ4_0:
    case DType::kQ4_1:
    case DType::kQ5_0:
    case DType::kQ5_1:
    case DType::kQ8_0:
      return kFormQ8x32;
    case DType::kQ2_K:
    case DType::kQ3_K:
    case DType::kQ4_K:
    case DType::kQ5_K:
    case DType::kQ6_K:
      return kFormQ8x256;
    case DType::kBF16:
      return bf16_inputs && weights >= kBF16InputWeights ? kFormBF16 : kFormPanels;
    default:
      return kFormPanels;
  }
}

std::int64_t unit_size(DType dtype, std::int64_t in) {
  const std::int64_t padded = unit_layout(dtype) == UnitLayout::kPairs ? (in + 1) / 2 * 2 : in;
  return row_bytes(dtype, padded) * kUnitRows;
}

std::int64_t units_of(std::int64_t out) {
  return (out + kUnitRows - 1) / kUnitRows;
}

// Units that are packed before their rows are given back: 16 MiB of them.
std::int64_t slice_units(std::int64_t row_size) {
  return std::max<std::int64_t>(
      1, (std::int64_t{16} << 20) / std::max<std::int64_t>(1, row_size * kUnitRows));
}

std::span<const std::byte> rows_of_units(std::span<const std::byte> rows, std::int64_t row_size,
                                         std::int64_t first, std::int64_t count) {
  const auto begin = static_cast<std::size_t>(first * kUnitRows * row_size);
  const auto size = static_cast<std::size_t>(count * kUnitRows * row_size);
  return rows.subspan(begin, std::min(size, rows.size() - begin));
}

}  // namespace

UnitLayout unit_layout(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kF16:
      return UnitLayout::kDense;
    case DType::kBF16:
      return UnitLayout::kPairs;
    default:
      return has_panels(dtype) ? UnitLayout::kInterleaved : UnitLayout::kRaw;
  }
}

CpuWeight::Form CpuWeight::packed_form() const {
  return {unit_layout(dtype()), unit_size(dtype(), in()), buffer_.data()};
}

CpuWeight::CpuWeight(const TensorView& source, DType storage, bool bf16_inputs, ThreadPool& pool,
                     const ReleaseCallback& on_done)
    : Weight(source.shape[0], source.shape[1], storage),
      form_(form_of(storage, source.shape[0] * source.shape[1], bf16_inputs)),
      bytes_(ops::packed_bytes(storage, source.shape[0], source.shape[1])),
      buffer_(bytes_, PageBuffer::Pages::kLarge),
      packed_(packed_form()),
      form_now_(&packed_) {
  // In slices, so that source and copy are never both in memory as a whole.
  const std::int64_t source_row = row_bytes(source.dtype, in());
  const std::int64_t slice = std::max<std::int64_t>(pool.size(), slice_units(source_row));
  for (std::int64_t first = 0; first < units(); first += slice) {
    const std::int64_t count = std::min(slice, units() - first);
    pool.run(count, 1, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t u = begin; u < end; ++u) {
        pack_unit(source, first + u, buffer_.data() + (first + u) * packed_.unit_bytes);
      }
    });
    if (on_done) on_done(rows_of_units(source.data, source_row, first, count));
  }
}

CpuWeight::CpuWeight(const TensorView& source, bool bf16_inputs, std::shared_ptr<const void> keeper)
    : Weight(source.shape[0], source.shape[1], source.dtype),
      form_(form_of(source.dtype, source.shape[0] * source.shape[1], bf16_inputs)),
      bytes_(ops::packed_bytes(source.dtype, source.shape[0], source.shape[1])),
      keeper_(std::move(keeper)),
      stored_{UnitLayout::kRaw, row_bytes(source.dtype, source.shape[1]) * kUnitRows,
              source.data.data()},
      form_now_(&stored_) {}

void CpuWeight::pack_kept(const std::atomic<bool>& stop, const ReleaseCallback& on_done) const {
  if (form_now_.load(std::memory_order_relaxed) != &stored_) return;
  if (unit_layout(dtype()) == UnitLayout::kRaw) return;
  TensorView source;
  source.dtype = dtype();
  source.shape = Shape{{out(), in()}};
  source.data = {stored_.base, static_cast<std::size_t>(byte_size(source))};
  buffer_ = PageBuffer(bytes_, PageBuffer::Pages::kLarge);
  packed_ = packed_form();
  const std::int64_t row = row_bytes(dtype(), in());
  const std::int64_t slice = slice_units(row);
  for (std::int64_t first = 0; first < units(); first += slice) {
    const std::int64_t count = std::min(slice, units() - first);
    for (std::int64_t u = first; u < first + count; ++u) {
      if (stop.load(std::memory_order_relaxed)) {
        buffer_ = PageBuffer();
        return;
      }
      pack_unit(source, u, buffer_.data() + u * packed_.unit_bytes);
    }
    on_done(rows_of_units(source.data, row, first, count));
  }
  form_now_.store(&packed_, std::memory_order_release);
}

bool CpuWeight::can_stay(DType dtype, std::int64_t in) {
  switch (unit_layout(dtype)) {
    case UnitLayout::kInterleaved:
      return false;
    case UnitLayout::kPairs:
      return in % 2 == 0;
    default:
      return true;
  }
}

void CpuWeight::pack_unit(const TensorView& source, std::int64_t index, std::byte* unit) const {
  const std::int64_t first_row = index * kUnitRows;
  const int rows = static_cast<int>(std::min(kUnitRows, out() - first_row));
  const std::int64_t row_size = row_bytes(dtype(), in());
  const std::byte* base = source.data.data() + first_row * row_bytes(source.dtype, in());
  std::vector<std::byte> encoded;
  if (source.dtype != dtype()) {
    encoded.resize(static_cast<std::size_t>(rows * row_size));
    std::vector<float> values(static_cast<std::size_t>(in()));
    for (int r = 0; r < rows; ++r) {
      quant::dequantize_row(source.dtype, base + r * row_bytes(source.dtype, in()), values.data(),
                            in());
      quant::quantize_row(dtype(), values.data(), encoded.data() + r * row_size, in());
    }
    base = encoded.data();
  }
  switch (packed_.layout) {
    case UnitLayout::kRaw:
      std::memcpy(unit, base, static_cast<std::size_t>(rows * row_size));
      return;
    case UnitLayout::kInterleaved: {
      const DTypeInfo& type = info(dtype());
      for (int first = 0; first < rows; first += kPanelRows) {
        const int count = std::min<int>(kPanelRows, rows - first);
        const std::byte* block_rows[kPanelRows] = {};
        for (std::int64_t b = 0; b < in() / type.block_elements; ++b) {
          for (int r = 0; r < count; ++r) {
            block_rows[r] = base + (first + r) * row_size + b * type.block_bytes;
          }
          pack_block(dtype(), block_rows, count, unit + (b * kUnitRows + first) * type.block_bytes);
        }
      }
      return;
    }
    case UnitLayout::kPairs: {
      transpose_rows<4>(base, rows, row_size, in() / 2, unit);
      if (in() % 2 == 0) return;
      const std::byte* last = base + row_size - 2;
      std::byte* last_pairs = unit + in() / 2 * kUnitRows * 4;
      for (int r = 0; r < rows; ++r) std::memcpy(last_pairs + r * 4, last + r * row_size, 2);
      return;
    }
    case UnitLayout::kDense:
      if (info(dtype()).block_bytes == 4) {
        transpose_rows<4>(base, rows, row_size, in(), unit);
      } else {
        transpose_rows<2>(base, rows, row_size, in(), unit);
      }
      return;
  }
}

void CpuWeight::dequantize_row(std::int64_t row, float* out) const {
  const Unit unit = this->unit(row / kUnitRows);
  const std::byte* base = unit.data;
  const int r = static_cast<int>(row % kUnitRows);
  switch (unit.stored_rows > 0 ? UnitLayout::kRaw : unit_layout(dtype())) {
    case UnitLayout::kRaw:
      quant::dequantize_row(dtype(), base + r * row_bytes(dtype(), in()), out, in());
      return;
    case UnitLayout::kInterleaved: {
      const DTypeInfo& type = info(dtype());
      std::array<std::byte, 256> block;
      for (std::int64_t b = 0; b < in() / type.block_elements; ++b) {
        unpack_block(dtype(),
                     base + (b * kUnitRows + r / kPanelRows * kPanelRows) * type.block_bytes,
                     static_cast<int>(r % kPanelRows), block.data());
        quant::dequantize_row(dtype(), block.data(), out + b * type.block_elements,
                              type.block_elements);
      }
      return;
    }
    case UnitLayout::kPairs:
      for (std::int64_t k = 0; k < in(); ++k) {
        quant::dequantize_row(dtype(), base + ((k / 2 * kUnitRows + r) * 2 + k % 2) * 2, out + k,
                              1);
      }
      return;
    case UnitLayout::kDense: {
      const std::int64_t element = info(dtype()).block_bytes;
      for (std::int64_t k = 0; k < in(); ++k) {
        quant::dequantize_row(dtype(), base + (k * kUnitRows + r) * element, out + k, 1);
      }
      return;
    }
  }
}

}  // namespace mistral::ops::cpu

namespace mistral::ops {

std::uint64_t packed_bytes(DType storage, std::int64_t out, std::int64_t in) {
  return static_cast<std::uint64_t>(cpu::units_of(out) * cpu::unit_size(storage, in));
}

ActivationForm packed_input_form(DType storage, std::int64_t out, std::int64_t in) {
  return cpu::form_of(storage, out * in, true);
}

}  // namespace mistral::ops
