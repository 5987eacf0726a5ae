#include "server/api/sampling_fields.h"

#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "server/api/error.h"

namespace mistral::server {
namespace {

constexpr std::int64_t kLow32 = std::numeric_limits<std::int32_t>::min();
constexpr std::int64_t kHigh32 = std::numeric_limits<std::int32_t>::max();

template <typename To, typename From>
void override_with(const std::optional<From>& given, To& value) {
  if (given) value = static_cast<typename To::value_type>(*given);
}

template <typename From>
void set(const std::optional<From>& given, From& value) {
  if (given) value = *given;
}

// The same setting under the names that different servers gave it.
template <typename Read>
auto first_of(const Fields& fields, std::string_view name, std::string_view other, Read read) {
  return fields.has(name) || !fields.has(other) ? read(name) : read(other);
}

void read_logit_bias(const Fields& fields, SamplingParams& params) {
  const Json* biases = fields.object("logit_bias");
  if (biases == nullptr) return;
  params.logit_bias.clear();
  for (const auto& [key, value] : biases->items()) {
    TokenId id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (key.empty() || error != std::errc() || end != key.data() + key.size()) {
      fields.wrong_value("logit_bias", "its keys must be token ids.");
    }
    if (!value.is_number()) {
      fields.wrong_value("logit_bias", fmt::format("the value of '{}' is no number.", id));
    }
    params.logit_bias.emplace_back(id, value.get<double>());
  }
}

void read_penalties(const Fields& fields, SamplingParams& params) {
  override_with(fields.number("frequency_penalty"), params.frequency_penalty);
  override_with(fields.number("presence_penalty"), params.presence_penalty);
  override_with(first_of(fields, "repetition_penalty", "repeat_penalty",
                         [&](std::string_view name) { return fields.number(name); }),
                params.repetition_penalty);
  override_with(fields.number("dry_multiplier"), params.dry_multiplier);
  set(fields.number("dry_base"), params.dry_base);
  if (const auto length = fields.integer("dry_allowed_length", kLow32, kHigh32)) {
    params.dry_allowed_length = static_cast<std::int32_t>(*length);
  }
  if (fields.array("dry_sequence_breakers") != nullptr) {
    params.dry_sequence_breakers = *fields.strings("dry_sequence_breakers");
  }
}

}  // namespace

SamplingParams default_sampling(const SamplingParams& recommended) {
  SamplingParams params = recommended;
  if (!params.temperature) params.temperature = 1.0;
  return params;
}

SamplingParams read_sampling(const Fields& fields, const SamplingParams& defaults) {
  SamplingParams params = defaults;
  override_with(fields.number("temperature"), params.temperature);
  override_with(fields.number("top_p"), params.top_p);
  override_with(fields.integer("top_k", kLow32, kHigh32), params.top_k);
  override_with(fields.number("min_p"), params.min_p);
  override_with(fields.number("top_n_sigma"), params.top_n_sigma);
  override_with(fields.number("typical_p"), params.typical_p);
  override_with(fields.number("xtc_probability"), params.xtc_probability);
  set(fields.number("xtc_threshold"), params.xtc_threshold);
  override_with(fields.number("mirostat_tau"), params.mirostat_tau);
  set(fields.number("mirostat_eta"), params.mirostat_eta);
  read_penalties(fields, params);
  read_logit_bias(fields, params);
  override_with(fields.integer("seed"), params.seed);
  if (const auto stop = fields.strings("stop")) params.stop = *stop;
  override_with(fields.integer("max_tokens", 0, kHigh32), params.max_tokens);
  override_with(fields.integer("max_completion_tokens", 1, kHigh32), params.max_tokens);
  set(fields.integer("min_tokens"), params.min_tokens);
  set(fields.boolean("ignore_eos"), params.ignore_eos);
  return params;
}

}  // namespace mistral::server
