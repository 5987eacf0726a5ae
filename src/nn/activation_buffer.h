// Memory for the inputs of linear ops in all forms that their weights ask for, reserved once for
// the largest step.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/page_buffer.h"
#include "ops/rows.h"

namespace mistral::nn {

[[nodiscard]] inline std::size_t float_bytes(std::int64_t rows, std::int64_t cols) {
  return static_cast<std::size_t>(rows * cols) * sizeof(float);
}

class ActivationBuffer {
 public:
  ActivationBuffer() = default;
  ActivationBuffer(std::int64_t max_rows, std::int64_t cols, unsigned forms);
  [[nodiscard]] ops::Activations view(std::int64_t rows, unsigned forms) const;

 private:
  std::int64_t cols_ = 0;
  ops::Activations full_;
  PageBuffer memory_;
};

}  // namespace mistral::nn
