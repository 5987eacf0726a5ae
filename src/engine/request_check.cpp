#include "engine/request_check.h"

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "text/grammar/constraint.h"

namespace mistral::engine {
namespace {

// More is a mistake or an attack: each stop string costs time at every byte.
constexpr std::size_t kMostTexts = 1024;
constexpr std::size_t kLongestText = std::size_t{1} << 16U;

void check_texts(const char* field, const std::vector<std::string>& texts) {
  if (texts.size() > kMostTexts) {
    throw make_error(ErrorKind::kInvalidArgument, "{}: {} strings, expected at most {}", field,
                     texts.size(), kMostTexts);
  }
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].empty()) {
      throw make_error(ErrorKind::kInvalidArgument, "{}[{}]: it is empty", field, i);
    }
    if (texts[i].size() > kLongestText) {
      throw make_error(ErrorKind::kInvalidArgument, "{}[{}]: {} bytes, expected at most {}", field,
                       i, texts[i].size(), kLongestText);
    }
  }
}

void check_prompt(const Request& request, const RequestLimits& limits) {
  const auto length = static_cast<std::int64_t>(request.prompt.size());
  if (length == 0) {
    throw Error(ErrorKind::kInvalidArgument, "prompt: it is empty, expected at least one token");
  }
  if (length > limits.context_length) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "prompt: it has {} tokens, but the context holds {}", length,
                     limits.context_length);
  }
  if (length > limits.cache_tokens) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "prompt: it has {} tokens, but the KV cache holds {}", length,
                     limits.cache_tokens);
  }
  for (std::size_t i = 0; i < request.prompt.size(); ++i) {
    const TokenId id = request.prompt[i];
    if (id < 0 || id >= limits.vocab_size) {
      throw make_error(ErrorKind::kInvalidArgument,
                       "prompt: token {} has the id {}, expected 0 to {}", i, id,
                       limits.vocab_size - 1);
    }
  }
}

// Nothing sensible is larger, and no sum of such numbers leaves the range of a float.
constexpr double kHuge = 1e6;
constexpr std::int64_t kMostMaxTokens = std::numeric_limits<std::int32_t>::max();
constexpr std::int32_t kMostTopLogprobs = 256;

// `value` is unset, or a number from low to high. NaN is not.
template <typename Number>
void check_range(const char* field, std::optional<Number> value, Number low, Number high) {
  if (!value || (*value >= low && *value <= high)) return;
  throw make_error(ErrorKind::kInvalidArgument, "{}: it is {}, expected {} to {}", field, *value,
                   low, high);
}

template <typename Number>
void check_positive(const char* field, Number value, Number high) {
  if (value > 0 && value <= high) return;
  throw make_error(ErrorKind::kInvalidArgument, "{}: it is {}, expected more than 0, at most {}",
                   field, value, high);
}

void check_cutoffs(const SamplingParams& s) {
  check_range("temperature", s.temperature, 0.0, kHuge);
  check_range("top_k", s.top_k, -1, std::numeric_limits<std::int32_t>::max());
  check_range("top_p", s.top_p, 0.0, 1.0);
  check_range("min_p", s.min_p, 0.0, 1.0);
  check_range("top_n_sigma", s.top_n_sigma, 0.0, kHuge);
  check_range("typical_p", s.typical_p, 0.0, 1.0);
  check_range("xtc_probability", s.xtc_probability, 0.0, 1.0);
  check_range("xtc_threshold", std::optional(s.xtc_threshold), 0.0, 1.0);
  if (s.mirostat_tau) check_positive("mirostat_tau", *s.mirostat_tau, kHuge);
  check_positive("mirostat_eta", s.mirostat_eta, kHuge);
}

void check_penalties(const SamplingParams& s, const RequestLimits& limits) {
  check_range("repetition_penalty", s.repetition_penalty, 1 / kHuge, kHuge);
  check_range("frequency_penalty", s.frequency_penalty, -kHuge, kHuge);
  check_range("presence_penalty", s.presence_penalty, -kHuge, kHuge);
  check_range("dry_multiplier", s.dry_multiplier, 0.0, kHuge);
  check_range("dry_base", std::optional(s.dry_base), 0.0, kHuge);
  check_range("dry_allowed_length", std::optional(s.dry_allowed_length), 0,
              std::numeric_limits<std::int32_t>::max());
  check_texts("dry_sequence_breakers", s.dry_sequence_breakers);
  for (const auto& [id, bias] : s.logit_bias) {
    if (id < 0 || id >= limits.vocab_size) {
      throw make_error(ErrorKind::kInvalidArgument, "logit_bias: id {}, expected 0 to {}", id,
                       limits.vocab_size - 1);
    }
    check_range("logit_bias", std::optional(bias), -kHuge, kHuge);
  }
}

void check_rest(const SamplingParams& s) {
  for (std::size_t i = 0; i < s.logits_processors.size(); ++i) {
    if (s.logits_processors[i]) continue;
    throw make_error(ErrorKind::kInvalidArgument, "logits_processors[{}]: it has no function", i);
  }
  check_range("max_tokens", s.max_tokens, std::int64_t{1}, kMostMaxTokens);
  check_range("min_tokens", std::optional(s.min_tokens), std::int64_t{0},
              s.max_tokens.value_or(kMostMaxTokens));
  check_range("top_logprobs", std::optional(s.top_logprobs), 0, kMostTopLogprobs);
}

void check_stops(const SamplingParams& s, const RequestLimits& limits) {
  check_texts("stop", s.stop);
  if (!s.stop.empty() && !limits.has_tokenizer) {
    throw Error(ErrorKind::kInvalidArgument,
                "stop: the model has no tokenizer, so its answers have no text to search");
  }
  for (std::size_t i = 0; i < s.stop.size(); ++i) {
    // Text is cut where a stop string begins, which must not be inside a character.
    if ((static_cast<unsigned char>(s.stop[i][0]) & 0xc0U) == 0x80U) {
      throw make_error(ErrorKind::kInvalidArgument, "stop[{}]: it begins inside a UTF-8 character",
                       i);
    }
  }
}

void check_constraint(const Request& request, const RequestLimits& limits) {
  if (!request.constraint) return;
  const std::size_t known = request.constraint->vocabulary().size();
  if (known != static_cast<std::size_t>(limits.vocab_size)) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "constraint: it was compiled for {} tokens, but the model has {}", known,
                     limits.vocab_size);
  }
}

}  // namespace

void check_request(const Request& request, const RequestLimits& limits) {
  check_prompt(request, limits);
  check_cutoffs(request.sampling);
  check_penalties(request.sampling, limits);
  check_rest(request.sampling);
  check_stops(request.sampling, limits);
  check_constraint(request, limits);
}

}  // namespace mistral::engine
