// Products of packed weights with activation rows: the kernel of each type.
#pragma once

#include "ops/cpu/kernels/dense_matmul.h"
#include "ops/cpu/kernels/int8_matmul.h"
#include "ops/cpu/kernels/k_matmul.h"

namespace mistral::ops::cpu {
namespace {

void matmul(const MatmulTask& t) {
  switch (t.dtype) {
    case DType::kQ4_0:
      return int8_matmul<DType::kQ4_0>(t);
    case DType::kQ4_1:
      return int8_matmul<DType::kQ4_1>(t);
    case DType::kQ5_0:
      return int8_matmul<DType::kQ5_0>(t);
    case DType::kQ5_1:
      return int8_matmul<DType::kQ5_1>(t);
    case DType::kQ8_0:
      return int8_matmul<DType::kQ8_0>(t);
    case DType::kQ2_K:
      return k_matmul<DType::kQ2_K>(t);
    case DType::kQ3_K:
      return k_matmul<DType::kQ3_K>(t);
    case DType::kQ4_K:
      return k_matmul<DType::kQ4_K>(t);
    case DType::kQ5_K:
      return k_matmul<DType::kQ5_K>(t);
    case DType::kQ6_K:
      return k_matmul<DType::kQ6_K>(t);
    case DType::kF32:
      return dense_matmul<DenseF32>(t);
    case DType::kF16:
      return dense_matmul<DenseF16>(t);
    case DType::kBF16:
      return dense_matmul<DenseBF16>(t);
    default:
      return raw_matmul(t);
  }
}

}  // namespace
}  // namespace mistral::ops::cpu
