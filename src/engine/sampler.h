// Chooses the next token: penalties → bias → logits processors → mask of a constraint → (greedy:
// argmax) | temperature → softmax → top-n-sigma → top-k → top-p → min-p → typical → XTC → draw.
// mistral/types.h says what each does. Mirostat stands in place of everything between softmax and
// draw.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/cutoffs.h"
#include "engine/distribution.h"
#include "engine/penalties.h"
#include "engine/random.h"
#include "engine/vocabulary_passes.h"
#include "mistral/types.h"

namespace mistral::grammar {
class TokenMask;
}

namespace mistral::engine {

// Buffers of a sampling thread, reused from token to token.
class SamplerScratch {
 private:
  friend class Sampler;
  std::vector<float> logits_;            // a copy, where something changes them
  std::vector<AdjustedLogit> adjusted_;  // these ids are -infinity in the copy
  std::vector<float> weights_;
  std::vector<Candidate> candidates_;
  CutoffScratch cutoffs_;
  // The row of the last call.
  std::span<const float> row_;
  double max_ = 0;    // the largest of row_ and adjusted_
  double sigma_ = 0;  // for top-n-sigma
};

// The id of the largest logit, the lowest of equals; NaN never wins. -1 when all are NaN.
[[nodiscard]] TokenId argmax(std::span<const float> logits);

// What a sampler must know of its sequence.
struct SamplerSetup {
  std::uint64_t seed = 0;
  std::vector<TokenId> dry_breakers = {};  // see dry_breakers.h
  // Not drawn while the context has fewer than this many tokens.
  std::vector<TokenId> end_tokens = {};
  std::size_t min_length = 0;
};

// For one sequence. Everything but mirostat is a function of settings, seed, logits and context: a
// token may be drawn again, and contexts may be tried that do not become the answer.
class Sampler {
 public:
  Sampler(const SamplingParams& sampling, SamplerSetup setup);

  // Draws the token that follows `context`, prompt and answer so far; with a mask, one that it
  // allows. Throws Error (kInternal) when every logit is NaN or -infinity, and what a logits
  // processor throws.
  [[nodiscard]] TokenId sample(std::span<const float> logits, std::span<const TokenId> context,
                               SamplerScratch& scratch, const grammar::TokenMask* mask = nullptr);

  // What sample() draws from; it draws distribution.draw(random(context.size(), kDraw)), up to
  // rounding. Throws as sample() does.
  //
  // For rejection sampling of drafted tokens x1, x2, …: take the target's distribution p after the
  // context, then after x1 (if it was accepted, see accept()), and so on; accept x where
  // random(length, kAccept) < p(x) / q(x), else draw from max(0, p - q), normalised, with
  // random(length, kResidual). `length` is that of the context. It holds for any q whose draws are
  // independent of these streams.
  void distribution(std::span<const float> logits, std::span<const TokenId> context,
                    SamplerScratch& scratch, Distribution& out,
                    const grammar::TokenMask* mask = nullptr);

  // Tells mirostat which token was taken from the last distribution(): its probability there.
  // sample() does so itself; without mirostat there is nothing to tell.
  void accept(double probability);

  // The number in [0, 1) that decides about the token at a place of the sequence.
  [[nodiscard]] double random(std::size_t length, RandomStream stream) const {
    return uniform(seed_, length, stream);
  }

  // Whether tokens may be tried that do not become the answer: mirostat and logits processors may
  // remember what they saw.
  [[nodiscard]] bool allows_drafts() const { return mirostat_tau_ == 0 && processors_.empty(); }

  [[nodiscard]] bool reports_logprobs() const { return logprobs_; }
  [[nodiscard]] bool reports_top_logprobs() const { return top_logprobs_ > 0; }
  // Of a token that followed the logits of the last call with this scratch, which must still be
  // there: natural logarithms of the softmax at this temperature (greedy: 1) before the cut-offs.
  void logprobs(TokenId token, SamplerScratch& scratch, TokenLogprobs& out) const;

 private:
  [[nodiscard]] double scale() const { return greedy_ ? 1.0 : 1.0 / temperature_; }
  [[nodiscard]] bool cuts_off() const;
  // Brings the row into scratch: everything before the temperature.
  void prepare(std::span<const float> logits, std::span<const TokenId> context,
               SamplerScratch& scratch, const grammar::TokenMask* mask);
  void change_logits(std::span<const TokenId> context, SamplerScratch& scratch,
                     const grammar::TokenMask* mask) const;
  [[nodiscard]] static TokenId most_likely(const SamplerScratch& scratch);
  // Of all tokens: weights into scratch, or only their sum.
  double weigh_all(SamplerScratch& scratch) const;
  [[nodiscard]] double sum_all(const SamplerScratch& scratch) const;
  // Candidates with their weights: the k largest logits above `floor`; weights above `floor`.
  void take_largest(std::size_t k, float floor, SamplerScratch& scratch) const;
  void take_above(double floor, SamplerScratch& scratch) const;
  // Fills scratch.candidates_ with what the cut-offs leave, in rising order of ids; returns its
  // weight.
  double select(std::size_t length, SamplerScratch& scratch);
  void cut_head(SamplerScratch& scratch) const;

  bool greedy_;
  bool logprobs_;
  std::int32_t top_logprobs_;
  double temperature_ = 1;
  // 0: off.
  double top_n_sigma_ = 0;
  std::int32_t top_k_ = 0;
  double top_p_ = 0;
  double min_p_ = 0;
  double typical_p_ = 0;
  double xtc_probability_ = 0;
  double xtc_threshold_ = 0;
  double mirostat_tau_ = 0;
  double mirostat_eta_ = 0;

  std::uint64_t seed_;
  std::vector<TokenId> end_tokens_;
  std::size_t min_length_;
  std::vector<LogitsProcessor> processors_;
  Penalties penalties_;
  double mirostat_bound_ = 0;  // in bits
  double mirostat_kept_ = 1;   // share of the softmax that the bound left
};

}  // namespace mistral::engine
