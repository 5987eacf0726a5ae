// One test of `bench`, run through the engine as users meet it: sequences of random tokens that
// are computed together.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <vector>

#include "cli/session.h"
#include "mistral/types.h"

namespace mistral::cli {

// `batch` sequences. Each has `depth` tokens in the cache when the clock starts; then a prompt of
// `prompt` tokens is computed for each, then all generate `generate` tokens together. Without a
// prompt one token starts the sequence.
struct BenchCase {
  std::int64_t prompt = 0;
  std::int64_t generate = 0;
  std::int64_t depth = 0;
  std::int64_t batch = 1;
};

// What a case took, for each of its repetitions. Tokens and seconds count all sequences together.
struct BenchTimes {
  std::vector<double> prompt_seconds;    // from submission to the last first token; prompt > 0
  std::vector<double> generate_seconds;  // from there to the last token; generate > 0
  std::vector<double> first_token;       // seconds of every sequence, all repetitions; prompt > 0
  std::vector<double> token_intervals;   // seconds between tokens of one sequence
};

class BenchRunner {
 public:
  // `constraint` holds for what is generated, but not for the warm-up.
  BenchRunner(Session& session, std::optional<Constraint> constraint);

  // Touches the weights, so that the first repetition is like the others.
  void warm_up();

  // Calls `step` after each repetition. Throws Error: the case does not fit the context or the KV
  // cache, or is too small to be told from its depth; the model failed.
  [[nodiscard]] BenchTimes run(const BenchCase& test, int repetitions,
                               const std::function<void()>& step);

 private:
  struct Outcome;
  [[nodiscard]] std::vector<TokenId> random_tokens(std::int64_t count);
  [[nodiscard]] Outcome run_once(const BenchCase& test);
  [[nodiscard]] double prompt_seconds(const BenchCase& test, const Outcome& outcome);

  Session& session_;
  std::optional<Constraint> constraint_;
  std::mt19937_64 random_{1};                // the same tokens in every run of the program
  std::vector<std::vector<TokenId>> pasts_;  // what the cache holds of each sequence
};

}  // namespace mistral::cli
