#include "engine/request_check.h"

#include <cmath>
#include <optional>

#include "core/error.h"

namespace mistral::engine {
namespace {

// Longer lists are a mistake or an attack: each stop string costs time at every byte.
constexpr std::size_t kMostStopStrings = 1024;

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

void check_finite(const char* field, std::optional<double> value) {
  if (value && !std::isfinite(*value)) {
    throw make_error(ErrorKind::kInvalidArgument, "{}: it is {}, expected a finite number", field,
                     *value);
  }
}

void check_sampling(const SamplingParams& s, const RequestLimits& limits) {
  check_finite("temperature", s.temperature);
  check_finite("top_p", s.top_p);
  check_finite("min_p", s.min_p);
  check_finite("repetition_penalty", s.repetition_penalty);
  check_finite("frequency_penalty", s.frequency_penalty);
  check_finite("presence_penalty", s.presence_penalty);
  check_finite("dry_multiplier", s.dry_multiplier);
  check_finite("dry_base", s.dry_base);
  if (s.temperature && *s.temperature < 0) {
    throw make_error(ErrorKind::kInvalidArgument, "temperature: it is {}, expected 0 or more",
                     *s.temperature);
  }
  if (s.repetition_penalty && *s.repetition_penalty <= 0) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "repetition_penalty: it is {}, expected more than 0", *s.repetition_penalty);
  }
  if (s.dry_multiplier && s.dry_base < 0) {
    throw make_error(ErrorKind::kInvalidArgument, "dry_base: it is {}, expected 0 or more",
                     s.dry_base);
  }
  if (s.max_tokens && *s.max_tokens < 1) {
    throw make_error(ErrorKind::kInvalidArgument, "max_tokens: it is {}, expected at least 1",
                     *s.max_tokens);
  }
  for (const auto& [id, bias] : s.logit_bias) {
    if (id < 0 || id >= limits.vocab_size) {
      throw make_error(ErrorKind::kInvalidArgument, "logit_bias: id {}, expected 0 to {}", id,
                       limits.vocab_size - 1);
    }
    check_finite("logit_bias", bias);
  }
}

void check_stops(const SamplingParams& s, const RequestLimits& limits) {
  if (s.stop.size() > kMostStopStrings) {
    throw make_error(ErrorKind::kInvalidArgument, "stop: {} strings, expected at most {}",
                     s.stop.size(), kMostStopStrings);
  }
  if (!s.stop.empty() && !limits.has_tokenizer) {
    throw Error(ErrorKind::kInvalidArgument,
                "stop: the model has no tokenizer, so its answers have no text to search");
  }
  for (std::size_t i = 0; i < s.stop.size(); ++i) {
    if (s.stop[i].empty()) {
      throw make_error(ErrorKind::kInvalidArgument, "stop[{}]: it is empty", i);
    }
    // Text is cut where a stop string begins, which must not be inside a character.
    if ((static_cast<unsigned char>(s.stop[i][0]) & 0xc0U) == 0x80U) {
      throw make_error(ErrorKind::kInvalidArgument, "stop[{}]: it begins inside a UTF-8 character",
                       i);
    }
  }
}

}  // namespace

void check_request(const Request& request, const RequestLimits& limits) {
  check_prompt(request, limits);
  check_sampling(request.sampling, limits);
  check_stops(request.sampling, limits);
}

}  // namespace mistral::engine
