// The layout of a panel: blocks of 16 rows, field by field, as kernels read them (UnitLayout
// kInterleaved in cpu_weight.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace mistral::ops::cpu {

inline constexpr std::int64_t kPanelRows = 16;

// Whether the type's weights are packed into panels.
[[nodiscard]] bool has_panels(DType dtype);

// One block of each of the first `row_count` <= kPanelRows rows into the panel at `out`, which is
// zero where rows do not exist. `out` has kPanelRows times the size of a block.
void pack_block(DType dtype, const std::byte* const* rows, int row_count, std::byte* out);

// The inverse for one row of the panel: the block as it stood in the file.
void unpack_block(DType dtype, const std::byte* packed, int row, std::byte* block);

}  // namespace mistral::ops::cpu
