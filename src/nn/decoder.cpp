#include "nn/decoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>

#include "core/error.h"

namespace mistral::nn {

float QueryScaling::at(std::int32_t position) const {
  return static_cast<float>(std::log(std::floor((position + 1.0) / floor) + 1.0) * scale + 1.0);
}

Decoder::Decoder(DecoderSpec spec, DecoderWeights weights, ops::Backend& backend,
                 DecoderOptions options)
    : spec_(std::move(spec)),
      weights_(std::move(weights)),
      backend_(backend),
      options_(options),
      cache_(spec_, options.cache_dtype, options.block_size, options.cache_bytes) {
  // In latent attention the dims that rotate stand behind those of the latent vector.
  const std::int32_t first_dim = spec_.latent ? spec_.latent->rank : 0;
  for (const RopeSpec& rope : spec_.ropes) {
    ropes_.emplace_back(rope, first_dim, options.max_batch_rows, options.context_length);
  }
  unsigned normed_forms = weights_.head.input_form();
  for (const Layer& layer : weights_.layers) {
    for (const Linear* linear : {&layer.query, &layer.key, &layer.value, &layer.latent.query_down,
                                 &layer.latent.latent, &layer.mlp.gate, &layer.mlp.up,
                                 &layer.moe.router, &layer.moe.shared.gate, &layer.moe.shared.up}) {
      normed_forms |= linear->input_form();
    }
    if (!layer.latent.query_down) normed_forms |= layer.latent.query_up.input_form();
    for (const MlpWeights& expert : layer.moe.experts) {
      normed_forms |= expert.gate.input_form() | expert.up.input_form();
    }
  }
  const std::int64_t rows = options_.max_batch_rows;
  const std::size_t stream = float_bytes(rows, spec_.hidden_size);
  hidden_ = PageBuffer(stream);
  branch_ = PageBuffer(stream);
  (void)normed_.view(rows, spec_.hidden_size, normed_forms);
  reserve_attention();
  reserve_ffn();
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
  for (const BatchSequence& s : batch.sequences) {
    for (std::int32_t i = 0; i < s.row_count; ++i) {
      for (RopeRows& rope : ropes_) rope.set(s.first_row + i, s.first_position + i, s.rope_length);
      if (spec_.query_scaling) {
        query_scales_[static_cast<std::size_t>(s.first_row + i)] =
            spec_.query_scaling->at(s.first_position + i);
      }
    }
  }
}

ops::Activations Decoder::normalise(const Norm& norm, ops::ConstRows rows,
                                    ops::ActivationBuffer& buffer, unsigned forms) {
  const ops::Activations result = buffer.view(rows.rows, rows.cols, forms);
  if (norm) {
    backend_.norm(norm.params(), rows, result);
  } else {
    backend_.quantize(rows, result);
  }
  return result;
}

void Decoder::add_to_residual(const ops::Activations& in, const Linear& linear, const Norm& norm,
                              ops::Rows hidden) {
  ops::LinearOutput output{linear.weight.get(), linear.bias_data(), hidden,
                           static_cast<float>(spec_.residual_scale), true};
  if (!norm) {
    backend_.linear(in, {&output, 1});
    return;
  }
  output.out = rows_of(branch_, hidden.rows, hidden.cols);
  output.accumulate = false;
  backend_.linear(in, {&output, 1});
  backend_.norm_rows(norm.params(), output.out, hidden, true);
}

void Decoder::compute_logits(ops::Rows hidden, std::span<float> logits) {
  const ops::Activations normed =
      normalise(weights_.final_norm, hidden, normed_, weights_.head.input_form());
  const ops::Rows out{logits.data(), hidden.rows, spec_.vocab_size, spec_.vocab_size};
  const ops::LinearOutput head{weights_.head.weight.get(), weights_.head.bias_data(), out,
                               static_cast<float>(spec_.logit_scale), false};
  backend_.linear(normed, {&head, 1});
  if (spec_.logit_softcap > 0) backend_.softcap(static_cast<float>(spec_.logit_softcap), out);
}

std::int64_t Decoder::rope_key(std::int32_t rope_length) const {
  std::int64_t key = 0;
  for (const RopeSpec& rope : spec_.ropes) key = (key << 32) | rope.regime(rope_length);
  return key;
}

void Decoder::take_states(const Batch& batch, ops::Rows& hidden, std::span<float> states) {
  ops::Rows normed = hidden;
  if (weights_.final_norm) {
    normed = rows_of(branch_, hidden.rows, hidden.cols);
    backend_.norm_rows(weights_.final_norm.params(), hidden, normed, false);
  }
  const std::size_t bytes = float_bytes(1, hidden.cols);
  const auto width = static_cast<std::size_t>(hidden.cols);
  std::size_t state = 0;
  std::int64_t kept = 0;
  for (std::int64_t i = 0; i < hidden.rows; ++i) {
    const std::int32_t row = wanted_[static_cast<std::size_t>(i)];
    if (state < batch.hidden_rows.size() && batch.hidden_rows[state] == row) {
      std::memcpy(states.data() + state++ * width, normed.row(i), bytes);
    }
    const auto next = static_cast<std::size_t>(kept);
    if (next < batch.logit_rows.size() && batch.logit_rows[next] == row) {
      if (kept != i) std::memcpy(hidden.row(kept), hidden.row(i), bytes);
      ++kept;
    }
  }
  hidden.rows = kept;
}

void Decoder::forward(const Batch& batch, std::span<float> logits, std::span<float> states) {
  if (batch.rows() == 0) return;
  prepare_sequences(batch);
  const std::vector<std::int32_t>* wanted = &batch.logit_rows;
  if (!batch.hidden_rows.empty()) {
    wanted_.clear();
    std::ranges::set_union(batch.logit_rows, batch.hidden_rows, std::back_inserter(wanted_));
    wanted = &wanted_;
  }
  ops::Rows hidden = rows_of(hidden_, batch.rows(), spec_.hidden_size);
  backend_.embed(*weights_.embedding.weight, batch.tokens,
                 static_cast<float>(spec_.embedding_scale), hidden);
  // What follows the last layer's keys and values is of use only where logits are wanted.
  const std::size_t last = weights_.layers.size() - 1;
  for (std::size_t i = 0; i <= last; ++i) {
    const Layer& layer = weights_.layers[i];
    const ops::Activations attended = attention(layer, i, hidden, i == last ? wanted : nullptr);
    if (hidden.rows == 0) return;
    if (!spec_.parallel_residual) {
      add_to_residual(attended, layer.output, layer.post_attention_norm, hidden);
      ffn(layer, hidden);
      continue;
    }
    const Norm& norm = layer.ffn_norm ? layer.ffn_norm : layer.attention_norm;
    const ops::Activations normed =
        normalise(norm, hidden, normed_, layer.mlp.gate.input_form() | layer.mlp.up.input_form());
    const ops::Activations gated = mlp(layer.mlp, normed, gated_);
    add_to_residual(attended, layer.output, layer.post_attention_norm, hidden);
    add_to_residual(gated, layer.mlp.down, layer.post_ffn_norm, hidden);
  }
  if (!batch.hidden_rows.empty()) {
    take_states(batch, hidden, states);
    if (hidden.rows == 0) return;
  }
  compute_logits(hidden, logits);
}

}  // namespace mistral::nn
