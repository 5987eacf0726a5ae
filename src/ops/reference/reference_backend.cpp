#include "ops/reference/reference_backend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "ops/reference/functions.h"
#include "ops/routing.h"
#include "quant/dequantize.h"
#include "quant/quantize.h"

namespace mistral::ops::reference {
namespace {

// Rows as they stand in the file.
class StoredWeight final : public Weight {
 public:
  StoredWeight(const TensorView& source, DType storage)
      : Weight(source.shape[0], source.shape[1], storage),
        row_bytes_(row_bytes(storage, source.shape[1])),
        data_(static_cast<std::size_t>(source.shape[0] * row_bytes_)) {
    if (storage == source.dtype) {
      std::copy(source.data.begin(), source.data.end(), data_.begin());
      return;
    }
    const std::int64_t source_row = row_bytes(source.dtype, in());
    std::vector<float> values(static_cast<std::size_t>(in()));
    for (std::int64_t r = 0; r < out(); ++r) {
      quant::dequantize_row(source.dtype, source.data.data() + r * source_row, values.data(), in());
      quant::quantize_row(storage, values.data(), data_.data() + r * row_bytes_, in());
    }
  }

  [[nodiscard]] std::uint64_t bytes() const override { return data_.size(); }
  [[nodiscard]] ActivationForm input_form() const override { return kFormF32; }
  void dequantize_row(std::int64_t row, float* out) const override {
    quant::dequantize_row(dtype(), data_.data() + row * row_bytes_, out, in());
  }

 private:
  std::int64_t row_bytes_;
  std::vector<std::byte> data_;
};

void check_source(const TensorView& source, DType storage) {
  if (source.shape.rank() != 2) {
    throw make_error(ErrorKind::kInvalidFile, "expected a matrix, found shape {}",
                     to_string(source.shape));
  }
  for (const DType dtype : {source.dtype, storage}) {
    if (source.shape[1] % info(dtype).block_elements != 0) {
      throw make_error(ErrorKind::kInvalidFile, "rows of {} elements are no whole blocks of {}",
                       source.shape[1], mistral::name(dtype));
    }
  }
  const std::int64_t expected = source.shape[0] * row_bytes(source.dtype, source.shape[1]);
  if (static_cast<std::int64_t>(source.data.size()) != expected) {
    throw make_error(ErrorKind::kInvalidFile, "a matrix {} of {} has {} bytes, expected {}",
                     to_string(source.shape), mistral::name(source.dtype), source.data.size(),
                     expected);
  }
}

// sum(x * w) of every input row with every weight row: f(row, column, product).
template <typename Function>
void multiply(ConstRows in, const Weight& weight, Function f) {
  std::vector<float> w(static_cast<std::size_t>(weight.in()));
  for (std::int64_t column = 0; column < weight.out(); ++column) {
    weight.dequantize_row(column, w.data());
    for (std::int64_t row = 0; row < in.rows; ++row) {
      const float* x = in.row(row);
      double sum = 0.0;
      for (std::int64_t k = 0; k < weight.in(); ++k) {
        sum += static_cast<double>(x[k]) * w[static_cast<std::size_t>(k)];
      }
      f(row, column, sum);
    }
  }
}

}  // namespace

void store(const Activations& out, std::int64_t row, const float* values) {
  if ((out.forms & kFormF32) != 0 && out.as_rows().row(row) != values) {
    std::copy_n(values, out.cols, out.as_rows().row(row));
  }
  const auto quantized = [&](const Activations::Quantized& q, std::int64_t block) {
    reference::quantize(values, out.cols, block, out.codes(q, row),
                        q.scales + row * (out.cols / block), q.sums16 + row * (out.cols / 16),
                        q.sums32 + row * (out.cols / 32));
  };
  if ((out.forms & kFormQ8x32) != 0) quantized(out.q32, 32);
  if ((out.forms & kFormQ8x256) != 0) quantized(out.q256, 256);
}

bool ReferenceBackend::supports(DType dtype) const {
  return quant::can_dequantize(dtype);
}

std::unique_ptr<Weight> ReferenceBackend::pack(const TensorView& source, DType storage,
                                               const ReleaseCallback& on_done) {
  if (!supports(source.dtype)) {
    throw make_error(ErrorKind::kUnsupported, "tensors of type {} cannot be computed",
                     mistral::name(source.dtype));
  }
  const DType type = storage == DType::kCount ? source.dtype : storage;
  check_source(source, type);
  auto weight = std::make_unique<StoredWeight>(source, type);
  if (on_done) on_done(source.data);
  return weight;
}

void ReferenceBackend::embed(const Weight& table, std::span<const TokenId> ids, float scale,
                             Rows out) {
  for (std::int64_t i = 0; i < out.rows; ++i) {
    table.dequantize_row(ids[static_cast<std::size_t>(i)], out.row(i));
    for (std::int64_t j = 0; j < out.cols; ++j) out.row(i)[j] *= scale;
  }
}

void ReferenceBackend::norm(const NormParams& params, ConstRows in, Activations out) {
  std::vector<float> y(static_cast<std::size_t>(in.cols));
  for (std::int64_t i = 0; i < in.rows; ++i) {
    reference::norm(params, in.row(i), in.cols, y.data());
    store(out, i, y.data());
  }
}

void ReferenceBackend::norm_rows(const NormParams& params, ConstRows in, Rows out,
                                 bool accumulate) {
  std::vector<float> y(static_cast<std::size_t>(in.cols));
  for (std::int64_t i = 0; i < in.rows; ++i) {
    reference::norm(params, in.row(i), in.cols, y.data());
    for (std::int64_t j = 0; j < in.cols; ++j) {
      const float value = y[static_cast<std::size_t>(j)];
      out.row(i)[j] = accumulate ? out.row(i)[j] + value : value;
    }
  }
}

void ReferenceBackend::quantize(ConstRows in, Activations out) {
  for (std::int64_t i = 0; i < in.rows; ++i) store(out, i, in.row(i));
}

void ReferenceBackend::linear(const Activations& in, std::span<const LinearOutput> outputs) {
  for (const LinearOutput& output : outputs) {
    multiply(in.as_rows(), *output.weight,
             [&](std::int64_t row, std::int64_t column, double product) {
               if (output.bias != nullptr) product += output.bias[column];
               product *= output.scale;
               float& y = output.out.row(row)[column];
               if (output.accumulate) product += y;
               y = static_cast<float>(product);
             });
  }
}

void ReferenceBackend::gated_linear(const Activations& in, const Weight& gate,
                                    const float* gate_bias, const Weight& up, const float* up_bias,
                                    Activation activation, Activations out) {
  std::vector<double> gates(static_cast<std::size_t>(in.rows * gate.out()));
  const auto place = [&](std::int64_t row, std::int64_t column) {
    return static_cast<std::size_t>(row * gate.out() + column);
  };
  multiply(in.as_rows(), gate, [&](std::int64_t row, std::int64_t column, double product) {
    if (gate_bias != nullptr) product += gate_bias[column];
    gates[place(row, column)] = product;
  });
  std::vector<float> values(gates.size());
  multiply(in.as_rows(), up, [&](std::int64_t row, std::int64_t column, double product) {
    if (up_bias != nullptr) product += up_bias[column];
    values[place(row, column)] =
        static_cast<float>(gated(activation, gates[place(row, column)], product));
  });
  for (std::int64_t row = 0; row < in.rows; ++row) store(out, row, values.data() + place(row, 0));
}

void ReferenceBackend::activate(Activation activation, ConstRows in, Activations out) {
  std::vector<float> y(static_cast<std::size_t>(in.cols));
  for (std::int64_t i = 0; i < in.rows; ++i) {
    for (std::int64_t j = 0; j < in.cols; ++j) {
      y[static_cast<std::size_t>(j)] =
          static_cast<float>(reference::activation(activation, in.row(i)[j]));
    }
    store(out, i, y.data());
  }
}

void ReferenceBackend::softcap(float cap, Rows rows) {
  for (std::int64_t i = 0; i < rows.rows; ++i) {
    for (std::int64_t j = 0; j < rows.cols; ++j) {
      float& x = rows.row(i)[j];
      x = static_cast<float>(cap * std::tanh(static_cast<double>(x) / cap));
    }
  }
}

void ReferenceBackend::route(const RoutingParams& params, ConstRows logits,
                             const ExpertChoice& choice) {
  RoutingScratch scratch;
  for (std::int64_t row = 0; row < logits.rows; ++row) {
    route_row(params, {logits.row(row), static_cast<std::size_t>(logits.cols)}, choice.row(row),
              scratch);
  }
}

void ReferenceBackend::moe(const MoeParams& params, const Activations& in,
                           const ExpertChoice& choice, Rows out) {
  std::vector<float> x(static_cast<std::size_t>(in.cols));
  const ConstRows input(x.data(), 1, in.cols, in.cols);
  std::vector<float> inner;
  std::vector<double> sums(static_cast<std::size_t>(out.cols));
  for (std::int64_t row = 0; row < in.rows; ++row) {
    std::copy_n(out.row(row), out.cols, sums.begin());
    for (std::int32_t i = 0; i < choice.used; ++i) {
      const ExpertWeights& expert =
          params.experts[static_cast<std::size_t>(choice.row(row).experts[i])];
      const double weight = choice.row(row).weights[i];
      for (std::size_t k = 0; k < x.size(); ++k) {
        const double value = in.as_rows().row(row)[k];
        x[k] = static_cast<float>(params.scale_input ? weight * value : value);
      }
      std::vector<double> gates;
      multiply(input, *expert.gate, [&](std::int64_t, std::int64_t column, double product) {
        gates.push_back(product + (expert.gate_bias != nullptr ? expert.gate_bias[column] : 0.0));
      });
      inner.clear();
      multiply(input, *expert.up, [&](std::int64_t, std::int64_t column, double product) {
        if (expert.up_bias != nullptr) product += expert.up_bias[column];
        const double gate = gates[static_cast<std::size_t>(column)];
        inner.push_back(static_cast<float>(gated(params.activation, gate, product)));
      });
      const auto width = static_cast<std::int64_t>(inner.size());
      multiply({inner.data(), 1, width, width}, *expert.down,
               [&](std::int64_t, std::int64_t column, double product) {
                 if (expert.down_bias != nullptr) product += expert.down_bias[column];
                 sums[static_cast<std::size_t>(column)] +=
                     params.scale_input ? product : weight * product;
               });
    }
    std::transform(sums.begin(), sums.end(), out.row(row),
                   [](double sum) { return static_cast<float>(sum); });
  }
}

void ReferenceBackend::head_linear(const HeadLinearParams& params, ConstRows in, Rows out) {
  for (std::size_t h = 0; h < params.weights.size(); ++h) {
    const auto head = static_cast<std::int64_t>(h);
    const Weight& weight = *params.weights[h];
    multiply({in.data + head * params.in_step, in.rows, weight.in(), in.stride}, weight,
             [&](std::int64_t row, std::int64_t column, double product) {
               out.row(row)[head * params.out_step + column] = static_cast<float>(product);
             });
  }
}

}  // namespace mistral::ops::reference

namespace mistral::ops {

std::unique_ptr<Backend> make_reference_backend(ThreadPool& pool) {
  return std::make_unique<reference::ReferenceBackend>(pool);
}

}  // namespace mistral::ops
