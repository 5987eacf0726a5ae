// Borrowed row-major f32 matrices and the inputs of linear ops.
#pragma once

#include <cstdint>

namespace mistral::ops {

struct Rows {
  float* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t stride = 0;  // floats from one row to the next, >= cols
  [[nodiscard]] float* row(std::int64_t i) const { return data + i * stride; }
  [[nodiscard]] Rows slice(std::int64_t first, std::int64_t count) const {
    return {data + first * stride, count, cols, stride};
  }
};

struct ConstRows {
  const float* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t stride = 0;
  ConstRows() = default;
  ConstRows(const float* d, std::int64_t r, std::int64_t c, std::int64_t s)
      : data(d), rows(r), cols(c), stride(s) {}
  ConstRows(const Rows& other)  // NOLINT(google-explicit-constructor): as T* to const T*
      : data(other.data), rows(other.rows), cols(other.cols), stride(other.stride) {}
  [[nodiscard]] const float* row(std::int64_t i) const { return data + i * stride; }
};

// The forms in which a linear op can want its input. Which one is a property of the weight.
enum ActivationForm : unsigned {
  kFormF32 = 1U,
  kFormQ8x32 = 2U,    // int8, a scale for every 32 values: weights with blocks of 32
  kFormQ8x256 = 4U,   // int8, a scale for every 256 values: K types
  kFormBF16 = 8U,     // bf16: BF16 weights, where the processor multiplies them
  kFormPanels = 16U,  // f32, panels of rows side by side: weights that are multiplied as f32
};

// A kernel that covers some rows at a time reads one value of each in turn: side by side, those are
// one stream. Up to kRowsWithoutPanels rows are read as they are.
inline constexpr std::int64_t kInputPanel = 6;
inline constexpr std::int64_t kRowsWithoutPanels = 4;

// Input rows of linear ops, quantised once for all weights that read them. A view: the buffers
// belong to the caller; `values` is always there, the quantised buffers where `forms` asks for
// them. cols is a multiple of the block.
struct Activations {
  unsigned forms = kFormF32;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  float* values = nullptr;      // [rows, cols]
  std::int64_t values_gap = 0;  // elements between one row and the next
  struct Quantized {
    std::int8_t* codes = nullptr;    // [rows, cols]
    float* scales = nullptr;         // [rows, cols / block]
    std::int16_t* sums16 = nullptr;  // [rows, cols / 16]: sums of 16 codes
    std::int16_t* sums32 = nullptr;  // [rows, cols / 32]
    std::int64_t codes_gap = 0;      // as values_gap
  };
  Quantized q32;
  Quantized q256;
  std::uint32_t* bf16 = nullptr;  // [rows, (cols + 1) / 2] pairs
  // [rows / kInputPanel, cols, kInputPanel], the last panel with room for rows that are not there.
  // Null with few rows, for which kFormPanels asks for nothing.
  float* panels = nullptr;
  [[nodiscard]] Rows as_rows() const { return {values, rows, cols, cols + values_gap}; }
  [[nodiscard]] std::int8_t* codes(const Quantized& q, std::int64_t row) const {
    return q.codes + row * (cols + q.codes_gap);
  }
  // Value (row, 0) in its panel; the next of the row is kInputPanel further.
  [[nodiscard]] float* panel(std::int64_t row) const {
    return panels + row / kInputPanel * kInputPanel * cols + row % kInputPanel;
  }
};

}  // namespace mistral::ops
