// The kernels compiled for AVX2, FMA and F16C.
#include "ops/cpu/kernel_table.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include <cpuid.h>

#include "ops/cpu/simd_avx2.h"
// After Simd, which the kernels are written over.
#include "ops/cpu/kernels/attention.h"
#include "ops/cpu/kernels/cache.h"
#include "ops/cpu/kernels/matmul.h"
#include "ops/cpu/kernels/rows.h"

namespace mistral::ops::cpu {

const KernelTable* avx2_kernels() {
  // F16C has no name in __builtin_cpu_supports of every compiler.
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  const bool f16c = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
  if (!f16c || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return nullptr;
  static constexpr KernelTable table = {"avx2", matmul,   nullptr,   nullptr,    norm,    add,
                                        scale,  quantize, activate,  gate,       softcap, rope,
                                        attend, merge,    write_key, write_value};
  return &table;
}

}  // namespace mistral::ops::cpu

#else

namespace mistral::ops::cpu {
const KernelTable* avx2_kernels() {
  return nullptr;
}
}  // namespace mistral::ops::cpu

#endif
