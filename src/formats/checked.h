// Arithmetic on sizes that a file claims: the result or nothing, never a wrapped number.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace mistral::formats {

[[nodiscard]] inline std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) {
  if (a > std::numeric_limits<std::uint64_t>::max() - b) return std::nullopt;
  return a + b;
}

[[nodiscard]] inline std::optional<std::uint64_t> checked_multiply(std::uint64_t a,
                                                                   std::uint64_t b) {
  if (b != 0 && a > std::numeric_limits<std::uint64_t>::max() / b) return std::nullopt;
  return a * b;
}

// Bytes of a tensor whose extents are not negative and whose row is a multiple of the block; none
// when elements or bytes exceed int64, so that later products of the extents cannot overflow.
[[nodiscard]] inline std::optional<std::uint64_t> checked_tensor_bytes(DType dtype,
                                                                       const Shape& shape) {
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const DTypeInfo& type = info(dtype);
  // An extent of zero must not hide an overflow in the others: multiply what is not zero.
  std::uint64_t elements = 1;
  bool empty = false;
  for (const std::int64_t extent : shape.dims) {
    if (extent == 0) {
      empty = true;
      continue;
    }
    const auto product = checked_multiply(elements, static_cast<std::uint64_t>(extent));
    if (!product || *product > kMax) return std::nullopt;
    elements = *product;
  }
  if (empty) return 0;
  const auto bytes = checked_multiply(elements / static_cast<std::uint64_t>(type.block_elements),
                                      static_cast<std::uint64_t>(type.block_bytes));
  if (!bytes || *bytes > kMax) return std::nullopt;
  return bytes;
}

}  // namespace mistral::formats
