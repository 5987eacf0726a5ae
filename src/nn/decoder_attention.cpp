// The attention half of a layer, with keys and values per head or through a latent vector.
#include <algorithm>
#include <cstring>

#include "nn/decoder.h"

namespace mistral::nn {
namespace {

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

void Decoder::reserve_attention() {
  unsigned output_forms = 0;
  unsigned query_up_forms = 0;
  for (const Layer& layer : weights_.layers) {
    output_forms |= layer.output.input_form();
    query_up_forms |= layer.latent.query_up.input_form();
  }
  const std::int64_t rows = options_.max_batch_rows;
  const std::int64_t heads = spec_.heads;
  key_ = PageBuffer(float_bytes(rows, std::int64_t{spec_.kv_heads} * spec_.head_dim));
  if (spec_.query_scaling) query_scales_.resize(static_cast<std::size_t>(rows));
  if (!spec_.latent) {
    query_ = PageBuffer(float_bytes(rows, heads * spec_.head_dim));
    value_ = PageBuffer(float_bytes(rows, std::int64_t{spec_.kv_heads} * spec_.value_dim));
    (void)attended_.view(rows, heads * spec_.value_dim, output_forms);
    return;
  }
  const LatentSpec& latent = *spec_.latent;
  query_ = PageBuffer(float_bytes(rows, heads * (latent.plain_dim + latent.rope_dim)));
  latent_query_ = PageBuffer(float_bytes(rows, heads * spec_.head_dim));
  (void)latent_attended_.view(rows, heads * latent.rank, ops::kFormF32);
  (void)attended_.view(rows, heads * latent.value_dim, output_forms);
  if (latent.query_rank > 0) {
    query_down_ = PageBuffer(float_bytes(rows, latent.query_rank));
    (void)query_down_normed_.view(rows, latent.query_rank, query_up_forms);
  }
}

ops::CacheWriteParams Decoder::cache_write(const Layer& layer, std::size_t index) const {
  const LayerSpec& spec = spec_.layers[index];
  ops::CacheWriteParams write;
  write.heads = spec_.heads;
  if (spec.rope >= 0) write.rope = &ropes_[static_cast<std::size_t>(spec.rope)].table();
  if (spec.scale_queries) write.query_scales = query_scales_.data();
  if (spec_.query_key_norm == DecoderSpec::QueryKeyNorm::kAllHeads) return write;
  if (layer.query_norm) write.query_norm = layer.query_norm.params();
  if (layer.key_norm) write.key_norm = layer.key_norm.params();
  if (spec_.query_key_norm == DecoderSpec::QueryKeyNorm::kOwnWeights) {
    write.norm_weight_step = spec_.head_dim;
  }
  write.norm_after_rope = spec_.query_key_norm == DecoderSpec::QueryKeyNorm::kUnweighted;
  return write;
}

ops::Rows Decoder::project(const Layer& layer, std::size_t index, ops::ConstRows hidden) {
  const std::int64_t rows = hidden.rows;
  const ops::Activations normed =
      normalise(layer.attention_norm, hidden, normed_,
                layer.query.input_form() | layer.key.input_form() | layer.value.input_form());
  const ops::Rows q = rows_of(query_, rows, layer.query.weight->out());
  const ops::Rows k = rows_of(key_, rows, layer.key.weight->out());
  const ops::Rows v = rows_of(value_, rows, layer.value.weight->out());
  const ops::LinearOutput projections[] = {
      {layer.query.weight.get(), layer.query.bias_data(), q, 1.0F, false},
      {layer.key.weight.get(), layer.key.bias_data(), k, 1.0F, false},
      {layer.value.weight.get(), layer.value.bias_data(), v, 1.0F, false},
  };
  backend_.linear(normed, projections);
  if (spec_.query_key_norm == DecoderSpec::QueryKeyNorm::kAllHeads) {
    if (layer.query_norm) backend_.norm_rows(layer.query_norm.params(), q, q, false);
    if (layer.key_norm) backend_.norm_rows(layer.key_norm.params(), k, k, false);
  }
  backend_.write_cache(cache_write(layer, index), cache_.layer(index),
                       sequences_[cache_.group_of(index)], q, k, v);
  return q;
}

ops::Rows Decoder::project_latent(const Layer& layer, std::size_t index, ops::ConstRows hidden) {
  const LatentSpec& spec = *spec_.latent;
  const LatentWeights& weights = layer.latent;
  const std::int64_t rows = hidden.rows;
  const std::int64_t head = std::int64_t{spec.plain_dim} + spec.rope_dim;
  const Linear& first = weights.query_down ? weights.query_down : weights.query_up;
  const ops::Activations normed = normalise(layer.attention_norm, hidden, normed_,
                                            first.input_form() | weights.latent.input_form());
  const ops::Rows q = rows_of(query_, rows, spec_.heads * head);
  const ops::Rows down = rows_of(query_down_, rows, spec.query_rank);
  const ops::Rows k = rows_of(key_, rows, std::int64_t{spec.rank} + spec.rope_dim);
  const ops::LinearOutput projections[] = {
      {first.weight.get(), first.bias_data(), weights.query_down ? down : q, 1.0F, false},
      {weights.latent.weight.get(), weights.latent.bias_data(), k, 1.0F, false},
  };
  backend_.linear(normed, projections);
  if (weights.query_down) {
    const ops::Activations in =
        normalise(weights.query_down_norm, down, query_down_normed_, weights.query_up.input_form());
    const ops::LinearOutput up{weights.query_up.weight.get(), weights.query_up.bias_data(), q, 1.0F,
                               false};
    backend_.linear(in, {&up, 1});
  }
  const ops::Rows latent{k.data, rows, spec.rank, k.stride};
  backend_.norm_rows(weights.latent_norm.params(), latent, latent, false);

  const ops::Rows latent_q = rows_of(latent_query_, rows, spec_.heads * spec_.head_dim);
  backend_.head_linear({weights.key_views, head, spec_.head_dim}, q, latent_q);
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t h = 0; h < spec_.heads; ++h) {
      std::memcpy(latent_q.row(r) + h * spec_.head_dim + spec.rank,
                  q.row(r) + h * head + spec.plain_dim, float_bytes(1, spec.rope_dim));
    }
  }
  backend_.write_cache(cache_write(layer, index), cache_.layer(index),
                       sequences_[cache_.group_of(index)], latent_q, k, {});
  return latent_q;
}

ops::Activations Decoder::attention(const Layer& layer, std::size_t index, ops::Rows& hidden,
                                    const std::vector<std::int32_t>* wanted) {
  const std::int64_t rows = hidden.rows;
  const ops::Rows q =
      spec_.latent ? project_latent(layer, index, hidden) : project(layer, index, hidden);
  const auto count = wanted != nullptr ? static_cast<std::int64_t>(wanted->size()) : rows;
  const unsigned form = layer.output.input_form();
  const std::int64_t width = layer.output.weight->in();
  if (count == 0) {
    hidden = hidden.slice(0, 0);
    return attended_.view(0, width, form);
  }
  const LayerSpec& spec = spec_.layers[index];
  ops::AttentionParams params;
  params.heads = spec_.heads;
  params.scale = static_cast<float>(spec_.attention_scale);
  params.softcap = static_cast<float>(spec_.attention_softcap);
  params.window = spec.window;
  params.chunk = spec.chunk;
  if (!layer.sinks.empty()) params.sinks = layer.sinks.data();
  const bool complete = count == rows && !spec_.latent;
  ops::Activations attended =
      spec_.latent
          ? latent_attended_.view(rows, std::int64_t{spec_.heads} * spec_.value_dim, ops::kFormF32)
          : attended_.view(rows, width, complete ? form : ops::kFormF32);
  backend_.attention(params, cache_.layer(index), sequences_[cache_.group_of(index)], q, attended);
  if (complete) return attended;
  if (count < rows) {
    gather(*wanted, attended.as_rows());
    gather(*wanted, hidden);
    hidden = hidden.slice(0, count);
  }
  ops::Activations result = attended_.view(count, width, form);
  if (spec_.latent) {
    const ops::Rows in = attended.as_rows().slice(0, count);
    backend_.head_linear({layer.latent.value_views, spec_.latent->rank, spec_.latent->value_dim},
                         in, result.as_rows());
  }
  backend_.quantize(result.as_rows(), result);
  return result;
}

}  // namespace mistral::nn
