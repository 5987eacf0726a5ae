// What a text model family gives: how its config or its GGUF metadata become a DecoderSpec. One
// file per family; registry.cpp lists them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/hyper_parameters.h"
#include "nn/decoder_spec.h"

namespace mistral::models {

struct TextFamily {
  std::string_view name;                                 // as `info` prints it and -a takes it
  std::span<const std::string_view> hf_architectures;    // config.json "architectures"
  std::span<const std::string_view> gguf_architectures;  // general.architecture
  nn::DecoderSpec (*from_config)(const Config& config);
  nn::DecoderSpec (*from_gguf)(const GgufParameters& gguf);  // null: no GGUF architecture
};

// Tensor names that most Hugging Face models share, and those of GGUF files.
[[nodiscard]] nn::TensorNames hugging_face_names();
[[nodiscard]] nn::TensorNames gguf_names();

// The sizes that all families have under the same keys; checks that they make sense together.
// Sets vocab_size, hidden_size, intermediate_size, heads, kv_heads, head_dim (`default_head_dim`
// when the config does not say, and hidden_size / heads when that is 0), value_dim, context_length,
// one LayerSpec per layer, norm_epsilon, attention_scale = 1/sqrt(head_dim).
[[nodiscard]] nn::DecoderSpec common_spec(const Config& config, std::int32_t default_head_dim = 0);
[[nodiscard]] nn::DecoderSpec common_spec(const GgufParameters& gguf);

// rope_theta and rope_scaling of a config; `rotary_dim` dims of a head rotate.
[[nodiscard]] nn::RopeSpec rope_from_config(const Config& config, std::int32_t rotary_dim);
// rope.freq_base, rope.scaling.*, rope_freqs.weight and rope_factors_*.weight of a GGUF file.
[[nodiscard]] nn::RopeSpec rope_from_gguf(const GgufParameters& gguf, std::int32_t rotary_dim);
// The dims of a head that rotate: `key`'s share of head_dim; rope.dimension_count of a GGUF file.
[[nodiscard]] std::int32_t rotary_dim(const Config& config, std::string_view key, double fallback,
                                      std::int32_t head_dim);
[[nodiscard]] std::int32_t rotary_dim(const GgufParameters& gguf, std::int32_t head_dim);

// The activation of this name; Error naming file and key when it is unknown.
[[nodiscard]] ops::Activation activation_from_config(const Config& config, std::string_view key,
                                                     std::string_view fallback);

// An integer from `least` to `most`, a number above 0.
[[nodiscard]] std::int64_t integer_in(const Config& config, std::string_view key,
                                      std::optional<std::int64_t> fallback, std::int64_t least,
                                      std::int64_t most);
[[nodiscard]] std::int64_t integer_in(const GgufParameters& gguf, std::string_view key,
                                      std::optional<std::int64_t> fallback, std::int64_t least,
                                      std::int64_t most);
[[nodiscard]] double positive(const Config& config, std::string_view key,
                              std::optional<double> fallback);
[[nodiscard]] double positive(const GgufParameters& gguf, std::string_view key,
                              std::optional<double> fallback);
// The size of a hidden vector of any kind: 1 to what keeps products of sizes within 64 bits.
template <typename Source>
[[nodiscard]] std::int64_t size_of(const Source& source, std::string_view key,
                                   std::optional<std::int64_t> fallback = std::nullopt) {
  return integer_in(source, key, fallback, 1, std::int64_t{1} << 24);
}

[[nodiscard]] inline nn::DecoderSpec::Bias bias_if(bool has) {
  return has ? nn::DecoderSpec::Bias::kYes : nn::DecoderSpec::Bias::kNo;
}
[[nodiscard]] nn::DecoderSpec::Tied tied_from_config(const Config& config, bool fallback);
// A window in positions; 0 when the key is absent, and in GGUF files also when it is 0.
[[nodiscard]] std::int32_t window_of(const Config& config, std::string_view key);
[[nodiscard]] std::int32_t window_of(const GgufParameters& gguf, std::string_view key);
// Gives every layer this window.
void set_window(nn::DecoderSpec& spec, std::int32_t window);

// Per layer whether it slides: from "layer_types" when the config has it, else every layer but each
// pattern-th. Throws Error when the list's length is not the number of layers.
[[nodiscard]] std::vector<bool> sliding_layers(const Config& config, std::size_t layers,
                                               std::int64_t pattern);
// What the config says of layers that do not rotate positions: the zeros of no_rope_layers, else
// every no_rope_layer_interval-th.
void set_unrotated_layers(const Config& config, std::int64_t interval, nn::DecoderSpec& spec);
// What the config says of windows in the manner of Qwen: switched on by use_sliding_window, for
// layers from max_window_layers on or those that layer_types names.
void set_qwen_windows(const Config& config, nn::DecoderSpec& spec);

// expert_count, expert_used_count and expert_feed_forward_length of a GGUF file, and the names of
// its experts. Routing: softmax, the chosen weights made to sum to 1.
[[nodiscard]] nn::MoeSpec moe_from_gguf(const GgufParameters& gguf, std::int64_t fallback_size);
// The number of experts and of those in use under these keys.
[[nodiscard]] nn::MoeSpec moe_from_config(const Config& config, std::string_view count_key,
                                          std::string_view used_key);

}  // namespace mistral::models
