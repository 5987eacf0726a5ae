#include "nn/weight_reader.h"

#include <fmt/format.h>

#include "core/error.h"

namespace mistral::nn {

std::string layer_name(const std::string& pattern, std::size_t layer) {
  return pattern.empty() ? pattern : fmt::format(fmt::runtime(pattern), layer);
}

bool WeightReader::wants_bias(const std::string& name, DecoderSpec::Bias bias) const {
  return bias == DecoderSpec::Bias::kYes ||
         (bias == DecoderSpec::Bias::kOptional && loader_.has(name + ".bias"));
}

Linear WeightReader::linear(const std::string& name, std::int64_t out, std::int64_t in,
                            DecoderSpec::Bias bias) {
  Linear result;
  result.weight = loader_.matrix(name + ".weight", out, in);
  if (wants_bias(name, bias)) result.bias = loader_.vector(name + ".bias", out);
  return result;
}

Linear WeightReader::linear_rows(const std::string& name, std::int64_t stored_rows, std::int64_t in,
                                 std::span<const RowRange> ranges, DecoderSpec::Bias bias) {
  Linear result;
  result.weight = loader_.matrix_rows(name + ".weight", stored_rows, in, ranges);
  if (wants_bias(name, bias)) {
    result.bias = loader_.vector_parts(name + ".bias", stored_rows, ranges);
  }
  return result;
}

Norm WeightReader::norm(const std::string& name, std::int64_t size, std::int64_t heads) {
  Norm result;
  if (name.empty()) return result;
  result.present = true;
  result.kind = spec_.norm_kind;
  result.epsilon = static_cast<float>(spec_.norm_epsilon);
  const std::string weight = name + ".weight";
  const auto read = [&](const std::string& tensor) {
    return heads == 1 ? loader_.vector(tensor, size) : loader_.values(tensor, {heads, size});
  };
  result.weight = read(weight);
  for (float& value : result.weight) value += spec_.norm_weight_offset;
  if (spec_.norm_kind == ops::NormParams::Kind::kLayer && loader_.has(name + ".bias")) {
    result.bias = read(name + ".bias");
  }
  return result;
}

void WeightReader::attention(std::size_t layer, DecoderWeights::Layer& out) {
  const TensorNames& names = spec_.names;
  const auto name = [&](const std::string& pattern) { return layer_name(pattern, layer); };
  const std::int64_t heads = spec_.heads;
  const std::int64_t head_dim = spec_.head_dim;
  const std::int64_t query = heads * head_dim;
  const std::int64_t key = std::int64_t{spec_.kv_heads} * head_dim;
  const std::int64_t value = std::int64_t{spec_.kv_heads} * spec_.value_dim;
  const std::string qkv = name(names.qkv);
  const bool fused = !qkv.empty() && (names.query.empty() || loader_.has(qkv + ".weight"));
  if (fused) {
    std::vector<RowRange> rows[3];
    if (spec_.qkv_layout == DecoderSpec::QkvLayout::kStacked) {
      rows[0] = {{0, query}};
      rows[1] = {{query, key}};
      rows[2] = {{query + key, value}};
    } else {
      for (std::int64_t h = 0; h < heads; ++h) {
        for (std::int64_t part = 0; part < 3; ++part) {
          rows[part].push_back({(3 * h + part) * head_dim, head_dim});
        }
      }
    }
    Linear* const parts[] = {&out.query, &out.key, &out.value};
    for (std::size_t i = 0; i < 3; ++i) {
      *parts[i] = linear_rows(qkv, query + key + value, spec_.hidden_size, rows[i], spec_.qkv_bias);
    }
    if (spec_.qkv_layout == DecoderSpec::QkvLayout::kByHead) loader_.release(qkv + ".weight");
  } else {
    out.query = linear(name(names.query), query, spec_.hidden_size, spec_.qkv_bias);
    out.key = linear(name(names.key), key, spec_.hidden_size, spec_.qkv_bias);
    out.value = linear(name(names.value), value, spec_.hidden_size, spec_.qkv_bias);
  }
  out.output =
      linear(name(names.output), spec_.hidden_size, heads * spec_.value_dim, spec_.output_bias);
  switch (spec_.query_key_norm) {
    case DecoderSpec::QueryKeyNorm::kHead:
      out.query_norm = norm(name(names.query_norm), head_dim);
      out.key_norm = norm(name(names.key_norm), head_dim);
      break;
    case DecoderSpec::QueryKeyNorm::kOwnWeights:
      out.query_norm = norm(name(names.query_norm), head_dim, heads);
      out.key_norm = norm(name(names.key_norm), head_dim, spec_.kv_heads);
      break;
    case DecoderSpec::QueryKeyNorm::kAllHeads:
      out.query_norm = norm(name(names.query_norm), query);
      out.key_norm = norm(name(names.key_norm), key);
      break;
    case DecoderSpec::QueryKeyNorm::kUnweighted:
      if (spec_.layers[layer].rope >= 0) {
        out.query_norm.present = true;
        out.query_norm.epsilon = static_cast<float>(spec_.norm_epsilon);
        out.key_norm = out.query_norm;
      }
      break;
  }
  if (!names.sinks.empty()) {
    const std::string sinks = name(names.sinks);
    out.sinks = loader_.vector(loader_.has(sinks) ? sinks : sinks + ".weight", heads);
  }
}

void WeightReader::latent_attention(std::size_t layer, DecoderWeights::Layer& out) {
  const LatentSpec& spec = *spec_.latent;
  const auto name = [&](const std::string& pattern) { return layer_name(pattern, layer); };
  LatentWeights& latent = out.latent;
  const std::int64_t heads = spec_.heads;
  const std::int64_t rank = spec.rank;
  const std::int64_t query = heads * (std::int64_t{spec.plain_dim} + spec.rope_dim);
  std::int64_t query_in = spec_.hidden_size;
  if (spec.query_rank > 0) {
    latent.query_down =
        linear(name(spec.query_down), spec.query_rank, spec_.hidden_size, spec_.qkv_bias);
    latent.query_down_norm = norm(name(spec.query_down_norm), spec.query_rank);
    query_in = spec.query_rank;
  }
  latent.query_up = linear(name(spec.query_up), query, query_in, DecoderSpec::Bias::kNo);
  latent.latent =
      linear(name(spec.latent), rank + spec.rope_dim, spec_.hidden_size, spec_.qkv_bias);
  latent.latent_norm = norm(name(spec.latent_norm), rank);

  const std::string both = name(spec.key_value_up) + ".weight";
  const std::string key = name(spec.key_up) + ".weight";
  const std::string value = name(spec.value_up) + ".weight";
  const std::int64_t plain = spec.plain_dim;
  const std::int64_t per_head = plain + spec.value_dim;
  const bool split = !spec.key_up.empty() && loader_.has(key);
  for (std::int64_t h = 0; h < heads; ++h) {
    if (split) {
      latent.key.push_back(loader_.slab(key, heads, h, rank, plain));
      latent.value.push_back(loader_.slab(value, heads, h, spec.value_dim, rank));
    } else {
      // A key's product with a query is the query's product with the transposed matrix.
      const std::vector<float> head =
          loader_.rows(both, {heads * per_head, rank}, {h * per_head, plain});
      std::vector<float> transposed(head.size());
      for (std::int64_t r = 0; !head.empty() && r < plain; ++r) {
        for (std::int64_t c = 0; c < rank; ++c) {
          transposed[static_cast<std::size_t>(c * plain + r)] =
              head[static_cast<std::size_t>(r * rank + c)];
        }
      }
      latent.key.push_back(loader_.computed(transposed, rank, plain, loader_.dtype(both)));
      const RowRange rows{h * per_head + plain, spec.value_dim};
      latent.value.push_back(loader_.matrix_rows(both, heads * per_head, rank, {&rows, 1}));
    }
    latent.key_views.push_back(latent.key.back().get());
    latent.value_views.push_back(latent.value.back().get());
  }
  out.output = linear(name(spec_.names.output), spec_.hidden_size, heads * spec.value_dim,
                      spec_.output_bias);
}

void WeightReader::mlp(std::size_t layer, MlpWeights& out) {
  const TensorNames& names = spec_.names;
  const auto name = [&](const std::string& pattern) { return layer_name(pattern, layer); };
  const std::int64_t inner = spec_.intermediate_size;
  if (!names.gate_up.empty()) {
    const RowRange gate{0, inner};
    const RowRange up{inner, inner};
    const std::string both = name(names.gate_up);
    out.gate = linear_rows(both, 2 * inner, spec_.hidden_size, {&gate, 1}, spec_.mlp_bias);
    out.up = linear_rows(both, 2 * inner, spec_.hidden_size, {&up, 1}, spec_.mlp_bias);
  } else {
    if (!names.gate.empty()) {
      out.gate = linear(name(names.gate), inner, spec_.hidden_size, spec_.mlp_bias);
    }
    out.up = linear(name(names.up), inner, spec_.hidden_size, spec_.mlp_bias);
  }
  out.down = linear(name(names.down), spec_.hidden_size, inner, spec_.mlp_bias);
}

}  // namespace mistral::nn
