// The AVX-512 kernels with products of BF16.
#include "ops/cpu/kernel_table.h"

#if defined(__AVX512BF16__) && defined(__AVX512VNNI__)

#include <cpuid.h>

#include "ops/cpu/simd_avx512.h"
// After Simd, which the kernels are written over.
#include "ops/cpu/kernels/bf16_matmul.h"

namespace mistral::ops::cpu {

const KernelTable* avx512bf16_kernels() {
  // AVX512_BF16 has no name in __builtin_cpu_supports of every compiler.
  constexpr unsigned kAvx512Bf16 = 1U << 5U;
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (avx512_kernels() == nullptr || __get_cpuid_count(7, 1, &a, &b, &c, &d) == 0 ||
      (a & kAvx512Bf16) == 0) {
    return nullptr;
  }
  static const KernelTable table = [] {
    KernelTable result = *avx512_kernels();
    result.name = "avx512bf16";
    result.bf16_matmul = bf16_matmul;
    result.to_bf16 = to_bf16;
    return result;
  }();
  return &table;
}

}  // namespace mistral::ops::cpu

#else

namespace mistral::ops::cpu {
const KernelTable* avx512bf16_kernels() {
  return nullptr;
}
}  // namespace mistral::ops::cpu

#endif
