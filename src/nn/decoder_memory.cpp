// How much memory the buffers of a decoder take: what reserve_attention() and reserve_ffn()
// reserve.
#include "nn/decoder.h"

namespace mistral::nn {

std::uint64_t Decoder::activation_bytes() const {
  std::uint64_t bytes = 0;
  for (const PageBuffer* buffer : {&hidden_, &branch_, &query_, &key_, &value_, &query_down_,
                                   &latent_query_, &router_logits_}) {
    bytes += buffer->size();
  }
  for (const ops::ActivationBuffer* buffer :
       {&normed_, &attended_, &query_down_normed_, &latent_attended_, &gated_, &shared_gated_}) {
    bytes += buffer->bytes();
  }
  return bytes;
}

std::uint64_t Decoder::activation_bytes(const DecoderSpec& spec, std::int64_t rows) {
  constexpr unsigned kAllForms =
      ops::kFormF32 | ops::kFormQ8x32 | ops::kFormQ8x256 | ops::kFormBF16;
  const auto in_forms = [rows](std::int64_t cols) {
    return ops::ActivationBuffer::bytes_for(rows, cols, kAllForms);
  };
  const std::int64_t heads = spec.heads;
  std::uint64_t bytes = 2 * float_bytes(rows, spec.hidden_size) + in_forms(spec.hidden_size) +
                        float_bytes(rows, std::int64_t{spec.kv_heads} * spec.head_dim) +
                        in_forms(spec.intermediate_size);
  if (spec.latent) {
    const LatentSpec& latent = *spec.latent;
    bytes += float_bytes(rows, heads * (latent.plain_dim + latent.rope_dim)) +
             float_bytes(rows, heads * spec.head_dim) + in_forms(heads * latent.rank) +
             in_forms(heads * latent.value_dim) + float_bytes(rows, latent.query_rank) +
             in_forms(latent.query_rank);
  } else {
    bytes += float_bytes(rows, heads * spec.head_dim) +
             float_bytes(rows, std::int64_t{spec.kv_heads} * spec.value_dim) +
             in_forms(heads * spec.value_dim);
  }
  if (spec.moe) {
    bytes += float_bytes(rows, spec.moe->experts) + in_forms(spec.moe->shared_intermediate_size);
  }
  return bytes;
}

}  // namespace mistral::nn
