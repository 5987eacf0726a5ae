// The kernels compiled for the baseline instructions.
#include "ops/cpu/kernel_table.h"
#include "ops/cpu/simd_portable.h"
// After Simd, which the kernels are written over.
#include "ops/cpu/kernels/attention.h"
#include "ops/cpu/kernels/cache.h"
#include "ops/cpu/kernels/matmul.h"
#include "ops/cpu/kernels/rows.h"

namespace mistral::ops::cpu {

const KernelTable* portable_kernels() {
  static constexpr KernelTable table = {"portable", matmul,   nullptr,   nullptr,    norm,    add,
                                        scale,      quantize, activate,  gate,       softcap, rope,
                                        attend,     merge,    write_key, write_value};
  return &table;
}

}  // namespace mistral::ops::cpu
