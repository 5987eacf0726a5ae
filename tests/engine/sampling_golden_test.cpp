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
    } else if (key != "top_logprobs") {  // a matter of reporting, not of choosing
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

TEST_F(SamplingGolden, Penalties) {
  for_each_case([](const Json& json) {
    const Case c = parse(json);
    std::vector<float> logits = c.logits;
    Penalties penalties(c.sampling, c.breakers);
    if (penalties.active()) penalties.apply(c.context, logits);
    const auto expected = json.at("adjusted_logits").get<std::vector<double>>();
    ASSERT_EQ(logits.size(), expected.size());
    for (std::size_t i = 0; i < logits.size(); ++i) {
      EXPECT_NEAR(logits[i], expected[i], 1e-4 + 1e-6 * std::abs(expected[i])) << "logit " << i;
    }
  });
}

TEST_F(SamplingGolden, PenaltiesOfAGrowingContext) {
  for_each_case([](const Json& json) {
    const Case c = parse(json);
    Penalties grown(c.sampling, c.breakers);
    if (!grown.active()) return;
    std::vector<float> logits;
    for (std::size_t length = 0; length <= c.context.size(); ++length) {
      logits = c.logits;
      grown.apply(std::span(c.context).first(length), logits);
    }
    std::vector<float> at_once = c.logits;
    Penalties(c.sampling, c.breakers).apply(c.context, at_once);
    EXPECT_EQ(logits, at_once);
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
    const auto lengths = dry_match_lengths(c.context, c.breakers);
    EXPECT_EQ((std::map<TokenId, std::int32_t>(lengths.begin(), lengths.end())), expected);
  });
}

TEST_F(SamplingGolden, Distribution) {
  for_each_case([this](const Json& json) {
    const Case c = parse(json);
    std::map<TokenId, double> found;
    double total = 0;
    for (const auto& [id, probability] :
         Sampler(c.sampling, c.breakers, 1).distribution(c.logits, c.context, scratch_)) {
      total += probability;
      if (probability > kZero) found[id] = probability;
    }
    EXPECT_NEAR(total, 1, 1e-9);
    const auto ids = json.at("nonzero").get<std::vector<TokenId>>();
    const auto probs = json.at("probs").get<std::vector<double>>();
    ASSERT_EQ(found.size(), ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      ASSERT_TRUE(found.contains(ids[i])) << "id " << ids[i];
      EXPECT_NEAR(found[ids[i]], probs[i], 1e-5);
      EXPECT_NEAR(found[ids[i]], probs[i], 1e-4 * probs[i] + 1e-11);
    }
  });
}

TEST_F(SamplingGolden, DrawsComeFromTheDistribution) {
  for_each_case([this](const Json& json) {
    const Case c = parse(json);
    Sampler sampler(c.sampling, c.breakers, 7);
    const auto allowed = json.at("nonzero").get<std::vector<TokenId>>();
    for (int i = 0; i < 20; ++i) {
      const TokenId id = sampler.sample(c.logits, c.context, scratch_);
      EXPECT_NE(std::find(allowed.begin(), allowed.end(), id), allowed.end()) << id;
      if (json.contains("greedy")) {
        EXPECT_EQ(id, json.at("greedy").get<TokenId>());
      }
    }
  });
}

}  // namespace
}  // namespace mistral::engine
