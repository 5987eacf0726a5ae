#include "tensor/dtype.h"

#include <array>

namespace mistral {
namespace {

// Block sizes: the GGML block formats (gguf specification).
constexpr std::array<DTypeInfo, static_cast<std::size_t>(DType::kCount)> kInfo = {{
    {"F32", 1, 4, 0, false},       {"F16", 1, 2, 1, false},        {"BF16", 1, 2, 30, false},
    {"F64", 1, 8, 28, false},      {"I8", 1, 1, 24, false},        {"I16", 1, 2, 25, false},
    {"I32", 1, 4, 26, false},      {"I64", 1, 8, 27, false},       {"U8", 1, 1, -1, false},
    {"BOOL", 1, 1, -1, false},     {"F8_E4M3", 1, 1, -1, false},   {"Q4_0", 32, 18, 2, true},
    {"Q4_1", 32, 20, 3, true},     {"Q5_0", 32, 22, 6, true},      {"Q5_1", 32, 24, 7, true},
    {"Q8_0", 32, 34, 8, true},     {"Q8_1", 32, 36, 9, true},      {"Q2_K", 256, 84, 10, true},
    {"Q3_K", 256, 110, 11, true},  {"Q4_K", 256, 144, 12, true},   {"Q5_K", 256, 176, 13, true},
    {"Q6_K", 256, 210, 14, true},  {"Q8_K", 256, 292, 15, true},   {"IQ2_XXS", 256, 66, 16, true},
    {"IQ2_XS", 256, 74, 17, true}, {"IQ2_S", 256, 82, 22, true},   {"IQ3_XXS", 256, 98, 18, true},
    {"IQ3_S", 256, 110, 21, true}, {"IQ1_S", 256, 50, 19, true},   {"IQ1_M", 256, 56, 29, true},
    {"IQ4_NL", 32, 18, 20, true},  {"IQ4_XS", 256, 136, 23, true}, {"TQ1_0", 256, 54, 34, true},
    {"TQ2_0", 256, 66, 35, true},  {"MXFP4", 32, 17, 39, true},
}};

}  // namespace

const DTypeInfo& info(DType dtype) {
  return kInfo[static_cast<std::size_t>(dtype)];
}

std::optional<DType> dtype_from_ggml_id(std::uint32_t id) {
  for (std::size_t i = 0; i < kInfo.size(); ++i) {
    if (kInfo[i].ggml_id >= 0 && static_cast<std::uint32_t>(kInfo[i].ggml_id) == id) {
      return static_cast<DType>(i);
    }
  }
  return std::nullopt;
}

}  // namespace mistral
