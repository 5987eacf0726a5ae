// Element types of stored tensors: plain numbers and the block formats of GGML files.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mistral {

enum class DType : std::uint8_t {
  kF32,
  kF16,
  kBF16,
  kF64,
  kI8,
  kI16,
  kI32,
  kI64,
  kU8,
  kBool,
  kF8E4M3,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ8_1,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kQ8_K,
  kIQ2_XXS,
  kIQ2_XS,
  kIQ2_S,
  kIQ3_XXS,
  kIQ3_S,
  kIQ1_S,
  kIQ1_M,
  kIQ4_NL,
  kIQ4_XS,
  kTQ1_0,
  kTQ2_0,
  kMXFP4,
  kCount,
};

struct DTypeInfo {
  std::string_view name;        // as GGML and safetensors write it: "Q4_K", "BF16"
  std::int32_t block_elements;  // consecutive elements of a row that share a block; 1 for numbers
  std::int32_t block_bytes;
  std::int32_t ggml_id;  // type number in GGUF files, -1 when there is none
  bool quantized;        // a block format
};

[[nodiscard]] const DTypeInfo& info(DType dtype);
[[nodiscard]] inline std::string_view name(DType dtype) {
  return info(dtype).name;
}

// Bytes of a row of `elements`; `elements` must be a multiple of the block (checked by readers).
[[nodiscard]] inline std::int64_t row_bytes(DType dtype, std::int64_t elements) {
  return elements / info(dtype).block_elements * info(dtype).block_bytes;
}

// The type with this number in a GGUF file; none for unknown and removed numbers.
[[nodiscard]] std::optional<DType> dtype_from_ggml_id(std::uint32_t id);

}  // namespace mistral
