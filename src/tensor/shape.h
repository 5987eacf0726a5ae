// Extents of a tensor, slowest dimension first ([out, in] for a matrix).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace mistral {

struct Shape {
  std::vector<std::int64_t> dims;

  [[nodiscard]] std::size_t rank() const { return dims.size(); }
  [[nodiscard]] std::int64_t operator[](std::size_t i) const { return dims[i]; }
  [[nodiscard]] std::int64_t elements() const {
    std::int64_t n = 1;
    for (const std::int64_t d : dims) n *= d;
    return n;
  }
  // Length of the contiguous (last) dimension; 1 for a scalar.
  [[nodiscard]] std::int64_t row_length() const { return dims.empty() ? 1 : dims.back(); }
  bool operator==(const Shape&) const = default;
};

[[nodiscard]] inline std::string to_string(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape.dims, ", "));
}

}  // namespace mistral
