// How well a model predicts a text, measured as llama-perplexity does.
#pragma once

#include <cstdint>
#include <span>

#include "cli/session.h"

namespace mistral::cli {

struct Perplexity {
  double perplexity = 0;
  std::int64_t tokens = 0;  // scored
};

// Cuts the tokens into full windows of `window` tokens and drops the rest. Each window is run
// alone, its first token replaced by BOS if the tokenizer adds one; the predictions made from its
// second half are scored: those of the tokens window/2 + 1 to window - 1. Throws Error when there
// is no full window or the window does not fit the model.
[[nodiscard]] Perplexity measure_perplexity(Session& session, std::span<const TokenId> tokens,
                                            std::int64_t window);

// -log of the probability that the logits give to `token`, the same for any number of threads.
[[nodiscard]] double negative_log_likelihood(std::span<const float> logits, TokenId token,
                                             ThreadPool& pool);

}  // namespace mistral::cli
