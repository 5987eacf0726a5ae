// The experts of a layer, in all forms in which files hold them.
#include <cstring>

#include <fmt/format.h>

#include "core/error.h"
#include "nn/weight_reader.h"

namespace mistral::nn {
namespace {

std::string expert_name(const std::string& pattern, std::size_t layer, std::int32_t expert) {
  return fmt::format(fmt::runtime(pattern), layer, expert) + ".weight";
}

// Rows of a [in, columns] matrix become columns: every `step`-th from `first`, `count` of them.
std::vector<float> transposed(std::span<const float> stored, std::int64_t in, std::int64_t columns,
                              std::int64_t first, std::int64_t step, std::int64_t count) {
  if (stored.empty()) return {};
  std::vector<float> result(static_cast<std::size_t>(count * in));
  for (std::int64_t c = 0; c < count; ++c) {
    for (std::int64_t r = 0; r < in; ++r) {
      result[static_cast<std::size_t>(c * in + r)] =
          stored[static_cast<std::size_t>(r * columns + first + c * step)];
    }
  }
  return result;
}

// Rows `first`, `first + step`, … of an MXFP4 tensor that is stored as two, codes and scales, in
// GGML's blocks: there a block's first 16 values are the low halves of its bytes, here a byte holds
// two neighbours.
std::vector<std::byte> to_blocks(std::span<const std::byte> codes,
                                 std::span<const std::byte> scales, std::int64_t blocks_per_row,
                                 std::int64_t first, std::int64_t step, std::int64_t rows) {
  constexpr std::size_t kCodes = 16;
  std::vector<std::byte> result;
  result.reserve(static_cast<std::size_t>(rows * blocks_per_row) * (kCodes + 1));
  const auto value = [](const std::byte* block, std::size_t i) {
    return (block[i / 2] >> (i % 2 * 4)) & std::byte{15};
  };
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t b = 0; b < blocks_per_row; ++b) {
      const auto index = static_cast<std::size_t>((first + r * step) * blocks_per_row + b);
      result.push_back(scales[index]);
      const std::byte* block = codes.data() + index * kCodes;
      for (std::size_t i = 0; i < kCodes; ++i) {
        result.push_back(value(block, i) | (value(block, i + kCodes) << 4));
      }
    }
  }
  return result;
}

}  // namespace

void WeightReader::moe(std::size_t layer, MoeWeights& out) {
  const MoeSpec& spec = *spec_.moe;
  const MoeNames& names = spec.names;
  const auto name = [&](const std::string& pattern) { return layer_name(pattern, layer); };
  const std::string router = name(names.router);
  out.router.weight = loader_.exact_matrix(router + ".weight", spec.experts, spec_.hidden_size);
  if (spec.router_bias) out.router.bias = loader_.vector(router + ".bias", spec.experts);
  if (!names.selection_bias.empty()) {
    const std::string bias = name(names.selection_bias);
    if (loader_.has(bias)) out.selection_bias = loader_.vector(bias, spec.experts);
  }
  out.experts.resize(static_cast<std::size_t>(spec.experts));
  if (!names.stacked_gate.empty() && loader_.has(name(names.stacked_gate) + ".weight")) {
    stacked_experts(layer, out);
  } else if (!names.transposed_gate_up.empty() &&
             loader_.has(name(names.transposed_gate_up) + "_blocks")) {
    microscaled_experts(layer, out);
  } else if (!names.transposed_gate_up.empty()) {
    transposed_experts(layer, out);
  } else {
    for (std::int32_t e = 0; e < spec.experts; ++e) {
      MlpWeights& expert = out.experts[static_cast<std::size_t>(e)];
      const std::int64_t inner = spec.intermediate_size;
      const std::int64_t hidden = spec_.hidden_size;
      expert.gate.weight = loader_.matrix(expert_name(names.gate, layer, e), inner, hidden);
      expert.up.weight = loader_.matrix(expert_name(names.up, layer, e), inner, hidden);
      expert.down.weight = loader_.matrix(expert_name(names.down, layer, e), hidden, inner);
    }
  }
  if (spec.expert_bias) expert_biases(layer, out);
  for (const MlpWeights& expert : out.experts) {
    out.views.push_back({expert.gate.weight.get(), expert.up.weight.get(), expert.down.weight.get(),
                         expert.gate.bias_data(), expert.up.bias_data(), expert.down.bias_data()});
  }
  if (spec.shared_intermediate_size > 0) {
    const std::int64_t inner = spec.shared_intermediate_size;
    constexpr auto kNo = DecoderSpec::Bias::kNo;
    out.shared.gate = linear(name(names.shared_gate), inner, spec_.hidden_size, kNo);
    out.shared.up = linear(name(names.shared_up), inner, spec_.hidden_size, kNo);
    out.shared.down = linear(name(names.shared_down), spec_.hidden_size, inner, kNo);
  }
}

void WeightReader::stacked_experts(std::size_t layer, MoeWeights& out) {
  const MoeSpec& spec = *spec_.moe;
  const auto read = [&](const std::string& pattern, std::int64_t rows, std::int64_t columns,
                        Linear MlpWeights::*member) {
    const std::string name = layer_name(pattern, layer) + ".weight";
    for (std::int32_t e = 0; e < spec.experts; ++e) {
      (out.experts[static_cast<std::size_t>(e)].*member).weight =
          loader_.slab(name, spec.experts, e, rows, columns);
    }
  };
  read(spec.names.stacked_gate, spec.intermediate_size, spec_.hidden_size, &MlpWeights::gate);
  read(spec.names.stacked_up, spec.intermediate_size, spec_.hidden_size, &MlpWeights::up);
  read(spec.names.stacked_down, spec_.hidden_size, spec.intermediate_size, &MlpWeights::down);
}

void WeightReader::transposed_experts(std::size_t layer, MoeWeights& out) {
  const MoeSpec& spec = *spec_.moe;
  const std::int64_t inner = spec.intermediate_size;
  const std::int64_t hidden = spec_.hidden_size;
  const std::int64_t step = spec.gate_up_in_turns ? 2 : 1;
  const std::string gate_up = layer_name(spec.names.transposed_gate_up, layer);
  const std::string down = layer_name(spec.names.transposed_down, layer);
  const DType type = loader_.dtype(gate_up);
  for (std::int32_t e = 0; e < spec.experts; ++e) {
    MlpWeights& expert = out.experts[static_cast<std::size_t>(e)];
    const std::vector<float> both = loader_.part(gate_up, {spec.experts, hidden, 2 * inner}, e);
    const auto half = [&](std::int64_t first) {
      return loader_.computed(transposed(both, hidden, 2 * inner, first, step, inner), inner,
                              hidden, type);
    };
    expert.gate.weight = half(0);
    expert.up.weight = half(spec.gate_up_in_turns ? 1 : inner);
    const std::vector<float> stored = loader_.part(down, {spec.experts, inner, hidden}, e);
    expert.down.weight =
        loader_.computed(transposed(stored, inner, hidden, 0, 1, hidden), hidden, inner, type);
  }
  loader_.release(gate_up);
  loader_.release(down);
}

void WeightReader::microscaled_experts(std::size_t layer, MoeWeights& out) {
  constexpr std::int64_t kBlock = 32;
  const MoeSpec& spec = *spec_.moe;
  const std::int64_t inner = spec.intermediate_size;
  const std::int64_t hidden = spec_.hidden_size;
  if (inner % kBlock != 0 || hidden % kBlock != 0) {
    throw make_error(ErrorKind::kInvalidFile,
                     "experts of sizes {} and {} cannot be MXFP4, whose blocks have {} values",
                     inner, hidden, kBlock);
  }
  const std::int64_t step = spec.gate_up_in_turns ? 2 : 1;
  const auto read = [&](const std::string& pattern, std::int32_t e, std::int64_t stored_rows,
                        std::int64_t columns, std::int64_t first, std::int64_t by,
                        std::int64_t rows) -> std::shared_ptr<const ops::Weight> {
    const std::string name = layer_name(pattern, layer);
    const std::int64_t blocks = columns / kBlock;
    const auto codes =
        loader_.bytes(name + "_blocks", {spec.experts, stored_rows, blocks, kBlock / 2}, e);
    const auto scales = loader_.bytes(name + "_scales", {spec.experts, stored_rows, blocks}, e);
    if (!loader_.loads()) return loader_.encoded({}, DType::kMXFP4, rows, columns);
    return loader_.encoded(to_blocks(codes, scales, blocks, first, by, rows), DType::kMXFP4, rows,
                           columns);
  };
  for (std::int32_t e = 0; e < spec.experts; ++e) {
    MlpWeights& expert = out.experts[static_cast<std::size_t>(e)];
    const std::string& gate_up = spec.names.transposed_gate_up;
    expert.gate.weight = read(gate_up, e, 2 * inner, hidden, 0, step, inner);
    expert.up.weight =
        read(gate_up, e, 2 * inner, hidden, spec.gate_up_in_turns ? 1 : inner, step, inner);
    expert.down.weight = read(spec.names.transposed_down, e, hidden, inner, 0, 1, hidden);
  }
}

void WeightReader::expert_biases(std::size_t layer, MoeWeights& out) {
  const MoeSpec& spec = *spec_.moe;
  const MoeNames& names = spec.names;
  const std::int64_t inner = spec.intermediate_size;
  const auto read = [&](const std::string& name, std::int64_t size) {
    return loader_.values(name, {spec.experts, size});
  };
  // The part of an expert: every `step`-th of `size` values from `first`.
  const auto take = [&](const std::vector<float>& all, std::size_t expert, std::int64_t size,
                        std::int64_t first, std::int64_t step, std::int64_t count) {
    std::vector<float> result;
    for (std::int64_t i = 0; !all.empty() && i < count; ++i) {
      result.push_back(all[expert * static_cast<std::size_t>(size) +
                           static_cast<std::size_t>(first + i * step)]);
    }
    return result;
  };
  const std::vector<float> down = read(layer_name(names.down_bias, layer), spec_.hidden_size);
  std::vector<float> gate_up;
  std::vector<float> gate;
  std::vector<float> up;
  if (!names.gate_up_bias.empty()) {
    gate_up = read(layer_name(names.gate_up_bias, layer), 2 * inner);
  } else {
    gate = read(layer_name(names.stacked_gate, layer) + ".bias", inner);
    up = read(layer_name(names.stacked_up, layer) + ".bias", inner);
  }
  const std::int64_t step = spec.gate_up_in_turns ? 2 : 1;
  for (std::size_t e = 0; e < out.experts.size(); ++e) {
    MlpWeights& expert = out.experts[e];
    expert.down.bias = take(down, e, spec_.hidden_size, 0, 1, spec_.hidden_size);
    if (!names.gate_up_bias.empty()) {
      expert.gate.bias = take(gate_up, e, 2 * inner, 0, step, inner);
      expert.up.bias = take(gate_up, e, 2 * inner, spec.gate_up_in_turns ? 1 : inner, step, inner);
    } else {
      expert.gate.bias = take(gate, e, inner, 0, 1, inner);
      expert.up.bias = take(up, e, inner, 0, 1, inner);
    }
  }
}

}  // namespace mistral::nn
