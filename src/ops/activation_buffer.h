// Memory behind an Activations value that lives from step to step.
#pragma once

#include <cstdint>

#include "core/page_buffer.h"
#include "ops/rows.h"

namespace mistral::ops {

class ActivationBuffer {
 public:
  // What view() takes memory for.
  [[nodiscard]] static std::size_t bytes_for(std::int64_t rows, std::int64_t cols, unsigned forms);
  [[nodiscard]] std::size_t bytes() const { return memory_.size(); }

  // Room for the rows in all `forms`, and for their values in any case. Grows when it must and
  // never shrinks; what an earlier view holds is lost. Throws Error (kResource).
  [[nodiscard]] Activations view(std::int64_t rows, std::int64_t cols, unsigned forms);

 private:
  PageBuffer memory_;
};

}  // namespace mistral::ops
