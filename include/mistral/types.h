// Value types of the public API.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace mistral {

using TokenId = std::int32_t;

// Changes the logits of the next token. `tokens` are the ids of the prompt and of the answer so
// far; `logits` has one entry for each id of the vocabulary, and -infinity forbids an id. Called
// once for each token on the engine's thread, so it should be quick; what it throws ends its
// request alone.
using LogitsProcessor =
    std::function<void(std::span<const TokenId> tokens, std::span<float> logits)>;

// A language that the text of an answer must belong to. docs/constraints.md describes the kinds.
struct Constraint {
  enum class Kind {
    kRegex,       // a regular expression that the whole answer matches
    kJsonSchema,  // a JSON schema, as JSON text
    kJsonObject,  // any JSON object; the text is empty
    kLark,        // a Lark grammar
    kGbnf,        // a grammar in GBNF or EBNF
    kYacc,        // a Yacc grammar
    kTagged,      // free text with parts that follow JSON schemas, such as calls of tools
  };
  Kind kind = Kind::kRegex;
  std::string text;
  friend bool operator==(const Constraint&, const Constraint&) = default;
};

// How the next token is chosen. Unset fields are off; an unset temperature means greedy, unless
// the model's own generation settings are asked for (Model::default_sampling()). A request with a
// value outside of the range given here is refused with the name of the field. "Huge" numbers, over
// a million, are outside of every range that does not say otherwise.
//
// Order: repetition penalty, DRY, frequency and presence penalty, logit_bias, logits_processors,
// min_tokens; then greedy, or: temperature, softmax, top_n_sigma, top_k, top_p, min_p, typical_p,
// XTC (mirostat in place of all these cut-offs), draw. Up to min_p, cut-offs refer to the softmax
// over the whole vocabulary; typical_p and XTC to what is left of it, normalised.
struct SamplingParams {
  std::optional<double> temperature;  // >= 0; below 1e-7: greedy
  std::optional<std::int32_t> top_k;  // keep the k most likely tokens; 0 or -1: off
  std::optional<double> top_p;        // 0 to 1: keep the smallest head that reaches p; 0 and 1: off
  std::optional<double> min_p;        // 0 to 1: drop tokens with p <= min_p * p_max; 0 and 1: off
  // >= 0: keep logits of at least max - n * (standard deviation of all logits); 0: off.
  std::optional<double> top_n_sigma;
  // 0 to 1: keep the tokens whose surprise is nearest to the expected one until they reach p; 0 and
  // 1: off.
  std::optional<double> typical_p;
  // Exclude top choices: with this probability (0 to 1), of the tokens that have at least the
  // probability xtc_threshold only the least likely one stays.
  std::optional<double> xtc_probability;
  double xtc_threshold = 0.1;  // 0 to 1; above 0.5 nothing is excluded
  // Mirostat 2: the surprise in bits that tokens shall have on average, > 0; unset: off. Tokens are
  // dropped above a bound that begins at twice that and follows what is drawn at the rate eta, > 0.
  std::optional<double> mirostat_tau;
  double mirostat_eta = 0.1;

  // With a seed, the same prompt and settings give the same answer whatever else runs. Unset: a
  // fresh one for each request.
  std::optional<std::uint64_t> seed;
  std::vector<std::string> stop;  // text that ends the answer and is cut off; none empty
  // 1 to 2^31 - 1; unset: until the model ends or the context is full.
  std::optional<std::int64_t> max_tokens;
  std::int64_t min_tokens = 0;  // before that many tokens neither end token nor stop string ends it
  bool ignore_eos = false;      // go on after an end token

  // Applied to the logits before the temperature. They look at the ids of the prompt and of the
  // answer so far.
  std::optional<double> repetition_penalty;  // >= 1e-6; divides positive logits of ids that
                                             // occurred, multiplies others
  std::optional<double> dry_multiplier;  // DRY, >= 0: punishes what would prolong a repetition by
  double dry_base = 1.75;                // multiplier * base^(length - allowed_length), >= 0
  std::int32_t dry_allowed_length = 2;   // >= 0
  // Texts that end a repetition: the last token of each, where it follows other text. Without a
  // tokenizer there are none.
  std::vector<std::string> dry_sequence_breakers = {"\n", ":", "\"", "*"};
  std::optional<double> frequency_penalty;             // subtracted once for each occurrence
  std::optional<double> presence_penalty;              // subtracted once from ids that occurred
  std::vector<std::pair<TokenId, double>> logit_bias;  // added
  std::vector<LogitsProcessor> logits_processors;      // called in order

  // What the text of the answer must look like. Applied after min_tokens' and all other changes of
  // logits; tokens that it leaves no choice about are not drawn. The answer ends where the
  // constraint says that nothing can follow.
  std::optional<Constraint> constraint;

  // Report the natural logarithm of each chosen token's probability, and with top_logprobs (0 to
  // 256) of that many most likely ones: of the softmax at this temperature (greedy: 1) before the
  // cut-offs.
  bool logprobs = false;
  std::int32_t top_logprobs = 0;  // > 0: logprobs, too
};

struct TokenLogprob {
  TokenId token = -1;
  double logprob = 0;
};
struct TokenLogprobs {
  TokenLogprob chosen;
  std::vector<TokenLogprob> top;  // most likely first
};

enum class FinishReason {
  kStop,       // end token or stop string
  kLength,     // max_tokens or the context is full
  kCancelled,  // by the caller
  kError,      // see Response::error
};
[[nodiscard]] const char* to_string(FinishReason reason);

struct Usage {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;      // prompt tokens found in the prefix cache
  std::int64_t completion_tokens = 0;  // includes the final end token
  double prompt_seconds = 0;           // from submission to the first token
  double completion_seconds = 0;       // from the first token to the last
};

struct Message {
  std::string role;  // "system", "user", "assistant", "tool", or what the template knows
  std::string content;
};

}  // namespace mistral
