// The element types that safetensors files and this program share.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tensor/dtype.h"

namespace mistral::formats {

// None for types that cannot be read.
[[nodiscard]] std::optional<DType> dtype_from_safetensors_name(std::string_view name);
// Whether a safetensors file can hold this type; its name there is name(dtype).
[[nodiscard]] bool is_safetensors_dtype(DType dtype);
// "F64, F32, ..." for messages.
[[nodiscard]] std::string safetensors_dtype_names();

}  // namespace mistral::formats
