// The kernels compiled for AVX-512 with VNNI.
#include "ops/cpu/kernel_table.h"

#if defined(__AVX512F__) && defined(__AVX512VNNI__)

#include "ops/cpu/simd_avx512.h"
// After Simd, which the kernels are written over.
#include "ops/cpu/kernels/attention.h"
#include "ops/cpu/kernels/cache.h"
#include "ops/cpu/kernels/matmul.h"
#include "ops/cpu/kernels/rows.h"

namespace mistral::ops::cpu {

const KernelTable* avx512_kernels() {
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl") ||
      !__builtin_cpu_supports("avx512vnni")) {
    return nullptr;
  }
  static constexpr KernelTable table = {"avx512", matmul,   nullptr,   nullptr,    norm,    add,
                                        scale,    quantize, activate,  gate,       softcap, rope,
                                        attend,   merge,    write_key, write_value};
  return &table;
}

}  // namespace mistral::ops::cpu

#else

namespace mistral::ops::cpu {
const KernelTable* avx512_kernels() {
  return nullptr;
}
}  // namespace mistral::ops::cpu

#endif
