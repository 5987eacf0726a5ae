#include "ops/cpu/cpu_backend.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "quant/dequantize.h"

namespace mistral::ops::cpu {
namespace {

static_assert(kUnitRows == kUnitColumns, "a unit of weights is a unit of outputs");

void check_matrix(const TensorView& source, DType storage) {
  if (!quant::can_dequantize(source.dtype)) {
    throw make_error(ErrorKind::kUnsupported, "tensors of type {} cannot be computed",
                     mistral::name(source.dtype));
  }
  if (source.shape.rank() != 2) {
    throw make_error(ErrorKind::kInvalidFile, "expected a matrix, found shape {}",
                     to_string(source.shape));
  }
  const std::int64_t in = source.shape[1];
  if (in % info(storage).block_elements != 0 || static_cast<std::int64_t>(source.data.size()) !=
                                                    source.shape[0] * row_bytes(source.dtype, in)) {
    throw make_error(ErrorKind::kInvalidFile,
                     "a matrix {} of type {} in {} bytes cannot be stored as {}",
                     to_string(source.shape), mistral::name(source.dtype), source.data.size(),
                     mistral::name(storage));
  }
}

}  // namespace

CpuBackend::CpuBackend(ThreadPool& pool, const KernelTable& kernels)
    : pool_(pool), kernels_(kernels), workers_(static_cast<std::size_t>(pool.size())) {
  for (Worker& worker : workers_) {
    worker.matmul_scratch = PageBuffer(kMatmulScratch);
    worker.products = PageBuffer(2 * kRowBlock * kUnitColumns * sizeof(float));
  }
}

bool CpuBackend::supports(DType dtype) const {
  return quant::can_dequantize(dtype);
}

std::unique_ptr<Weight> CpuBackend::pack(const TensorView& source, DType storage,
                                         const ReleaseCallback& on_done) {
  const DType type = storage == DType::kCount ? source.dtype : storage;
  check_matrix(source, type);
  return std::make_unique<CpuWeight>(source, type, kernels_.bf16_matmul != nullptr, pool_, on_done);
}

bool CpuBackend::keeps(DType dtype, std::int64_t in) const {
  return supports(dtype) && CpuWeight::can_stay(dtype, in);
}

std::unique_ptr<Weight> CpuBackend::keep(const TensorView& source,
                                         std::shared_ptr<const void> keeper) {
  check_matrix(source, source.dtype);
  return std::make_unique<CpuWeight>(source, kernels_.bf16_matmul != nullptr, std::move(keeper));
}

void CpuBackend::fill_panel(const Activations& out, std::int64_t row) {
  if (out.panels == nullptr) return;
  const float* values = out.as_rows().row(row);
  float* panel = out.panel(row);
  for (std::int64_t k = 0; k < out.cols; ++k) panel[k * kInputPanel] = values[k];
}

void CpuBackend::quantize_row(const Activations& out, std::int64_t row) const {
  const float* values = out.as_rows().row(row);
  const auto run = [&](const Activations::Quantized& q, std::int64_t block) {
    kernels_.quantize(values, out.cols, block, out.codes(q, row),
                      q.scales + row * (out.cols / block), q.sums16 + row * (out.cols / 16),
                      q.sums32 + row * (out.cols / 32));
  };
  if ((out.forms & kFormQ8x32) != 0) run(out.q32, 32);
  if ((out.forms & kFormQ8x256) != 0) run(out.q256, 256);
  if ((out.forms & kFormBF16) != 0) {
    kernels_.to_bf16(values, out.cols, out.bf16 + row * ((out.cols + 1) / 2));
  }
  fill_panel(out, row);
}

void CpuBackend::quantize_rows(const Activations& out) {
  if ((out.forms & ~static_cast<unsigned>(kFormF32)) == 0) return;
  over_rows(out.rows, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) quantize_row(out, i);
  });
}

void CpuBackend::embed(const Weight& table, std::span<const TokenId> ids, float scale, Rows out) {
  over_rows(out.rows, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) {
      table.dequantize_row(ids[static_cast<std::size_t>(i)], out.row(i));
      if (scale != 1.0F) kernels_.scale(scale, out.cols, out.row(i));
    }
  });
}

void CpuBackend::norm(const NormParams& params, ConstRows in, Activations out) {
  over_rows(in.rows, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) {
      kernels_.norm(params, in.row(i), in.cols, out.as_rows().row(i));
      quantize_row(out, i);
    }
  });
}

void CpuBackend::norm_rows(const NormParams& params, ConstRows in, Rows out, bool accumulate) {
  over_rows(in.rows, [&](std::int64_t begin, std::int64_t end, int index) {
    std::vector<float>& normed = workers_[static_cast<std::size_t>(index)].key;
    if (accumulate && normed.size() < static_cast<std::size_t>(in.cols)) {
      normed.resize(static_cast<std::size_t>(in.cols));
    }
    for (std::int64_t i = begin; i < end; ++i) {
      kernels_.norm(params, in.row(i), in.cols, accumulate ? normed.data() : out.row(i));
      if (accumulate) kernels_.add(normed.data(), in.cols, out.row(i));
    }
  });
}

void CpuBackend::quantize(ConstRows in, Activations out) {
  over_rows(in.rows, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) {
      float* values = out.as_rows().row(i);
      if (values != in.row(i)) {
        std::memcpy(values, in.row(i), sizeof(float) * static_cast<std::size_t>(in.cols));
      }
      quantize_row(out, i);
    }
  });
}

void CpuBackend::activate(Activation activation, ConstRows in, Activations out) {
  over_rows(in.rows, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) {
      kernels_.activate(activation, in.row(i), in.cols, out.as_rows().row(i));
      quantize_row(out, i);
    }
  });
}

void CpuBackend::softcap(float cap, Rows rows) {
  over_rows(rows.rows, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) kernels_.softcap(cap, rows.cols, rows.row(i));
  });
}

}  // namespace mistral::ops::cpu

namespace mistral::ops {

std::unique_ptr<Backend> make_cpu_backend(ThreadPool& pool, std::optional<std::string_view> isa) {
  using cpu::KernelTable;
  struct Set {
    std::string_view name;
    const KernelTable* (*get)();
  };
  static constexpr Set kSets[] = {{"avx512bf16", cpu::avx512bf16_kernels},
                                  {"avx512", cpu::avx512_kernels},
                                  {"avxvnni", cpu::avxvnni_kernels},
                                  {"avx2", cpu::avx2_kernels},
                                  {"portable", cpu::portable_kernels}};
  constexpr std::string_view kNames = "portable, avx2, avxvnni, avx512 and avx512bf16";
  for (const Set& set : kSets) {
    if (isa && *isa != set.name) continue;
    if (const KernelTable* kernels = set.get()) {
      return std::make_unique<cpu::CpuBackend>(pool, *kernels);
    }
    if (isa) {
      throw make_error(
          ErrorKind::kUnsupported,
          "this processor or build does not have the '{}' kernels; the kernel sets are "
          "{}",
          *isa, kNames);
    }
  }
  throw make_error(ErrorKind::kInvalidArgument, "unknown kernel set '{}': the kernel sets are {}",
                   isa.value_or(""), kNames);
}

}  // namespace mistral::ops
