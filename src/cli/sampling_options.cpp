#include "cli/sampling_options.h"

#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "cli/command.h"

namespace mistral::cli {

namespace {

constexpr std::int64_t kMaxTokens = std::numeric_limits<std::int32_t>::max();

// What a chat model is sampled with when its authors recommend nothing.
constexpr double kTemperature = 0.1;
constexpr std::int32_t kTopK = 32;
constexpr double kTopP = 0.1;
constexpr double kMinP = 0.05;
constexpr double kRepeatPenalty = 0.1;  // frequency and presence: keeps small models from looping

const std::string kSamplingGroup =
    "Sampling (default: what the model recommends, else temperature "
    "0.1, top-k 32, top-p 0.1, min-p 0.05, frequency and presence penalty 0.1)";
const std::string kPenaltyGroup = "Penalties";
constexpr const char* kNoBreakers = "none";

template <typename Value>
CLI::Option* add(CLI::App& app, const std::string& group, const char* name, Value& value,
                 const char* help, const char* type) {
  return app.add_option(name, value, help)->type_name(type)->group(group);
}

template <typename Number>
bool read(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

std::pair<TokenId, double> read_bias(std::string_view text) {
  const std::size_t equals = text.find('=');
  std::pair<TokenId, double> bias;
  if (equals == std::string_view::npos || !read(text.substr(0, equals), bias.first) ||
      !read(text.substr(equals + 1), bias.second)) {
    throw UsageError(fmt::format(
        "--logit-bias: '{}', expected a token id and a number, for example 15043=-2.5", text));
  }
  return bias;
}

template <typename Value>
void override_with(const std::optional<Value>& given, std::optional<Value>& value) {
  if (given) value = given;
}

}  // namespace

void SamplingOptions::add_cutoffs(CLI::App& app) {
  const std::string& group = kSamplingGroup;
  add(app, group, "--temperature", given_.temperature, "randomness; 0: always the likeliest token",
      "X");
  add(app, group, "--top-k", given_.top_k, "keep the K likeliest tokens; 0: off", "K");
  add(app, group, "--top-p", given_.top_p,
      "keep the likeliest tokens that together reach P; 1: off", "P");
  add(app, group, "--min-p", given_.min_p, "drop tokens below P times the likeliest; 0: off", "P");
  add(app, group, "--top-n-sigma", given_.top_n_sigma,
      "keep logits that are at most N standard deviations below the largest; 0: off", "N");
  add(app, group, "--typical-p", given_.typical_p,
      "keep the tokens of the most expected surprise that together reach P; 1: off", "P");
  add(app, group, "--xtc-probability", given_.xtc_probability,
      "how often all top choices but the least likely one are excluded; 0: off", "P");
  add(app, group, "--xtc-threshold", given_.xtc_threshold,
      "the probability that makes a token a top choice (default: 0.1)", "P");
  add(app, group, "--mirostat-tau", given_.mirostat_tau,
      "Mirostat 2 in place of the cut-offs: surprise in bits to aim at", "TAU");
  add(app, group, "--mirostat-eta", given_.mirostat_eta, "how fast Mirostat adapts (default: 0.1)",
      "ETA");
}

void SamplingOptions::add_penalties(CLI::App& app) {
  const std::string& group = kPenaltyGroup;
  add(app, group, "--repetition-penalty", given_.repetition_penalty,
      "divides the logits of tokens that occurred; 1: off", "X");
  add(app, group, "--frequency-penalty", given_.frequency_penalty,
      "taken from a logit for each occurrence of its token", "X");
  add(app, group, "--presence-penalty", given_.presence_penalty,
      "taken from the logits of tokens that occurred", "X");
  add(app, group, "--dry-multiplier", given_.dry_multiplier,
      "DRY: what prolongs a repetition loses multiplier * base^(length - allowed length)", "X");
  add(app, group, "--dry-base", given_.dry_base, "(default: 1.75)", "X");
  add(app, group, "--dry-allowed-length", given_.dry_allowed_length, "(default: 2)", "N");
  add(app, group, "--dry-sequence-breaker", given_.dry_sequence_breakers,
      "text that ends a repetition, may be given again; none: no text does (default: line feed, "
      "colon, quotation mark, asterisk)",
      "TEXT")
      ->allow_extra_args(false);
  add(app, group, "--logit-bias", logit_bias_,
      "adds BIAS to the logit of token ID; may be given again", "ID=BIAS")
      ->allow_extra_args(false);
}

void SamplingOptions::add_options(CLI::App& app) {
  add_cutoffs(app);
  const std::string& group = kSamplingGroup;
  add(app, group, "--seed", given_.seed, "makes answers repeatable", "N");
  add(app, group, "--max-tokens", given_.max_tokens,
      "longest answer (default: until the context is full)", "N")
      ->check(CLI::Range(std::int64_t{1}, kMaxTokens));
  add(app, group, "--min-tokens", given_.min_tokens,
      "the answer does not end before it has N tokens", "N")
      ->check(CLI::Range(std::int64_t{0}, kMaxTokens));
  add(app, group, "--stop", given_.stop, "text that ends the answer; may be given again", "TEXT")
      ->allow_extra_args(false);
  app.add_flag("--ignore-eos", given_.ignore_eos, "go on after the token that ends an answer")
      ->group(group);
  app.add_flag("--greedy", greedy_, "as --temperature 0")->group(group);
  add_penalties(app);
}

SamplingParams SamplingOptions::resolve(const SamplingParams& model_defaults) const {
  SamplingParams params = model_defaults;
  const bool model_recommends = params.temperature || params.top_k || params.top_p || params.min_p;
  if (!model_recommends) {
    params.temperature = kTemperature;
    params.top_k = kTopK;
    params.top_p = kTopP;
    params.min_p = kMinP;
  } else if (!params.temperature) {
    params.temperature = 1.0;  // what generation_config.json means when it does not say
  }
  override_with(given_.temperature, params.temperature);
  if (greedy_) params.temperature = 0.0;
  // Who asks for the likeliest token wants exactly that.
  if (params.temperature == 0.0) {
    params.repetition_penalty.reset();
  } else if (!model_recommends) {
    params.frequency_penalty = kRepeatPenalty;
    params.presence_penalty = kRepeatPenalty;
  }
  override_with(given_.top_k, params.top_k);
  override_with(given_.top_p, params.top_p);
  override_with(given_.min_p, params.min_p);
  override_with(given_.top_n_sigma, params.top_n_sigma);
  override_with(given_.typical_p, params.typical_p);
  override_with(given_.xtc_probability, params.xtc_probability);
  params.xtc_threshold = given_.xtc_threshold;
  override_with(given_.mirostat_tau, params.mirostat_tau);
  params.mirostat_eta = given_.mirostat_eta;
  override_with(given_.repetition_penalty, params.repetition_penalty);
  override_with(given_.frequency_penalty, params.frequency_penalty);
  override_with(given_.presence_penalty, params.presence_penalty);
  override_with(given_.dry_multiplier, params.dry_multiplier);
  params.dry_base = given_.dry_base;
  params.dry_allowed_length = given_.dry_allowed_length;
  params.dry_sequence_breakers = given_.dry_sequence_breakers;
  if (params.dry_sequence_breakers == std::vector<std::string>{kNoBreakers}) {
    params.dry_sequence_breakers.clear();
  }
  for (const std::string& bias : logit_bias_) params.logit_bias.push_back(read_bias(bias));
  override_with(given_.seed, params.seed);
  override_with(given_.max_tokens, params.max_tokens);
  params.min_tokens = given_.min_tokens;
  params.ignore_eos = given_.ignore_eos;
  if (!given_.stop.empty()) params.stop = given_.stop;
  return params;
}

}  // namespace mistral::cli
