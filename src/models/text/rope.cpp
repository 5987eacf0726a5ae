// Rotary embeddings from a config or from GGUF metadata.
#include <cmath>

#include "core/error.h"
#include "models/text/family.h"
#include "quant/dequantize.h"

namespace mistral::models {
namespace {

using nn::RopeScaling;

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
  if (rope.scaling != RopeScaling::kNone && rope.scaling != RopeScaling::kLinear &&
      !(rope.original_positions >= 1)) {
    throw make_error(ErrorKind::kInvalidFile,
                     "{}: rope scaling needs the original number of positions", source.file());
  }
}

// Divisors of frequencies from a list of the config.
std::vector<float> factors(const Config& scaling, std::string_view key, std::int32_t rotary_dim) {
  const std::vector<double> list = scaling.numbers(key);
  if (list.size() != static_cast<std::size_t>(rotary_dim / 2)) {
    throw scaling.problem(key, fmt::format("has {} numbers, expected {}: half of the dimensions "
                                           "that rotate",
                                           list.size(), rotary_dim / 2));
  }
  std::vector<float> result;
  for (const double factor : list) {
    if (!(factor > 0) || !std::isfinite(factor)) {
      throw scaling.problem(key, fmt::format("holds {}, expected positive numbers", factor));
    }
    result.push_back(static_cast<float>(factor));
  }
  return result;
}

// The same from a tensor of a GGUF file; empty when there is none.
std::vector<float> factors(const GgufParameters& gguf, std::string_view tensor,
                           std::int32_t rotary_dim) {
  const formats::TensorInfo* info = gguf.tensors().find(tensor);
  if (info == nullptr) return {};
  const std::int64_t half = rotary_dim / 2;
  if (info->view.shape.dims != std::vector<std::int64_t>{half} || info->view.dtype != DType::kF32) {
    throw make_error(ErrorKind::kInvalidFile,
                     "{}: tensor '{}' has shape {} and type {}, expected [{}] F32", gguf.file(),
                     tensor, to_string(info->view.shape), name(info->view.dtype), half);
  }
  std::vector<float> result(static_cast<std::size_t>(half));
  quant::dequantize_row(DType::kF32, info->view.data.data(), result.data(), half);
  for (const float divisor : result) {
    if (!(divisor > 0.0F) || !std::isfinite(divisor)) {
      throw make_error(ErrorKind::kInvalidFile,
                       "{}: tensor '{}' holds {}, expected positive numbers", gguf.file(), tensor,
                       divisor);
    }
  }
  return result;
}

void set_llama3(const Config& scaling, nn::RopeSpec& rope) {
  rope.scaling = RopeScaling::kLlama3;
  rope.factor = scaling.require_number("factor");
  rope.low_freq_factor = scaling.require_number("low_freq_factor");
  rope.high_freq_factor = scaling.require_number("high_freq_factor");
  rope.original_positions = scaling.require_number("original_max_position_embeddings");
}

void set_yarn(const Config& scaling, double positions, nn::RopeSpec& rope) {
  rope.scaling = RopeScaling::kYarn;
  rope.original_positions = positions;
  if (const auto original = scaling.number("original_max_position_embeddings")) {
    rope.original_positions = *original;
    rope.factor = positions / *original;
  }
  rope.beta_fast = scaling.number("beta_fast").value_or(32.0);
  rope.beta_slow = scaling.number("beta_slow").value_or(1.0);
  rope.whole_dims = scaling.boolean("truncate").value_or(true);
  const auto mscale = scaling.number("mscale");
  const auto mscale_all = scaling.number("mscale_all_dim");
  if (const auto given = scaling.number("attention_factor")) {
    rope.attention_factor = *given;
  } else if (mscale && mscale_all && *mscale != 0 && *mscale_all != 0) {
    rope.attention_factor = nn::yarn_attention_factor(rope.factor, *mscale) /
                            nn::yarn_attention_factor(rope.factor, *mscale_all);
  } else {
    rope.attention_factor = nn::yarn_attention_factor(rope.factor);
  }
}

// Phi 3's scaling: short and long factors. `type` tells how cos and sin grow.
void set_longrope(const Config& config, const Config& scaling, const std::string& type,
                  double positions, nn::RopeSpec& rope) {
  rope.scaling = RopeScaling::kLongrope;
  rope.original_positions =
      config.number("original_max_position_embeddings")
          .value_or(scaling.number("original_max_position_embeddings").value_or(positions));
  rope.frequency_divisors = factors(scaling, "short_factor", rope.rotary_dim);
  rope.long_frequency_divisors = factors(scaling, "long_factor", rope.rotary_dim);
  rope.factor = 1.0;  // the divisors say it all
  const auto short_scale = scaling.number("short_mscale");
  const auto long_scale = scaling.number("long_mscale");
  if (short_scale && long_scale) {
    rope.attention_factor = *short_scale;
    rope.long_attention_factor = *long_scale;
    return;
  }
  const double ratio = positions / rope.original_positions;
  double magnitude = 1.0;
  if (const auto given = scaling.number("attention_factor")) {
    magnitude = *given;
  } else if (ratio > 1) {
    magnitude = type == "yarn" ? nn::yarn_attention_factor(ratio)
                               : std::sqrt(1 + std::log(ratio) / std::log(rope.original_positions));
  }
  rope.attention_factor = magnitude;
  rope.long_attention_factor = magnitude;
}

}  // namespace

nn::RopeSpec rope_from_config(const Config& config, std::int32_t rotary_dim) {
  nn::RopeSpec rope;
  rope.rotary_dim = rotary_dim;
  // Newer configs hold all of it in one object.
  const std::optional<Config> parameters = config.object("rope_parameters");
  rope.base = config.number("rope_theta").value_or(10000.0);
  if (parameters) rope.base = parameters->number("rope_theta").value_or(rope.base);
  const double positions = static_cast<double>(config.require_integer("max_position_embeddings"));
  const std::optional<Config> scaling = parameters ? parameters : config.object("rope_scaling");
  if (scaling) {
    const std::string type =
        scaling->string("rope_type").value_or(scaling->string("type").value_or("default"));
    const bool by_factors = scaling->has("short_factor");
    if (type != "default") rope.factor = scaling->number("factor").value_or(1.0);
    if (type == "longrope" || type == "su" || (type == "yarn" && by_factors)) {
      set_longrope(config, *scaling, type, positions, rope);
    } else if (type == "linear") {
      rope.scaling = RopeScaling::kLinear;
    } else if (type == "dynamic") {
      rope.scaling = RopeScaling::kDynamic;
      rope.original_positions = positions;
    } else if (type == "llama3") {
      set_llama3(*scaling, rope);
    } else if (type == "yarn") {
      set_yarn(*scaling, positions, rope);
    } else if (type != "default") {
      throw scaling->problem("rope_scaling",
                             fmt::format("type '{}' is not known; expected default, linear, "
                                         "dynamic, yarn, llama3, longrope or su",
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
  // A factor without a type divides positions; older files call it otherwise, and 0 is none.
  const std::string type = gguf.string("rope.scaling.type").value_or("linear");
  const auto original = [&] {
    return static_cast<double>(gguf.integer("rope.scaling.original_context_length")
                                   .value_or(gguf.integer("context_length").value_or(0)));
  };
  if (type == "linear") {
    const double factor =
        gguf.number("rope.scaling.factor").value_or(gguf.number("rope.scale_linear").value_or(1.0));
    if (factor != 0.0 && factor != 1.0) {
      rope.scaling = RopeScaling::kLinear;
      rope.factor = factor;
    }
  } else if (type == "yarn") {
    rope.scaling = RopeScaling::kYarn;
    rope.factor = gguf.number("rope.scaling.factor").value_or(1.0);
    rope.original_positions = original();
    rope.beta_fast = gguf.number("rope.scaling.yarn_beta_fast").value_or(32.0);
    rope.beta_slow = gguf.number("rope.scaling.yarn_beta_slow").value_or(1.0);
    rope.attention_factor = nn::yarn_attention_factor(rope.factor) *
                            gguf.number("rope.scaling.attn_factor").value_or(1.0);
  } else if (type != "none" && type != "longrope") {
    throw gguf.problem(
        "rope.scaling.type",
        fmt::format("'{}' is not known; expected none, linear, yarn or longrope", type));
  }
  rope.frequency_divisors = factors(gguf, "rope_freqs.weight", rotary_dim);
  std::vector<float> longer = factors(gguf, "rope_factors_long.weight", rotary_dim);
  if (!longer.empty()) {
    rope.scaling = RopeScaling::kLongrope;
    rope.original_positions = original();
    rope.long_frequency_divisors = std::move(longer);
    rope.frequency_divisors = factors(gguf, "rope_factors_short.weight", rotary_dim);
    rope.attention_factor = gguf.number("rope.scaling.attn_factor").value_or(1.0);
    rope.long_attention_factor = rope.attention_factor;
  }
  check_rope(gguf, rope);
  return rope;
}

}  // namespace mistral::models
