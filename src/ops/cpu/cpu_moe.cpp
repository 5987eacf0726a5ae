// Mixtures of experts: every expert multiplies the rows that chose it as a dense layer would, and
// all experts are one list of tasks. Weights of an expert that nobody chose are not read.
#include <cstring>

#include "ops/cpu/cpu_backend.h"
#include "ops/routing.h"

namespace mistral::ops::cpu {
namespace {

unsigned input_forms(const ExpertWeights& expert) {
  return static_cast<unsigned>(expert.gate->input_form()) |
         static_cast<unsigned>(expert.up->input_form());
}

template <typename T>
void copy_row(const T* from, std::int64_t from_row, T* to, std::int64_t to_row, std::int64_t cols) {
  std::memcpy(to + to_row * cols, from + from_row * cols,
              sizeof(T) * static_cast<std::size_t>(cols));
}

}  // namespace

void CpuBackend::route(const RoutingParams& params, ConstRows logits, const ExpertChoice& choice) {
  over_rows(logits.rows, [&](std::int64_t begin, std::int64_t end, int index) {
    RoutingScratch& scratch = workers_[static_cast<std::size_t>(index)].routing;
    for (std::int64_t row = begin; row < end; ++row) {
      route_row(params, {logits.row(row), static_cast<std::size_t>(logits.cols)}, choice.row(row),
                scratch);
    }
  });
}

void CpuBackend::gather_row(const Activations& in, std::int64_t row, float factor,
                            const Activations& out, std::int64_t to) const {
  const auto quantized = [&](const Activations::Quantized& from, const Activations::Quantized& into,
                             std::int64_t block) {
    std::memcpy(out.codes(into, to), in.codes(from, row), static_cast<std::size_t>(in.cols));
    copy_row(from.scales, row, into.scales, to, in.cols / block);
    copy_row(from.sums16, row, into.sums16, to, in.cols / 16);
    copy_row(from.sums32, row, into.sums32, to, in.cols / 32);
    if (factor != 1.0F) {
      kernels_.scale(factor, in.cols / block, into.scales + to * (in.cols / block));
    }
  };
  const std::int64_t pairs = (in.cols + 1) / 2;
  if ((out.forms & kFormQ8x32) != 0) quantized(in.q32, out.q32, 32);
  if ((out.forms & kFormQ8x256) != 0) quantized(in.q256, out.q256, 256);
  if ((out.forms & (kFormF32 | kFormBF16 | kFormPanels)) != 0) {
    float* values = out.as_rows().row(to);
    std::memcpy(values, in.as_rows().row(row), sizeof(float) * static_cast<std::size_t>(in.cols));
    if (factor != 1.0F) kernels_.scale(factor, in.cols, values);
  }
  if ((out.forms & kFormBF16) != 0) {
    if (factor == 1.0F) {
      copy_row(in.bf16, row, out.bf16, to, pairs);
    } else {
      kernels_.to_bf16(out.as_rows().row(to), in.cols, out.bf16 + to * pairs);
    }
  }
  fill_panel(out, to);
}

template <typename Function>
void CpuBackend::over_expert_units(std::int64_t units, Function f) {
  const std::span<const ExpertPlan::Segment> segments = plan_.segments();
  const std::int64_t count = static_cast<std::int64_t>(segments.size()) * units;
  pool_.run(count, 1, [&](std::int64_t begin, std::int64_t end, int index) {
    while (begin < end) {
      const ExpertPlan::Segment& segment = segments[static_cast<std::size_t>(begin / units)];
      const UnitRange range{begin % units, std::min(units, begin % units + end - begin)};
      begin += range.last - range.first;
      for (std::int64_t row = 0; row < segment.count; row += kRowBlock) {
        f(segment, row, std::min(kRowBlock, segment.count - row), range,
          workers_[static_cast<std::size_t>(index)]);
      }
    }
  });
}

void CpuBackend::moe(const MoeParams& params, const Activations& in, const ExpertChoice& choice,
                     Rows out) {
  plan_.build(in.rows, params.experts.size(), choice);
  const auto expert_of = [&](const ExpertPlan::Segment& segment) -> const ExpertWeights& {
    return params.experts[static_cast<std::size_t>(segment.expert)];
  };
  const std::span<const ExpertPlan::Pair> pairs = plan_.pairs();
  if (pairs.empty()) return;
  const auto count = static_cast<std::int64_t>(pairs.size());
  unsigned outer_forms = 0;
  unsigned inner_forms = 0;
  for (const ExpertPlan::Segment& segment : plan_.segments()) {
    outer_forms |= input_forms(expert_of(segment));
    inner_forms |= static_cast<unsigned>(expert_of(segment).down->input_form());
  }

  const bool gathers = params.scale_input || !plan_.in_place();
  Activations outer = in;
  if (gathers) {
    outer = gathered_.view(count, in.cols, outer_forms);
    over_rows(count, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t i = begin; i < end; ++i) {
        const ExpertPlan::Pair& pair = pairs[static_cast<std::size_t>(i)];
        gather_row(in, pair.row, params.scale_input ? pair.weight : 1.0F, outer, i);
      }
    });
  }

  const ExpertWeights& any = params.experts.front();
  const Activations inner = inner_.view(count, any.gate->out(), inner_forms);
  over_expert_units(units_of(*any.gate), [&](const ExpertPlan::Segment& segment, std::int64_t row,
                                             std::int64_t rows, UnitRange units, Worker& worker) {
    const std::int64_t first = gathers ? segment.first : segment.row;
    gated_units(outer, first + row, expert_of(segment), params.activation, units,
                inner.as_rows().slice(segment.first + row, rows), worker);
  });
  quantize_rows(inner);

  const Activations products = products_.view(count, out.cols, kFormF32);
  over_expert_units(units_of(*any.down), [&](const ExpertPlan::Segment& segment, std::int64_t row,
                                             std::int64_t rows, UnitRange units, Worker& worker) {
    const ExpertWeights& expert = expert_of(segment);
    const Rows to = products.as_rows().slice(segment.first + row, rows);
    linear_units(inner, segment.first + row, {expert.down, expert.down_bias, to}, units, worker);
  });
  over_rows(in.rows, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int32_t i = 0; i < choice.used; ++i) {
        float* product = products.as_rows().row(plan_.place(row, i));
        if (!params.scale_input) kernels_.scale(choice.row(row).weights[i], out.cols, product);
        kernels_.add(product, out.cols, out.row(row));
      }
    }
  });
}

}  // namespace mistral::ops::cpu
