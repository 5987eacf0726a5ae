#include "models/text/family.h"

#include <cmath>

#include "core/error.h"

namespace mistral::models {
namespace {

// Far beyond any model; keeps products of sizes within 64 bits.
constexpr std::int64_t kMaxSize = std::int64_t{1} << 24;
constexpr std::int64_t kMaxLayers = 1024;
constexpr std::int64_t kMaxContext = std::int64_t{1} << 28;

template <typename Source>
std::int64_t checked(const Source& source, std::string_view key, std::int64_t value,
                     std::int64_t least, std::int64_t most) {
  if (value < least || value > most) {
    throw source.problem(key, fmt::format("{} is outside {} to {}", value, least, most));
  }
  return value;
}

template <typename Source>
std::int64_t checked_integer(const Source& source, std::string_view key,
                             std::optional<std::int64_t> fallback, std::int64_t least,
                             std::int64_t most) {
  const std::optional<std::int64_t> value = source.integer(key);
  if (!value && fallback) return *fallback;
  return checked(source, key, value ? *value : source.require_integer(key), least, most);
}

template <typename Source>
double checked_positive(const Source& source, std::string_view key,
                        std::optional<double> fallback) {
  const std::optional<double> value = source.number(key);
  if (!value && fallback) return *fallback;
  const double result = value ? *value : source.require_number(key);
  if (!(result > 0) || !std::isfinite(result)) {
    throw source.problem(key, fmt::format("{} is not above 0", result));
  }
  return result;
}

template <typename Source>
std::int32_t checked_rotary(const Source& source, std::string_view key, double value,
                            std::int32_t head_dim) {
  if (!(value >= 2) || value > head_dim) {
    throw source.problem(key,
                         fmt::format("makes {} of a head's {} dimensions rotate", value, head_dim));
  }
  return static_cast<std::int32_t>(value);
}

// Twice as many as in any model.
constexpr std::int64_t kMaxExperts = 1024;
constexpr std::int64_t kMaxWindow = std::int64_t{1} << 30;

template <typename Source>
void finish(const Source& source, std::string_view kv_key, nn::DecoderSpec& spec,
            std::int64_t layers) {
  if (spec.heads % spec.kv_heads != 0) {
    throw source.problem(kv_key, fmt::format("{} does not divide the number of heads, {}",
                                             spec.kv_heads, spec.heads));
  }
  if (!(spec.norm_epsilon >= 0) || spec.norm_epsilon > 1) {
    throw make_error(ErrorKind::kInvalidFile, "{}: norm epsilon {} is outside 0 to 1",
                     source.file(), spec.norm_epsilon);
  }
  spec.layers.assign(static_cast<std::size_t>(layers), nn::LayerSpec{});
  spec.attention_scale = 1.0 / std::sqrt(static_cast<double>(spec.head_dim));
}

}  // namespace

nn::TensorNames hugging_face_names() {
  nn::TensorNames names;
  names.embedding = "model.embed_tokens";
  names.final_norm = "model.norm";
  names.head = "lm_head";
  const std::string layer = "model.layers.{}.";
  names.attention_norm = layer + "input_layernorm";
  names.query = layer + "self_attn.q_proj";
  names.key = layer + "self_attn.k_proj";
  names.value = layer + "self_attn.v_proj";
  names.output = layer + "self_attn.o_proj";
  names.ffn_norm = layer + "post_attention_layernorm";
  names.gate = layer + "mlp.gate_proj";
  names.up = layer + "mlp.up_proj";
  names.down = layer + "mlp.down_proj";
  return names;
}

nn::TensorNames gguf_names() {
  nn::TensorNames names;
  names.embedding = "token_embd";
  names.final_norm = "output_norm";
  names.head = "output";
  const std::string layer = "blk.{}.";
  names.attention_norm = layer + "attn_norm";
  names.query = layer + "attn_q";
  names.key = layer + "attn_k";
  names.value = layer + "attn_v";
  names.qkv = layer + "attn_qkv";
  names.output = layer + "attn_output";
  names.ffn_norm = layer + "ffn_norm";
  names.gate = layer + "ffn_gate";
  names.up = layer + "ffn_up";
  names.down = layer + "ffn_down";
  return names;
}

nn::DecoderSpec common_spec(const Config& config, std::int32_t default_head_dim) {
  nn::DecoderSpec spec;
  spec.names = hugging_face_names();
  spec.vocab_size = size_of(config, "vocab_size");
  spec.hidden_size = size_of(config, "hidden_size");
  spec.intermediate_size = size_of(config, "intermediate_size");
  spec.heads = static_cast<std::int32_t>(size_of(config, "num_attention_heads"));
  spec.kv_heads = static_cast<std::int32_t>(size_of(config, "num_key_value_heads", spec.heads));
  const std::int64_t head_dim =
      default_head_dim > 0 ? default_head_dim : spec.hidden_size / spec.heads;
  spec.head_dim = static_cast<std::int32_t>(
      checked(config, "head_dim", config.integer("head_dim").value_or(head_dim), 1, kMaxSize));
  spec.value_dim = spec.head_dim;
  spec.context_length = static_cast<std::int32_t>(
      integer_in(config, "max_position_embeddings", std::nullopt, 1, kMaxContext));
  spec.norm_epsilon = config.number("rms_norm_eps").value_or(1e-6);
  finish(config, "num_key_value_heads", spec,
         integer_in(config, "num_hidden_layers", std::nullopt, 1, kMaxLayers));
  return spec;
}

nn::DecoderSpec common_spec(const GgufParameters& gguf) {
  nn::DecoderSpec spec;
  spec.names = gguf_names();
  spec.hidden_size = size_of(gguf, "embedding_length");
  spec.intermediate_size = size_of(gguf, "feed_forward_length");
  spec.heads = static_cast<std::int32_t>(size_of(gguf, "attention.head_count"));
  spec.kv_heads = static_cast<std::int32_t>(size_of(gguf, "attention.head_count_kv", spec.heads));
  const auto head_size = [&](std::string_view key) {
    return static_cast<std::int32_t>(
        checked(gguf, key, gguf.integer(key).value_or(spec.hidden_size / spec.heads), 1, kMaxSize));
  };
  spec.head_dim = head_size("attention.key_length");
  spec.value_dim = head_size("attention.value_length");
  spec.context_length =
      static_cast<std::int32_t>(integer_in(gguf, "context_length", 4096, 1, kMaxContext));
  const std::int64_t layers = integer_in(gguf, "block_count", std::nullopt, 1, kMaxLayers);
  if (const auto epsilon = gguf.number("attention.layer_norm_rms_epsilon")) {
    spec.norm_epsilon = *epsilon;
  } else {
    spec.norm_epsilon = gguf.require_number("attention.layer_norm_epsilon");
  }
  spec.tied_head = nn::DecoderSpec::Tied::kOptional;
  spec.qkv_bias = nn::DecoderSpec::Bias::kOptional;
  spec.output_bias = nn::DecoderSpec::Bias::kOptional;
  spec.mlp_bias = nn::DecoderSpec::Bias::kOptional;
  finish(gguf, "attention.head_count_kv", spec, layers);
  return spec;
}

std::int64_t integer_in(const Config& config, std::string_view key,
                        std::optional<std::int64_t> fallback, std::int64_t least,
                        std::int64_t most) {
  return checked_integer(config, key, fallback, least, most);
}
std::int64_t integer_in(const GgufParameters& gguf, std::string_view key,
                        std::optional<std::int64_t> fallback, std::int64_t least,
                        std::int64_t most) {
  return checked_integer(gguf, key, fallback, least, most);
}
double positive(const Config& config, std::string_view key, std::optional<double> fallback) {
  return checked_positive(config, key, fallback);
}
double positive(const GgufParameters& gguf, std::string_view key, std::optional<double> fallback) {
  return checked_positive(gguf, key, fallback);
}

std::int32_t rotary_dim(const Config& config, std::string_view key, double fallback,
                        std::int32_t head_dim) {
  const double share = config.number(key).value_or(fallback);
  return checked_rotary(config, key, std::floor(share * head_dim), head_dim);
}
std::int32_t rotary_dim(const GgufParameters& gguf, std::int32_t head_dim) {
  constexpr std::string_view kKey = "rope.dimension_count";
  return checked_rotary(gguf, kKey, static_cast<double>(gguf.integer(kKey).value_or(head_dim)),
                        head_dim);
}

nn::DecoderSpec::Tied tied_from_config(const Config& config, bool fallback) {
  return config.boolean("tie_word_embeddings").value_or(fallback) ? nn::DecoderSpec::Tied::kYes
                                                                  : nn::DecoderSpec::Tied::kNo;
}

std::int32_t window_of(const Config& config, std::string_view key) {
  return static_cast<std::int32_t>(checked_integer(config, key, 0, 1, kMaxWindow));
}
std::int32_t window_of(const GgufParameters& gguf, std::string_view key) {
  return static_cast<std::int32_t>(checked_integer(gguf, key, 0, 0, kMaxWindow));
}

void set_window(nn::DecoderSpec& spec, std::int32_t window) {
  for (nn::LayerSpec& layer : spec.layers) layer.window = window;
}

nn::MoeSpec moe_from_gguf(const GgufParameters& gguf, std::int64_t fallback_size) {
  nn::MoeSpec moe;
  moe.experts =
      static_cast<std::int32_t>(integer_in(gguf, "expert_count", std::nullopt, 1, kMaxExperts));
  moe.routing.used = static_cast<std::int32_t>(
      integer_in(gguf, "expert_used_count", std::nullopt, 1, moe.experts));
  moe.routing.normalize = true;
  moe.intermediate_size = size_of(gguf, "expert_feed_forward_length", fallback_size);
  const std::string layer = "blk.{}.";
  moe.names.router = layer + "ffn_gate_inp";
  moe.names.stacked_gate = layer + "ffn_gate_exps";
  moe.names.stacked_up = layer + "ffn_up_exps";
  moe.names.stacked_down = layer + "ffn_down_exps";
  moe.names.gate = layer + "ffn_gate.{}";  // older files
  moe.names.up = layer + "ffn_up.{}";
  moe.names.down = layer + "ffn_down.{}";
  moe.names.shared_gate = layer + "ffn_gate_shexp";
  moe.names.shared_up = layer + "ffn_up_shexp";
  moe.names.shared_down = layer + "ffn_down_shexp";
  return moe;
}

nn::MoeSpec moe_from_config(const Config& config, std::string_view count_key,
                            std::string_view used_key) {
  nn::MoeSpec moe;
  moe.experts =
      static_cast<std::int32_t>(integer_in(config, count_key, std::nullopt, 1, kMaxExperts));
  moe.routing.used =
      static_cast<std::int32_t>(integer_in(config, used_key, std::nullopt, 1, moe.experts));
  return moe;
}

ops::Activation activation_from_config(const Config& config, std::string_view key,
                                       std::string_view fallback) {
  using ops::Activation;
  struct Entry {
    std::string_view name;
    Activation activation;
  };
  static constexpr Entry kActivations[] = {
      {"silu", Activation::kSilu},
      {"swish", Activation::kSilu},
      {"swiglu", Activation::kSilu},  // silu of the gate times up: what a gated MLP computes
      {"gelu", Activation::kGeluErf},
      {"gelu_new", Activation::kGeluTanh},
      {"gelu_fast", Activation::kGeluTanh},
      {"gelu_pytorch_tanh", Activation::kGeluTanh},
      {"quick_gelu", Activation::kGeluQuick},
      {"relu", Activation::kRelu},
      {"relu2", Activation::kRelu2},
      {"relu6", Activation::kRelu6},
      {"sigmoid", Activation::kSigmoid},
      {"hardsigmoid", Activation::kHardSigmoid},
      {"hardswish", Activation::kHardSwish},
      {"elu", Activation::kElu},
      {"leakyrelu", Activation::kLeakyRelu},
      {"leaky_relu", Activation::kLeakyRelu},
  };
  const std::string name = config.string(key).value_or(std::string(fallback));
  std::string known;
  for (const Entry& entry : kActivations) {
    if (entry.name == name) return entry.activation;
    known += known.empty() ? "" : ", ";
    known += entry.name;
  }
  throw config.problem(
      key, fmt::format("activation '{}' is not known; expected one of {}", name, known));
}

std::vector<bool> sliding_layers(const Config& config, std::size_t layers, std::int64_t pattern) {
  std::vector<bool> result;
  const std::vector<std::string> types = config.strings("layer_types");
  if (!types.empty() && types.size() != layers) {
    throw config.problem("layer_types",
                         fmt::format("has {} entries for {} layers", types.size(), layers));
  }
  for (std::size_t i = 0; i < layers; ++i) {
    if (types.empty()) {
      result.push_back(pattern > 0 && (static_cast<std::int64_t>(i) + 1) % pattern != 0);
    } else if (types[i] == "sliding_attention" || types[i] == "full_attention") {
      result.push_back(types[i] == "sliding_attention");
    } else {
      throw config.problem("layer_types",
                           fmt::format("'{}' is not known; expected full_attention or "
                                       "sliding_attention",
                                       types[i]));
    }
  }
  return result;
}

void set_unrotated_layers(const Config& config, std::int64_t interval, nn::DecoderSpec& spec) {
  constexpr std::string_view kKey = "no_rope_layers";
  const std::vector<std::int64_t> rotates = config.integers(kKey);
  if (!rotates.empty() && rotates.size() != spec.layers.size()) {
    throw config.problem(
        kKey, fmt::format("has {} entries for {} layers", rotates.size(), spec.layers.size()));
  }
  interval = integer_in(config, "no_rope_layer_interval", interval, 1, kMaxLayers);
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const bool rotated =
        rotates.empty() ? (static_cast<std::int64_t>(i) + 1) % interval != 0 : rotates[i] != 0;
    if (!rotated) spec.layers[i].rope = -1;
  }
}

void set_qwen_windows(const Config& config, nn::DecoderSpec& spec) {
  const std::int32_t window = window_of(config, "sliding_window");
  if (!config.boolean("use_sliding_window").value_or(false) || window == 0) return;
  const std::int64_t first = config.integer("max_window_layers").value_or(28);
  std::vector<bool> sliding;
  if (config.has("layer_types")) sliding = sliding_layers(config, spec.layers.size(), 0);
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const bool slides = sliding.empty() ? static_cast<std::int64_t>(i) >= first : sliding[i];
    if (slides) spec.layers[i].window = window;
  }
}

}  // namespace mistral::models
