// What a text model family gives: how its config or its GGUF metadata become a DecoderSpec. One
// file per family; registry.cpp lists them.
#pragma once

#include <span>
#include <string_view>

#include "models/hyper_parameters.h"
#include "nn/decoder_spec.h"

namespace mistral::models {

struct TextFamily {
  std::string_view name;                                 // as `info` prints it
  std::span<const std::string_view> hf_architectures;    // config.json "architectures"
  std::span<const std::string_view> gguf_architectures;  // general.architecture
  nn::DecoderSpec (*from_config)(const Config& config);
  nn::DecoderSpec (*from_gguf)(const GgufParameters& gguf);
};

// Tensor names that most Hugging Face models share, and those of GGUF files.
[[nodiscard]] nn::TensorNames hugging_face_names();
[[nodiscard]] nn::TensorNames gguf_names();

// The sizes that all families have under the same keys; checks that they make sense together.
// Sets vocab_size, hidden_size, intermediate_size, heads, kv_heads, head_dim, value_dim,
// context_length, one LayerSpec per layer, norm_epsilon, attention_scale = 1/sqrt(head_dim).
[[nodiscard]] nn::DecoderSpec common_spec(const Config& config);
[[nodiscard]] nn::DecoderSpec common_spec(const GgufParameters& gguf);

// rope_theta and rope_scaling of a config; `rotary_dim` dims of a head rotate.
[[nodiscard]] nn::RopeSpec rope_from_config(const Config& config, std::int32_t rotary_dim);
// rope.freq_base, rope.scaling.* and rope_freqs.weight of a GGUF file.
[[nodiscard]] nn::RopeSpec rope_from_gguf(const GgufParameters& gguf, std::int32_t rotary_dim);

// The activation of this name; Error naming file and key when it is unknown.
[[nodiscard]] ops::Activation activation_from_config(const Config& config, std::string_view key,
                                                     std::string_view fallback);

// Per layer whether it slides: from "layer_types" when the config has it, else every layer but each
// pattern-th. Throws Error when the list's length is not the number of layers.
[[nodiscard]] std::vector<bool> sliding_layers(const Config& config, std::size_t layers,
                                               std::int64_t pattern);

extern const TextFamily kGemma3;
extern const TextFamily kLlama;
extern const TextFamily kQwen2;

}  // namespace mistral::models
