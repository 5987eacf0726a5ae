// The AVX2 kernels with 8-bit dot products (AVX-VNNI).
//
// Compiled twice: with the instruction's short encoding, for processors that have AVX-VNNI, and, by
// kernels_avxvnni_evex.cpp, with the long one of AVX-512 VNNI at the same width, so that the set
// can be tested and compared on processors that only have that.
#include "ops/cpu/kernel_table.h"

#if defined(MISTRAL_AVXVNNI_EVEX)
#define MISTRAL_AVXVNNI_KERNELS avxvnni_evex_kernels
#else
#define MISTRAL_AVXVNNI_KERNELS avxvnni_kernels
#endif

#if defined(__AVXVNNI__) || (defined(MISTRAL_AVXVNNI_EVEX) && defined(__AVX512VNNI__))

#include <cpuid.h>

#include "ops/cpu/simd_avx2.h"
// After Simd, which the kernels are written over.
#include "ops/cpu/kernels/attention.h"
#include "ops/cpu/kernels/cache.h"
#include "ops/cpu/kernels/matmul.h"
#include "ops/cpu/kernels/rows.h"

namespace mistral::ops::cpu {

const KernelTable* MISTRAL_AVXVNNI_KERNELS() {
  static constexpr KernelTable table = {"avxvnni", matmul,   nullptr,   nullptr,    norm,    add,
                                        scale,     quantize, activate,  gate,       softcap, rope,
                                        attend,    merge,    write_key, write_value};
#if defined(MISTRAL_AVXVNNI_EVEX)
  return avx512_kernels() != nullptr ? &table : nullptr;
#else
  // AVX-VNNI has no name in __builtin_cpu_supports of every compiler.
  constexpr unsigned kAvxVnni = 1U << 4U;
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  const bool short_form = avx2_kernels() != nullptr &&
                          __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kAvxVnni) != 0;
  return short_form ? &table : avxvnni_evex_kernels();
#endif
}

}  // namespace mistral::ops::cpu

#else

namespace mistral::ops::cpu {
const KernelTable* MISTRAL_AVXVNNI_KERNELS() {
  return nullptr;
}
}  // namespace mistral::ops::cpu

#endif
