#include "formats/safetensors_dtype.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace mistral::formats {
namespace {

constexpr std::array kTypes = {DType::kF64, DType::kF32,  DType::kF16,   DType::kBF16,
                               DType::kI64, DType::kI32,  DType::kI16,   DType::kI8,
                               DType::kU8,  DType::kBool, DType::kF8E4M3};

}  // namespace

std::optional<DType> dtype_from_safetensors_name(std::string_view wanted) {
  const auto found = std::find_if(kTypes.begin(), kTypes.end(),
                                  [&](DType dtype) { return name(dtype) == wanted; });
  if (found == kTypes.end()) return std::nullopt;
  return *found;
}

bool is_safetensors_dtype(DType dtype) {
  return std::find(kTypes.begin(), kTypes.end(), dtype) != kTypes.end();
}

std::string safetensors_dtype_names() {
  std::string out;
  for (const DType dtype : kTypes) out += fmt::format("{}{}", out.empty() ? "" : ", ", name(dtype));
  return out;
}

}  // namespace mistral::formats
