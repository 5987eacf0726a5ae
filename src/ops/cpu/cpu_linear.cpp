// Products on the CPU: units of weights are shared out over the workers.
#include <cstring>

#include "ops/cpu/cpu_backend.h"

namespace mistral::ops::cpu {
namespace {

const CpuWeight& packed(const Weight& weight) {
  return static_cast<const CpuWeight&>(weight);  // every weight of this backend is one
}

}  // namespace

std::int64_t CpuBackend::units_of(const Weight& weight) {
  return packed(weight).units();
}

void CpuBackend::product(const CpuWeight& weight, std::int64_t unit, const Activations& in,
                         std::int64_t first_row, std::int64_t rows, float* out,
                         Worker& worker) const {
  MatmulTask task;
  task.dtype = weight.dtype();
  const CpuWeight::Unit weights = weight.unit(unit);
  task.unit = weights.data;
  task.stored_rows = weights.stored_rows;
  task.in = weight.in();
  task.input = &in;
  task.first_row = first_row;
  task.rows = rows;
  task.out = out;
  task.scratch = worker.matmul_scratch.data();
  if (weight.input_form() == kFormBF16) {
    kernels_.bf16_matmul(task);
  } else {
    kernels_.matmul(task);
  }
}

void CpuBackend::linear_units(const Activations& in, std::int64_t first_row,
                              const LinearOutput& output, UnitRange units, Worker& worker) const {
  const CpuWeight& weight = packed(*output.weight);
  auto* products = worker.products.as<float>();
  for (std::int64_t unit = units.first; unit < units.last; ++unit) {
    product(weight, unit, in, first_row, output.out.rows, products, worker);
    const std::int64_t column = unit * kUnitColumns;
    const std::int64_t columns = std::min<std::int64_t>(kUnitColumns, weight.out() - column);
    for (std::int64_t r = 0; r < output.out.rows; ++r) {
      float* source = products + r * kUnitColumns;
      if (output.bias != nullptr) kernels_.add(output.bias + column, columns, source);
      if (output.scale != 1.0F) kernels_.scale(output.scale, columns, source);
      float* out = output.out.row(r) + column;
      if (output.accumulate) {
        kernels_.add(source, columns, out);
      } else {
        std::memcpy(out, source, sizeof(float) * static_cast<std::size_t>(columns));
      }
    }
  }
}

void CpuBackend::gated_units(const Activations& in, std::int64_t first_row,
                             const ExpertWeights& weights, Activation activation, UnitRange units,
                             Rows out, Worker& worker) const {
  auto* gates = worker.products.as<float>();
  float* ups = gates + kRowBlock * kUnitColumns;
  for (std::int64_t unit = units.first; unit < units.last; ++unit) {
    product(packed(*weights.gate), unit, in, first_row, out.rows, gates, worker);
    product(packed(*weights.up), unit, in, first_row, out.rows, ups, worker);
    const std::int64_t column = unit * kUnitColumns;
    const std::int64_t columns = std::min<std::int64_t>(kUnitColumns, out.cols - column);
    for (std::int64_t r = 0; r < out.rows; ++r) {
      float* gate = gates + r * kUnitColumns;
      float* up = ups + r * kUnitColumns;
      if (weights.gate_bias != nullptr) kernels_.add(weights.gate_bias + column, columns, gate);
      if (weights.up_bias != nullptr) kernels_.add(weights.up_bias + column, columns, up);
      kernels_.gate(activation, gate, up, columns, out.row(r) + column);
    }
  }
}

void CpuBackend::linear(const Activations& in, std::span<const LinearOutput> outputs) {
  std::int64_t total = 0;
  for (const LinearOutput& output : outputs) total += units_of(*output.weight);
  pool_.run(total, 1, [&](std::int64_t begin, std::int64_t end, int index) {
    for (std::int64_t row = 0; row < in.rows; row += kRowBlock) {
      const std::int64_t rows = std::min(kRowBlock, in.rows - row);
      std::int64_t base = 0;
      for (const LinearOutput& output : outputs) {
        const std::int64_t count = units_of(*output.weight);
        LinearOutput block = output;
        block.out = output.out.slice(row, rows);
        linear_units(in, row, block,
                     {std::max(begin - base, std::int64_t{0}), std::min(end - base, count)},
                     workers_[static_cast<std::size_t>(index)]);
        base += count;
      }
    }
  });
}

void CpuBackend::gated_linear(const Activations& in, const Weight& gate, const float* gate_bias,
                              const Weight& up, const float* up_bias, Activation activation,
                              Activations out) {
  const ExpertWeights weights{&gate, &up, nullptr, gate_bias, up_bias, nullptr};
  pool_.run(units_of(gate), 1, [&](std::int64_t begin, std::int64_t end, int index) {
    for (std::int64_t row = 0; row < in.rows; row += kRowBlock) {
      gated_units(in, row, weights, activation, {begin, end},
                  out.as_rows().slice(row, std::min(kRowBlock, in.rows - row)),
                  workers_[static_cast<std::size_t>(index)]);
    }
  });
  quantize_rows(out);
}

void CpuBackend::head_linear(const HeadLinearParams& params, ConstRows in, Rows out) {
  if (params.weights.empty()) return;
  const Weight& any = *params.weights.front();
  const auto heads = static_cast<std::int64_t>(params.weights.size());
  unsigned forms = 0;
  for (const Weight* weight : params.weights) forms |= static_cast<unsigned>(weight->input_form());
  // Head after head, as the products read them.
  const Activations inputs = gathered_.view(heads * in.rows, any.in(), forms);
  over_rows(inputs.rows, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) {
      std::memcpy(inputs.as_rows().row(i), in.row(i % in.rows) + i / in.rows * params.in_step,
                  sizeof(float) * static_cast<std::size_t>(inputs.cols));
      quantize_row(inputs, i);
    }
  });
  const std::int64_t units = units_of(any);
  pool_.run(heads * units, 1, [&](std::int64_t begin, std::int64_t end, int index) {
    while (begin < end) {
      const std::int64_t head = begin / units;
      const UnitRange range{begin % units, std::min(units, begin % units + end - begin)};
      begin += range.last - range.first;
      const Rows to{out.data + head * params.out_step, out.rows, any.out(), out.stride};
      for (std::int64_t row = 0; row < in.rows; row += kRowBlock) {
        LinearOutput output;
        output.weight = params.weights[static_cast<std::size_t>(head)];
        output.out = to.slice(row, std::min(kRowBlock, in.rows - row));
        linear_units(inputs, head * in.rows + row, output, range,
                     workers_[static_cast<std::size_t>(index)]);
      }
    }
  });
}

}  // namespace mistral::ops::cpu
