#include "models/text/family.h"

#include <cmath>
#include <limits>

#include "core/error.h"
#include "quant/dequantize.h"

namespace mistral::models {
namespace {

// Far beyond any model; keeps products of sizes within 64 bits.
constexpr std::int64_t kMaxSize = std::int64_t{1} << 24;
constexpr std::int64_t kMaxLayers = 1024;
constexpr std::int64_t kMaxContext = std::int64_t{1} << 28;

template <typename Source>
std::int64_t checked(const Source& source, std::string_view key, std::int64_t value,
                     std::int64_t most) {
  if (value < 1 || value > most) {
    throw source.problem(key, fmt::format("{} is outside 1 to {}", value, most));
  }
  return value;
}

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

template <typename Source>
void check_rope(const Source& source, const nn::RopeSpec& rope) {
  if (rope.rotary_dim < 2 || rope.rotary_dim % 2 != 0) {
    throw make_error(ErrorKind::kInvalidFile, "{}: {} rotary dimensions; expected an even number",
                     source.file(), rope.rotary_dim);
  }
  if (!(rope.base > 1) || !(rope.factor > 0) || !std::isfinite(rope.base) ||
      !std::isfinite(rope.factor)) {
    throw make_error(ErrorKind::kInvalidFile,
                     "{}: rope base {} and factor {} must be finite, base above 1, factor above 0",
                     source.file(), rope.base, rope.factor);
  }
  if (rope.scaling != nn::RopeScaling::kNone && rope.scaling != nn::RopeScaling::kLinear &&
      !(rope.original_positions >= 1)) {
    throw make_error(ErrorKind::kInvalidFile,
                     "{}: rope scaling needs the original number of positions", source.file());
  }
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
  names.output = layer + "attn_output";
  names.ffn_norm = layer + "ffn_norm";
  names.gate = layer + "ffn_gate";
  names.up = layer + "ffn_up";
  names.down = layer + "ffn_down";
  return names;
}

nn::DecoderSpec common_spec(const Config& config) {
  const auto size = [&](std::string_view key, std::int64_t most) {
    return checked(config, key, config.require_integer(key), most);
  };
  nn::DecoderSpec spec;
  spec.names = hugging_face_names();
  spec.vocab_size = size("vocab_size", kMaxSize);
  spec.hidden_size = size("hidden_size", kMaxSize);
  spec.intermediate_size = size("intermediate_size", kMaxSize);
  spec.heads = static_cast<std::int32_t>(size("num_attention_heads", kMaxSize));
  spec.kv_heads = static_cast<std::int32_t>(
      checked(config, "num_key_value_heads",
              config.integer("num_key_value_heads").value_or(spec.heads), kMaxSize));
  spec.head_dim = static_cast<std::int32_t>(
      checked(config, "head_dim",
              config.integer("head_dim").value_or(spec.hidden_size / spec.heads), kMaxSize));
  spec.value_dim = spec.head_dim;
  spec.context_length = static_cast<std::int32_t>(size("max_position_embeddings", kMaxContext));
  spec.norm_epsilon = config.number("rms_norm_eps").value_or(1e-6);
  const std::int64_t layers = size("num_hidden_layers", kMaxLayers);
  finish(config, "num_key_value_heads", spec, layers);
  return spec;
}

nn::DecoderSpec common_spec(const GgufParameters& gguf) {
  const auto size = [&](std::string_view key, std::int64_t most) {
    return checked(gguf, key, gguf.require_integer(key), most);
  };
  nn::DecoderSpec spec;
  spec.names = gguf_names();
  spec.hidden_size = size("embedding_length", kMaxSize);
  spec.intermediate_size = size("feed_forward_length", kMaxSize);
  spec.heads = static_cast<std::int32_t>(size("attention.head_count", kMaxSize));
  spec.kv_heads = static_cast<std::int32_t>(
      checked(gguf, "attention.head_count_kv",
              gguf.integer("attention.head_count_kv").value_or(spec.heads), kMaxSize));
  const auto head_size = [&](std::string_view key) {
    return static_cast<std::int32_t>(
        checked(gguf, key, gguf.integer(key).value_or(spec.hidden_size / spec.heads), kMaxSize));
  };
  spec.head_dim = head_size("attention.key_length");
  spec.value_dim = head_size("attention.value_length");
  spec.context_length = static_cast<std::int32_t>(
      checked(gguf, "context_length", gguf.integer("context_length").value_or(4096), kMaxContext));
  const std::int64_t layers = size("block_count", kMaxLayers);
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

nn::RopeSpec rope_from_config(const Config& config, std::int32_t rotary_dim) {
  nn::RopeSpec rope;
  rope.rotary_dim = rotary_dim;
  rope.base = config.number("rope_theta").value_or(10000.0);
  const double positions = static_cast<double>(config.require_integer("max_position_embeddings"));
  if (const auto scaling = config.object("rope_scaling")) {
    const std::string type =
        scaling->string("rope_type").value_or(scaling->string("type").value_or("default"));
    if (type != "default") rope.factor = scaling->number("factor").value_or(1.0);
    if (type == "linear") {
      rope.scaling = nn::RopeScaling::kLinear;
    } else if (type == "dynamic") {
      rope.scaling = nn::RopeScaling::kDynamic;
      rope.original_positions = positions;
    } else if (type == "llama3") {
      rope.scaling = nn::RopeScaling::kLlama3;
      rope.factor = scaling->require_number("factor");
      rope.low_freq_factor = scaling->require_number("low_freq_factor");
      rope.high_freq_factor = scaling->require_number("high_freq_factor");
      rope.original_positions = scaling->require_number("original_max_position_embeddings");
    } else if (type == "yarn") {
      rope.scaling = nn::RopeScaling::kYarn;
      rope.original_positions = positions;
      if (const auto original = scaling->number("original_max_position_embeddings")) {
        rope.original_positions = *original;
        rope.factor = positions / *original;
      }
      rope.beta_fast = scaling->number("beta_fast").value_or(32.0);
      rope.beta_slow = scaling->number("beta_slow").value_or(1.0);
      const auto mscale = scaling->number("mscale");
      const auto mscale_all = scaling->number("mscale_all_dim");
      if (const auto given = scaling->number("attention_factor")) {
        rope.attention_factor = *given;
      } else if (mscale && mscale_all && *mscale != 0 && *mscale_all != 0) {
        rope.attention_factor = nn::yarn_attention_factor(rope.factor, *mscale) /
                                nn::yarn_attention_factor(rope.factor, *mscale_all);
      } else {
        rope.attention_factor = nn::yarn_attention_factor(rope.factor);
      }
    } else if (type != "default") {
      throw scaling->problem("rope_scaling",
                             fmt::format("type '{}' is not known; expected default, "
                                         "linear, dynamic, yarn or llama3",
                                         type));
    }
  }
  check_rope(config, rope);
  return rope;
}

nn::RopeSpec rope_from_gguf(const GgufParameters& gguf, std::int32_t rotary_dim) {
  nn::RopeSpec rope;
  rope.rotary_dim = rotary_dim;
  rope.base = gguf.number("rope.freq_base").value_or(10000.0);
  const std::string type = gguf.string("rope.scaling.type").value_or("none");
  if (type == "linear") {
    rope.scaling = nn::RopeScaling::kLinear;
    rope.factor = gguf.number("rope.scaling.factor").value_or(1.0);
  } else if (type == "yarn") {
    rope.scaling = nn::RopeScaling::kYarn;
    rope.factor = gguf.number("rope.scaling.factor").value_or(1.0);
    rope.original_positions =
        static_cast<double>(gguf.integer("rope.scaling.original_context_length")
                                .value_or(gguf.integer("context_length").value_or(0)));
    rope.beta_fast = gguf.number("rope.scaling.yarn_beta_fast").value_or(32.0);
    rope.beta_slow = gguf.number("rope.scaling.yarn_beta_slow").value_or(1.0);
    rope.attention_factor = nn::yarn_attention_factor(rope.factor) *
                            gguf.number("rope.scaling.attn_factor").value_or(1.0);
  } else if (type != "none") {
    throw gguf.problem("rope.scaling.type",
                       fmt::format("'{}' is not known; expected none, linear or yarn", type));
  }
  if (const formats::TensorInfo* factors = gguf.tensors().find("rope_freqs.weight")) {
    const std::int64_t half = rotary_dim / 2;
    if (factors->view.shape.dims != std::vector<std::int64_t>{half} ||
        factors->view.dtype != DType::kF32) {
      throw make_error(ErrorKind::kInvalidFile,
                       "{}: tensor 'rope_freqs.weight' has shape {} and type {}, expected [{}] F32",
                       gguf.file(), to_string(factors->view.shape), name(factors->view.dtype),
                       half);
    }
    rope.frequency_divisors.resize(static_cast<std::size_t>(half));
    quant::dequantize_row(DType::kF32, factors->view.data.data(), rope.frequency_divisors.data(),
                          half);
    for (const float divisor : rope.frequency_divisors) {
      if (!(divisor > 0.0F) || !std::isfinite(divisor)) {
        throw make_error(ErrorKind::kInvalidFile,
                         "{}: tensor 'rope_freqs.weight' holds {}, expected positive numbers",
                         gguf.file(), divisor);
      }
    }
  }
  check_rope(gguf, rope);
  return rope;
}

ops::Activation activation_from_config(const Config& config, std::string_view key,
                                       std::string_view fallback) {
  const std::string name = config.string(key).value_or(std::string(fallback));
  if (name == "silu" || name == "swish") return ops::Activation::kSilu;
  if (name == "gelu") return ops::Activation::kGeluErf;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new" || name == "gelu_fast") {
    return ops::Activation::kGeluTanh;
  }
  if (name == "quick_gelu") return ops::Activation::kGeluQuick;
  if (name == "relu") return ops::Activation::kRelu;
  throw config.problem(key,
                       fmt::format("activation '{}' is not known; expected silu, swish, gelu, "
                                   "gelu_new, gelu_fast, gelu_pytorch_tanh, quick_gelu or relu",
                                   name));
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

}  // namespace mistral::models
