#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "cli/perplexity.h"
#include "core/thread_pool.h"

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

}  // namespace
}  // namespace mistral::cli
