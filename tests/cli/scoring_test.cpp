#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "cli/options.h"
#include "cli/perplexity.h"

namespace mistral::cli {
namespace {

TEST(NegativeLogLikelihoodTest, MatchesTheSoftmax) {
  ThreadPool pool(1);
  const std::vector<float> logits{1.0F, 2.0F, 0.5F};
  const double sum = std::exp(1.0) + std::exp(2.0) + std::exp(0.5);
  EXPECT_NEAR(negative_log_likelihood(logits, 0, pool), -std::log(std::exp(1.0) / sum), 1e-12);
  EXPECT_NEAR(negative_log_likelihood(logits, 2, pool), -std::log(std::exp(0.5) / sum), 1e-12);
}

TEST(NegativeLogLikelihoodTest, DoesNotOverflow) {
  ThreadPool pool(1);
  const std::vector<float> logits{1e4F, 1e4F, -1e4F};
  EXPECT_NEAR(negative_log_likelihood(logits, 1, pool), std::log(2.0), 1e-9);
  EXPECT_NEAR(negative_log_likelihood(logits, 2, pool), 2e4 + std::log(2.0), 1e-9);
}

TEST(NegativeLogLikelihoodTest, IsTheSameForAnyNumberOfThreads) {
  for (const std::size_t size : {4095, 4096, 4097, 30'011}) {
    std::vector<float> logits(size);
    double sum = 0;
    for (std::size_t i = 0; i < size; ++i) {
      logits[i] = static_cast<float>((i * 7919) % 1000) / 50.0F;
      sum += std::exp(double{logits[i]});
    }
    ThreadPool one(1);
    ThreadPool three(3);
    const double expected = std::log(sum) - logits[size - 1];
    const auto token = static_cast<TokenId>(size - 1);
    EXPECT_NEAR(negative_log_likelihood(logits, token, one), expected, 1e-9);
    EXPECT_EQ(negative_log_likelihood(logits, token, three),
              negative_log_likelihood(logits, token, one));
  }
}

// Parses options as the program does.
SamplingParams resolve(std::vector<std::string> arguments, const SamplingParams& defaults) {
  CLI::App app;
  SamplingOptions options;
  options.add_options(app);
  std::reverse(arguments.begin(), arguments.end());
  app.parse(arguments);
  return options.resolve(defaults);
}

TEST(SamplingOptionsTest, HasDefaultsForModelsWithoutAny) {
  const SamplingParams params = resolve({}, {});
  EXPECT_EQ(params.temperature, 0.1);
  EXPECT_EQ(params.top_k, 32);
  EXPECT_EQ(params.top_p, 0.1);
  EXPECT_EQ(params.min_p, 0.05);
  EXPECT_EQ(params.max_tokens, std::nullopt);
}

TEST(SamplingOptionsTest, TakesWhatTheModelRecommends) {
  SamplingParams model;
  model.top_p = 0.8;
  const SamplingParams params = resolve({}, model);
  EXPECT_EQ(params.temperature, 1.0);
  EXPECT_EQ(params.top_p, 0.8);
  EXPECT_EQ(params.top_k, std::nullopt);
}

TEST(SamplingOptionsTest, OptionsWin) {
  SamplingParams model;
  model.temperature = 0.6;
  model.top_k = 20;
  const SamplingParams params = resolve({"--temperature", "0.2", "--top-p=0.5", "--seed", "7",
                                         "--stop", "a b", "--stop", "c", "--max-tokens", "9"},
                                        model);
  EXPECT_EQ(params.temperature, 0.2);
  EXPECT_EQ(params.top_k, 20);
  EXPECT_EQ(params.top_p, 0.5);
  EXPECT_EQ(params.seed, 7);
  EXPECT_EQ(params.stop, (std::vector<std::string>{"a b", "c"}));
  EXPECT_EQ(params.max_tokens, 9);
  EXPECT_EQ(resolve({"--greedy"}, model).temperature, 0.0);
}

TEST(SamplingOptionsTest, TheLikeliestTokenIsTakenWithoutPenalties) {
  EXPECT_EQ(resolve({}, {}).frequency_penalty, 0.1);
  EXPECT_EQ(resolve({}, {}).presence_penalty, 0.1);
  EXPECT_EQ(resolve({"--temperature", "0"}, {}).frequency_penalty, std::nullopt);
  EXPECT_EQ(resolve({"--greedy"}, {}).presence_penalty, std::nullopt);
}

}  // namespace
}  // namespace mistral::cli
