// `bench` as users and scripts run it. What it measures is not judged, only that it does.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/golden_models.h"
#include "cli/program_runner.h"

namespace mistral::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class BenchTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<GoldenModel> models = folder_models();
    ASSERT_FALSE(models.empty()) << "no model in " << golden_dir();
    selector_ = models.front().selector;
  }

  [[nodiscard]] Outcome run(const std::vector<std::string>& options) const {
    return run_program(join(join({"bench"}, selector_), options));
  }
  [[nodiscard]] Json measured(const std::vector<std::string>& options) const {
    const Outcome outcome = run(join(options, {"--json"}));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const Json json = Json::parse(outcome.out);
    for (const Json& entry : json) {
      EXPECT_GT(entry["min"], 0) << entry;
      EXPECT_GE(entry["max"], entry["min"]) << entry;
      EXPECT_EQ(entry["samples"].size(), entry["repetitions"]) << entry;
    }
    return json;
  }
  [[nodiscard]] std::vector<std::string> tests_of(const std::vector<std::string>& options) const {
    std::vector<std::string> tests;
    for (const Json& entry : measured(options)) tests.push_back(entry["test"]);
    return tests;
  }

  std::vector<std::string> selector_;
};

TEST_F(BenchTest, ListsMakeEveryCombination) {
  EXPECT_THAT(tests_of({"-p", "24,40", "-g", "2", "--depth", "0,5", "-r", "1"}),
              ElementsAre("pp24", "pp40", "tg2", "pp24 @ d5", "pp40 @ d5", "tg2 @ d5"));
  EXPECT_THAT(tests_of({"-p", "4", "-p", "0,5", "-g", "0", "-r", "1"}), ElementsAre("pp4", "pp5"));
  EXPECT_THAT(tests_of({"-p", "0", "-g", "0", "--pg", "6,2", "--pg", "3,1", "-r", "1"}),
              ElementsAre("pp6+tg2", "pp3+tg1"));
}

TEST_F(BenchTest, StreamsAreClientsOfAServer) {
  const std::vector<std::string> options{"--streams", "1,3", "--requests",      "6", "-p", "80",
                                         "-g",        "5",   "--shared-prefix", "70"};
  const Outcome outcome = run(join(options, {"--json"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = Json::parse(outcome.out);
  ASSERT_EQ(json.size(), 2U);
  EXPECT_EQ(json[1]["streams"], 3);
  for (const Json& entry : json) {
    EXPECT_EQ(entry["requests"], 6);
    EXPECT_GT(entry["tokens_per_second"], 0);
    EXPECT_GT(entry["first_token_seconds"]["p50"], 0);
    EXPECT_GE(entry["first_token_seconds"]["p99"], entry["first_token_seconds"]["p50"]);
    EXPECT_GT(entry["between_tokens_seconds"]["p95"], 0);
    EXPECT_GE(entry["cached_tokens"], 3 * 64);  // whole blocks of the beginning
  }
  EXPECT_THAT(run(join(options, {"--rate", "200"})).out,
              AllOf(HasSubstr("first token p50 / p95 / p99 ms"), HasSubstr("| 3 | 6 |")));
  EXPECT_EQ(run({"--streams", "2", "--depth", "5"}).code, 2);
  EXPECT_EQ(run({"--rate", "2"}).code, 2);
}

TEST_F(BenchTest, EveryNumberOfThreadsIsMeasured) {
  const Json json = measured({"-p", "4", "-g", "2", "-r", "1", "--threads", "1,2"});
  ASSERT_EQ(json.size(), 4U);
  EXPECT_EQ(json[0]["threads"], 1);
  EXPECT_EQ(json[1]["threads"], 1);
  EXPECT_EQ(json[2]["threads"], 2);
  EXPECT_EQ(json[3]["threads"], 2);
}

TEST_F(BenchTest, BatchesGenerateAfterTheirPrompts) {
  const Json json = measured({"-p", "7", "-g", "3", "--batch", "1,3", "-r", "2", "--depth", "5"});
  ASSERT_EQ(json.size(), 4U);
  EXPECT_EQ(json[0]["test"], "pp7 @ d5 x1");
  EXPECT_EQ(json[1]["test"], "tg3 @ d12 x1");
  EXPECT_EQ(json[2]["test"], "pp7 @ d5 x3");
  EXPECT_EQ(json[3]["test"], "tg3 @ d12 x3");
  EXPECT_EQ(json[3]["n_batch"], 3);
  EXPECT_EQ(json[3]["n_depth"], 12);
  EXPECT_EQ(json[3]["repetitions"], 2);
  EXPECT_GT(json[2]["first_token_seconds"]["median"], 0);
  EXPECT_GT(json[3]["token_interval_seconds"]["p99"], 0);
}

TEST_F(BenchTest, ConstraintsHoldForAsLongAsIsAsked) {
  const std::vector<std::string> options{"-p", "4", "-g", "3", "-r", "1"};
  const std::vector<std::string> endless{"--grammar-regex", "(?s).*"};
  const Json json = measured(join(join(options, endless), {"--batch", "1,3"}));
  ASSERT_EQ(json.size(), 4U);
  EXPECT_EQ(json[3]["n_gen"], 3);

  const Outcome short_one = run(join(options, {"--grammar-regex", "x"}));
  EXPECT_EQ(short_one.code, 1) << short_one.out;
  EXPECT_THAT(short_one.err, HasSubstr("the constraint allows no longer answer"));
  EXPECT_EQ(run(join(options, {"--grammar-regex", "("})).code, 1);
  EXPECT_EQ(run(join(endless, {"--streams", "2"})).code, 2);
}

TEST_F(BenchTest, MoreSequencesThanTheEngineRunsByDefault) {
  const Json json = measured({"-p", "2", "-g", "2", "--concurrency", "40", "-r", "1"});
  ASSERT_EQ(json.size(), 2U);
  EXPECT_EQ(json[1]["n_batch"], 40);
}

TEST_F(BenchTest, SmallChunksLetTheFirstSequencesRunAhead) {
  const Json json =
      measured({"-p", "9", "-g", "3", "--batch", "4", "-r", "1", "--prompt-batchsize", "2"});
  EXPECT_EQ(json.size(), 2U);
}

TEST_F(BenchTest, WritesATableOrCommaSeparatedValues) {
  const Outcome table = run({"-p", "4", "-g", "2", "-r", "1"});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_THAT(table.out, StartsWith("| model"));
  const Outcome csv = run({"-p", "4", "-g", "2", "-r", "1", "--csv"});
  EXPECT_EQ(csv.code, 0) << csv.err;
  EXPECT_THAT(csv.out, StartsWith("model,threads,test,"));
}

TEST_F(BenchTest, WhatDoesNotFitIsSaid) {
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{"-p", "30", "-g", "0", "-c", "29"},
        {"-p", "0", "-g", "30", "-c", "29"},
        {"-p", "30", "-g", "2", "--batch", "8", "--pa-ctxt-len", "64"}}) {
    const Outcome outcome = run(join(options, {"-r", "1"}));
    EXPECT_EQ(outcome.code, 1) << outcome.out;
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(outcome.err, StartsWith("error: "));
    EXPECT_THAT(outcome.err, HasSubstr("fit"));
  }
}

TEST_F(BenchTest, WrongListsAreWrongUsage) {
  for (const std::vector<std::string>& options : {std::vector<std::string>{"-p", "1,x"},
                                                  {"-p", "1,-2"},
                                                  {"-g", "0", "-p", "0,0"},
                                                  {"--pg", "3"},
                                                  {"--pg", "3,0"},
                                                  {"--batch", "0"},
                                                  {"--batch", "100000"},
                                                  {"--threads", "2,0"},
                                                  {"--json", "--csv"}}) {
    const Outcome outcome = run(options);
    EXPECT_EQ(outcome.code, 2) << options.front() << outcome.out;
    EXPECT_THAT(outcome.err, StartsWith("error: "));
  }
}

}  // namespace
}  // namespace mistral::test
