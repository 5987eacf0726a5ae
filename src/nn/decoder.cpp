#include "nn/decoder.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"

namespace mistral::nn {
namespace {

constexpr std::size_t kAlignment = 64;

std::size_t float_bytes(std::int64_t rows, std::int64_t cols) {
  return static_cast<std::size_t>(rows * cols) * sizeof(float);
}

// Moves the rows named by `wanted`, which rises, to the front: none overwrites one still needed.
void gather(const std::vector<std::int32_t>& wanted, ops::Rows rows) {
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto to = static_cast<std::int64_t>(i);
    if (wanted[i] != to) {
      std::memcpy(rows.row(to), rows.row(wanted[i]), float_bytes(1, rows.cols));
    }
  }
}

}  // namespace

Decoder::ActivationBuffer::ActivationBuffer(std::int64_t max_rows, std::int64_t cols,
                                            unsigned forms)
    : cols_(cols) {
  std::size_t size = 0;
  const auto reserve = [&](std::size_t bytes) {
    const std::size_t offset = size;
    size += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return offset;
  };
  const auto count = static_cast<std::size_t>(max_rows * cols);
  struct Offsets {
    std::size_t codes, scales, sums16, sums32;
  };
  const auto reserve_quantized = [&](std::size_t block) {
    return Offsets{reserve(count), reserve(count / block * sizeof(float)),
                   reserve(count / 16 * sizeof(std::int32_t)),
                   reserve(count / 32 * sizeof(std::int32_t))};
  };
  const std::size_t values = reserve(count * sizeof(float));
  const bool has32 = (forms & ops::kFormQ8x32) != 0;
  const bool has256 = (forms & ops::kFormQ8x256) != 0;
  const Offsets q32 = has32 ? reserve_quantized(32) : Offsets{};
  const Offsets q256 = has256 ? reserve_quantized(256) : Offsets{};
  const bool has_bf16 = (forms & ops::kFormBF16) != 0;
  const std::size_t bf16 =
      has_bf16
          ? reserve(static_cast<std::size_t>(max_rows * ((cols + 1) / 2)) * sizeof(std::uint32_t))
          : 0;
  memory_ = PageBuffer(size);
  const auto at = [&](std::size_t offset) { return memory_.data() + offset; };
  const auto place = [&](const Offsets& o) {
    return ops::Activations::Quantized{reinterpret_cast<std::int8_t*>(at(o.codes)),
                                       reinterpret_cast<float*>(at(o.scales)),
                                       reinterpret_cast<std::int32_t*>(at(o.sums16)),
                                       reinterpret_cast<std::int32_t*>(at(o.sums32))};
  };
  full_.values = reinterpret_cast<float*>(at(values));
  if (has32) full_.q32 = place(q32);
  if (has256) full_.q256 = place(q256);
  if (has_bf16) full_.bf16 = reinterpret_cast<std::uint32_t*>(at(bf16));
}

ops::Activations Decoder::ActivationBuffer::view(std::int64_t rows, unsigned forms) const {
  ops::Activations result = full_;
  result.forms = forms;
  result.rows = rows;
  result.cols = cols_;
  return result;
}

Decoder::Decoder(DecoderSpec spec, DecoderWeights weights, ops::Backend& backend,
                 DecoderOptions options)
    : spec_(std::move(spec)),
      weights_(std::move(weights)),
      backend_(backend),
      options_(options),
      cache_(spec_, options.cache_dtype, options.block_size, options.cache_bytes) {
  for (const RopeSpec& rope : spec_.ropes) ropes_.emplace_back(rope, options.max_batch_rows);
  unsigned normed_forms = weights_.head.input_form();
  unsigned attended_forms = 0;
  unsigned gated_forms = 0;
  for (const DecoderWeights::Layer& layer : weights_.layers) {
    normed_forms |= layer.query.input_form() | layer.key.input_form() | layer.value.input_form() |
                    layer.up.input_form();
    if (layer.gate) normed_forms |= layer.gate.input_form();
    attended_forms |= layer.output.input_form();
    gated_forms |= layer.down.input_form();
  }
  const std::int64_t rows = options_.max_batch_rows;
  const std::int64_t query_size = static_cast<std::int64_t>(spec_.heads) * spec_.head_dim;
  const std::int64_t value_size = static_cast<std::int64_t>(spec_.heads) * spec_.value_dim;
  hidden_ = PageBuffer(float_bytes(rows, spec_.hidden_size));
  branch_ = PageBuffer(float_bytes(rows, spec_.hidden_size));
  query_ = PageBuffer(float_bytes(rows, query_size));
  key_ = PageBuffer(float_bytes(rows, static_cast<std::int64_t>(spec_.kv_heads) * spec_.head_dim));
  value_ =
      PageBuffer(float_bytes(rows, static_cast<std::int64_t>(spec_.kv_heads) * spec_.value_dim));
  normed_ = ActivationBuffer(rows, spec_.hidden_size, normed_forms);
  attended_ = ActivationBuffer(rows, value_size, attended_forms);
  gated_ = ActivationBuffer(rows, spec_.intermediate_size, gated_forms);
  sequences_.resize(cache_.groups().size());
}

void Decoder::prepare_sequences(const Batch& batch) {
  for (std::size_t g = 0; g < sequences_.size(); ++g) {
    sequences_[g].clear();
    for (const BatchSequence& s : batch.sequences) {
      sequences_[g].push_back(
          {s.first_row, s.row_count, s.first_position, s.block_tables[g].data()});
    }
  }
  for (RopeRows& rope : ropes_) {
    for (const BatchSequence& s : batch.sequences) {
      for (std::int32_t i = 0; i < s.row_count; ++i) {
        rope.set(s.first_row + i, s.first_position + i, s.rope_length);
      }
    }
  }
}

void Decoder::add_to_residual(const ops::Activations& in, const Linear& linear, const Norm& norm,
                              ops::Rows hidden) {
  ops::LinearOutput output{linear.weight.get(), linear.bias_data(), hidden, 1.0F, true};
  if (!norm) {
    backend_.linear(in, {&output, 1});
    return;
  }
  output.out = rows_of(branch_, hidden.rows, hidden.cols);
  output.accumulate = false;
  backend_.linear(in, {&output, 1});
  backend_.norm_rows(norm.params(), output.out, hidden, true);
}

ops::Rows Decoder::attention_block(const DecoderWeights::Layer& layer, std::size_t index,
                                   ops::Rows hidden, const std::vector<std::int32_t>* wanted) {
  const std::int64_t rows = hidden.rows;
  const ops::Activations normed = normed_.view(
      rows, layer.query.input_form() | layer.key.input_form() | layer.value.input_form());
  backend_.norm(layer.attention_norm.params(), hidden, normed);
  const ops::Rows q = rows_of(query_, rows, layer.query.weight->out());
  const ops::Rows k = rows_of(key_, rows, layer.key.weight->out());
  const ops::Rows v = rows_of(value_, rows, layer.value.weight->out());
  const ops::LinearOutput projections[] = {
      {layer.query.weight.get(), layer.query.bias_data(), q, 1.0F, false},
      {layer.key.weight.get(), layer.key.bias_data(), k, 1.0F, false},
      {layer.value.weight.get(), layer.value.bias_data(), v, 1.0F, false},
  };
  backend_.linear(normed, projections);

  const LayerSpec& spec = spec_.layers[index];
  const auto& sequences = sequences_[cache_.group_of(index)];
  ops::CacheWriteParams write;
  write.heads = spec_.heads;
  if (spec.rope >= 0) write.rope = &ropes_[static_cast<std::size_t>(spec.rope)].table();
  if (layer.query_norm) write.query_norm = layer.query_norm.params();
  if (layer.key_norm) write.key_norm = layer.key_norm.params();
  backend_.write_cache(write, cache_.layer(index), sequences, q, k, v);

  const auto count = wanted != nullptr ? static_cast<std::int64_t>(wanted->size()) : rows;
  if (count == 0) return hidden.slice(0, 0);
  const ops::AttentionParams params{spec_.heads, static_cast<float>(spec_.attention_scale),
                                    static_cast<float>(spec_.attention_softcap), spec.window};
  const unsigned form = layer.output.input_form();
  ops::Activations attended = attended_.view(rows, count == rows ? form : ops::kFormF32);
  backend_.attention(params, cache_.layer(index), sequences, q, attended);
  if (count < rows) {
    gather(*wanted, attended.as_rows());
    gather(*wanted, hidden);
    hidden = hidden.slice(0, count);
    attended = attended_.view(count, form);
    backend_.quantize(attended.as_rows(), attended);
  }
  add_to_residual(attended, layer.output, layer.post_attention_norm, hidden);
  return hidden;
}

void Decoder::ffn_block(const DecoderWeights::Layer& layer, ops::Rows hidden) {
  const ops::Activations normed =
      normed_.view(hidden.rows, layer.gate.input_form() | layer.up.input_form());
  backend_.norm(layer.ffn_norm.params(), hidden, normed);
  const ops::Activations gated = gated_.view(hidden.rows, layer.down.input_form());
  backend_.gated_linear(normed, *layer.gate.weight, layer.gate.bias_data(), *layer.up.weight,
                        layer.up.bias_data(), spec_.activation, gated);
  add_to_residual(gated, layer.down, layer.post_ffn_norm, hidden);
}

void Decoder::compute_logits(ops::Rows hidden, std::span<float> logits) {
  const std::int64_t count = hidden.rows;
  const ops::Activations normed = normed_.view(count, weights_.head.input_form());
  backend_.norm(weights_.final_norm.params(), hidden, normed);
  const ops::Rows out{logits.data(), count, spec_.vocab_size, spec_.vocab_size};
  const ops::LinearOutput head{weights_.head.weight.get(), weights_.head.bias_data(), out, 1.0F,
                               false};
  backend_.linear(normed, {&head, 1});
  if (spec_.logit_softcap > 0) backend_.softcap(static_cast<float>(spec_.logit_softcap), out);
}

void Decoder::forward(const Batch& batch, std::span<float> logits) {
  if (batch.rows() == 0) return;
  prepare_sequences(batch);
  ops::Rows hidden = rows_of(hidden_, batch.rows(), spec_.hidden_size);
  backend_.embed(*weights_.embedding.weight, batch.tokens,
                 static_cast<float>(spec_.embedding_scale), hidden);
  // What follows the last layer's keys and values is of use only where logits are wanted.
  const std::size_t last = weights_.layers.size() - 1;
  for (std::size_t i = 0; i <= last; ++i) {
    hidden =
        attention_block(weights_.layers[i], i, hidden, i == last ? &batch.logit_rows : nullptr);
    if (hidden.rows > 0) ffn_block(weights_.layers[i], hidden);
  }
  if (hidden.rows > 0) compute_logits(hidden, logits);
}

}  // namespace mistral::nn
