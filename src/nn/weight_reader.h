// Reads the parts of a layer (projections, norms, experts) by the names of a DecoderSpec.
#pragma once

#include <span>
#include <string>

#include "nn/decoder_weights.h"

namespace mistral::nn {

class WeightReader {
 public:
  WeightReader(const DecoderSpec& spec, WeightLoader& loader) : spec_(spec), loader_(loader) {}

  [[nodiscard]] Linear linear(const std::string& name, std::int64_t out, std::int64_t in,
                              DecoderSpec::Bias bias);
  // Rows of a matrix of `stored_rows` rows, and of its bias.
  [[nodiscard]] Linear linear_rows(const std::string& name, std::int64_t stored_rows,
                                   std::int64_t in, std::span<const RowRange> ranges,
                                   DecoderSpec::Bias bias);
  // A norm over `size` values; with `heads` of them side by side, [heads, size]. An empty name: the
  // norm is not present.
  [[nodiscard]] Norm norm(const std::string& name, std::int64_t size, std::int64_t heads = 1);

  // The attention's own weights of layer `layer`, into `out`.
  void attention(std::size_t layer, DecoderWeights::Layer& out);
  void latent_attention(std::size_t layer, DecoderWeights::Layer& out);
  void mlp(std::size_t layer, MlpWeights& out);
  void moe(std::size_t layer, MoeWeights& out);

 private:
  [[nodiscard]] bool wants_bias(const std::string& name, DecoderSpec::Bias bias) const;
  void stacked_experts(std::size_t layer, MoeWeights& out);
  void transposed_experts(std::size_t layer, MoeWeights& out);
  void microscaled_experts(std::size_t layer, MoeWeights& out);
  void expert_biases(std::size_t layer, MoeWeights& out);

  const DecoderSpec& spec_;
  WeightLoader& loader_;
};

// `pattern` with its first "{}" replaced by the layer; empty stays empty.
[[nodiscard]] std::string layer_name(const std::string& pattern, std::size_t layer);

}  // namespace mistral::nn
