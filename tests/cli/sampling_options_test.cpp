#include "cli/sampling_options.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <gtest/gtest.h>

#include "cli/command.h"

namespace mistral::cli {
namespace {

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
  SamplingParams model;
  model.temperature = 0.7;
  model.repetition_penalty = 1.1;
  EXPECT_EQ(resolve({}, model).repetition_penalty, 1.1);
  EXPECT_EQ(resolve({"--greedy"}, model).repetition_penalty, std::nullopt);
}

TEST(SamplingOptionsTest, PenaltiesThatAreAskedForStayWithTheLikeliestToken) {
  const SamplingParams params =
      resolve({"--greedy", "--frequency-penalty", "-0.5", "--repetition-penalty=1.1"}, {});
  EXPECT_EQ(params.frequency_penalty, -0.5);
  EXPECT_EQ(params.presence_penalty, std::nullopt);
  EXPECT_EQ(params.repetition_penalty, 1.1);
}

TEST(SamplingOptionsTest, EveryOptionReachesItsField) {
  const SamplingParams params = resolve({"--top-n-sigma",
                                         "1.5",
                                         "--typical-p",
                                         "0.9",
                                         "--xtc-probability",
                                         "0.4",
                                         "--xtc-threshold",
                                         "0.2",
                                         "--mirostat-tau",
                                         "5",
                                         "--mirostat-eta",
                                         "0.3",
                                         "--presence-penalty",
                                         "-1",
                                         "--dry-multiplier",
                                         "0.8",
                                         "--dry-base",
                                         "2",
                                         "--dry-allowed-length",
                                         "3",
                                         "--dry-sequence-breaker",
                                         ";",
                                         "--dry-sequence-breaker",
                                         "and",
                                         "--logit-bias",
                                         "7=-2.5",
                                         "--logit-bias=8=1",
                                         "--min-tokens",
                                         "4",
                                         "--ignore-eos"},
                                        {});
  EXPECT_EQ(params.top_n_sigma, 1.5);
  EXPECT_EQ(params.typical_p, 0.9);
  EXPECT_EQ(params.xtc_probability, 0.4);
  EXPECT_EQ(params.xtc_threshold, 0.2);
  EXPECT_EQ(params.mirostat_tau, 5);
  EXPECT_EQ(params.mirostat_eta, 0.3);
  EXPECT_EQ(params.presence_penalty, -1);
  EXPECT_EQ(params.dry_multiplier, 0.8);
  EXPECT_EQ(params.dry_base, 2);
  EXPECT_EQ(params.dry_allowed_length, 3);
  EXPECT_EQ(params.dry_sequence_breakers, (std::vector<std::string>{";", "and"}));
  EXPECT_EQ(params.logit_bias, (std::vector<std::pair<TokenId, double>>{{7, -2.5}, {8, 1}}));
  EXPECT_EQ(params.min_tokens, 4);
  EXPECT_TRUE(params.ignore_eos);
}

TEST(SamplingOptionsTest, WhatIsNotGivenStays) {
  const SamplingParams untouched;
  const SamplingParams params = resolve({}, {});
  EXPECT_EQ(params.dry_multiplier, std::nullopt);
  EXPECT_EQ(params.dry_base, untouched.dry_base);
  EXPECT_EQ(params.dry_sequence_breakers, untouched.dry_sequence_breakers);
  EXPECT_EQ(params.mirostat_tau, std::nullopt);
  EXPECT_FALSE(params.ignore_eos);
  EXPECT_TRUE(resolve({"--dry-sequence-breaker", "none"}, {}).dry_sequence_breakers.empty());
}

TEST(SamplingOptionsTest, ABiasIsATokenAndANumber) {
  for (const char* wrong : {"7", "=1", "7=", "x=1", "7=x", "7=1x", "99999999999=1", ""}) {
    EXPECT_THROW((void)resolve({"--logit-bias", wrong}, {}), UsageError) << wrong;
  }
}

}  // namespace
}  // namespace mistral::cli
