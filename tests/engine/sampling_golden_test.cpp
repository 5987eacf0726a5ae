// The sampler against distributions computed elsewhere: golden/sampling/cases.jsonl.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/json.h"
#include "engine/sampler.h"
#include "golden_dir.h"

namespace mistral::engine {
namespace {

// Below this a probability counts as zero (float32 underflows earlier than float64).
constexpr double kZero = 1e-12;
// The data have nine digits.
constexpr double kTolerance = 1e-6;

struct Case {
  SamplingParams sampling;
  std::vector<TokenId> breakers;
  std::vector<float> logits;
  std::vector<TokenId> context;
};

// Fails for a setting that this program does not know, so that none is ignored.
Case parse(const Json& json) {
  Case c;
  c.logits = json.at("logits").get<std::vector<float>>();
  c.context = json.at("context").get<std::vector<TokenId>>();
  for (const auto& [key, value] : json.at("settings").items()) {
    if (value.is_null()) continue;
    if (key == "temperature") {
      c.sampling.temperature = value.get<double>();
    } else if (key == "top_k") {
      c.sampling.top_k = value.get<std::int32_t>();
    } else if (key == "top_p") {
      c.sampling.top_p = value.get<double>();
    } else if (key == "min_p") {
      c.sampling.min_p = value.get<double>();
    } else if (key == "repetition_penalty") {
      c.sampling.repetition_penalty = value.get<double>();
    } else if (key == "frequency_penalty") {
      c.sampling.frequency_penalty = value.get<double>();
    } else if (key == "presence_penalty") {
      c.sampling.presence_penalty = value.get<double>();
    } else if (key == "logit_bias") {
      for (const auto& [id, bias] : value.items()) {
        c.sampling.logit_bias.emplace_back(std::stoi(id), bias.get<double>());
      }
    } else if (key == "dry") {
      c.sampling.dry_multiplier = value.at("multiplier").get<double>();
      c.sampling.dry_base = value.at("base").get<double>();
      c.sampling.dry_allowed_length = value.at("allowed_length").get<std::int32_t>();
      c.breakers = value.at("sequence_breaker_ids").get<std::vector<TokenId>>();
    } else if (key == "top_logprobs") {
      c.sampling.top_logprobs = value.get<std::int32_t>();
    } else {
      ADD_FAILURE() << "unknown setting " << key;
    }
  }
  return c;
}

class SamplingGolden : public testing::Test {
 protected:
  // Calls check(case as JSON) for every line.
  template <typename Check>
  void for_each_case(Check check) {
    const std::filesystem::path path = test::golden_dir() / "sampling" / "cases.jsonl";
    std::ifstream file(path);
    ASSERT_TRUE(file) << "cannot open " << path;
    int count = 0;
    for (std::string line; std::getline(file, line);) {
      if (line.empty()) continue;
      const Json json = Json::parse(line);
      SCOPED_TRACE(json.at("id").get<std::string>());
      check(json);
      ++count;
    }
    EXPECT_GT(count, 0) << "no case in " << path;
  }
  SamplerScratch scratch_;
};

// The whole row after the penalties.
std::vector<double> adjusted(Penalties& penalties, std::span<const TokenId> context,
                             const std::vector<float>& logits) {
  std::vector<AdjustedLogit> changed;
  penalties.adjust(context, logits, changed);
  std::vector<double> row(logits.begin(), logits.end());
  std::vector<bool> seen(row.size(), false);
  for (const auto& [id, value] : changed) {
    EXPECT_FALSE(seen.at(static_cast<std::size_t>(id))) << "id " << id << " twice";
    seen.at(static_cast<std::size_t>(id)) = true;
    row.at(static_cast<std::size_t>(id)) = value;
  }
  return row;
}

TEST_F(SamplingGolden, Penalties) {
  for_each_case([](const Json& json) {
    const Case c = parse(json);
    Penalties penalties(c.sampling, c.breakers);
    const std::vector<double> row = adjusted(penalties, c.context, c.logits);
    const auto expected = json.at("adjusted_logits").get<std::vector<double>>();
    ASSERT_EQ(row.size(), expected.size());
    for (std::size_t i = 0; i < row.size(); ++i) {
      EXPECT_NEAR(row[i], expected[i], kTolerance * std::max(1.0, std::abs(expected[i])))
          << "logit " << i;
    }
  });
}

// Contexts that grow, and drafts that are taken back, leave what the last context alone gives.
TEST_F(SamplingGolden, PenaltiesFollowTheContext) {
  for_each_case([](const Json& json) {
    const Case c = parse(json);
    Penalties moved(c.sampling, c.breakers);
    std::vector<double> row;
    for (std::size_t length = 0; length <= c.context.size(); ++length) {
      std::vector<TokenId> tried(c.context.begin(),
                                 c.context.begin() + static_cast<std::ptrdiff_t>(length));
      tried.insert(tried.end(), {3, 1, static_cast<TokenId>(length % 4)});
      (void)adjusted(moved, tried, c.logits);
      row = adjusted(moved, std::span(c.context).first(length), c.logits);
    }
    Penalties at_once(c.sampling, c.breakers);
    EXPECT_EQ(row, adjusted(at_once, c.context, c.logits));
  });
}

TEST_F(SamplingGolden, DryMatchLengths) {
  for_each_case([](const Json& json) {
    if (!json.contains("dry_match_lengths")) return;
    Case c = parse(json);
    std::sort(c.breakers.begin(), c.breakers.end());
    std::map<TokenId, std::int32_t> expected;
    for (const auto& [id, length] : json.at("dry_match_lengths").items()) {
      expected[std::stoi(id)] = length.get<std::int32_t>();
    }
    std::vector<std::pair<TokenId, std::int32_t>> matches;
    find_dry_matches(c.context, c.breakers, matches);
    std::map<TokenId, std::int32_t> longest;
    for (const auto& [id, length] : matches) longest[id] = std::max(longest[id], length);
    EXPECT_EQ(longest, expected);
  });
}

TEST_F(SamplingGolden, Distribution) {
  for_each_case([this](const Json& json) {
    const Case c = parse(json);
    Distribution found;
    Sampler(c.sampling, {.dry_breakers = c.breakers})
        .distribution(c.logits, c.context, scratch_, found);
    double total = 0;
    for (const auto& [id, probability] : found.tokens) total += probability;
    EXPECT_NEAR(total, 1, 1e-12);
    std::erase_if(found.tokens, [](const auto& token) { return token.probability <= kZero; });
    const auto ids = json.at("nonzero").get<std::vector<TokenId>>();
    const auto probs = json.at("probs").get<std::vector<double>>();
    ASSERT_EQ(found.tokens.size(), ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      EXPECT_EQ(found.tokens[i].id, ids[i]);  // both in rising order
      EXPECT_NEAR(found.tokens[i].probability, probs[i], kTolerance * probs[i]);
      EXPECT_EQ(found.probability(ids[i]), found.tokens[i].probability);
    }
  });
}

TEST_F(SamplingGolden, DrawsComeFromTheDistribution) {
  for_each_case([this](const Json& json) {
    const Case c = parse(json);
    const auto allowed = json.at("nonzero").get<std::vector<TokenId>>();
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      Sampler sampler(c.sampling, {.seed = seed, .dry_breakers = c.breakers});
      const TokenId id = sampler.sample(c.logits, c.context, scratch_);
      EXPECT_NE(std::find(allowed.begin(), allowed.end(), id), allowed.end()) << id;
      if (json.contains("greedy")) {
        EXPECT_EQ(id, json.at("greedy").get<TokenId>());
      }
      Distribution distribution;
      sampler.distribution(c.logits, c.context, scratch_, distribution);
      EXPECT_EQ(distribution.draw(sampler.random(c.context.size(), RandomStream::kDraw)), id);
    }
  });
}

TEST_F(SamplingGolden, LogProbabilities) {
  int reported = 0;
  for_each_case([&](const Json& json) {
    if (!json.contains("top_logprobs")) return;
    const Case c = parse(json);
    Sampler sampler(c.sampling, {.dry_breakers = c.breakers});
    EXPECT_TRUE(sampler.reports_logprobs());
    const TokenId chosen = sampler.sample(c.logits, c.context, scratch_);
    TokenLogprobs logprobs;
    sampler.logprobs(chosen, scratch_, logprobs);
    EXPECT_EQ(logprobs.chosen.token, chosen);
    const Json& expected = json.at("top_logprobs");
    ASSERT_EQ(logprobs.top.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(logprobs.top[i].token, expected[i].at("id").get<TokenId>());
      EXPECT_NEAR(logprobs.top[i].logprob, expected[i].at("ln").get<double>(), kTolerance);
      if (logprobs.top[i].token == chosen) {
        EXPECT_EQ(logprobs.top[i].logprob, logprobs.chosen.logprob);
      }
    }
    ++reported;
  });
  EXPECT_GT(reported, 0);
}

}  // namespace
}  // namespace mistral::engine
