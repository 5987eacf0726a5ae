#include "cli/bench_report.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/json.h"

namespace mistral::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

const BenchModel kModel{"a \"model\",\nof two lines", "llama", 7};

Measurement measurement() {
  Measurement m;
  m.test = "pp8 x2";
  m.threads = 3;
  m.prompt_tokens = 8;
  m.batch = 2;
  m.speeds = {40, 10, 30, 20};
  m.first_token = {0.5, 0.25, 1.0};
  return m;
}

TEST(DistributionTest, OfSeveralValues) {
  const Distribution d = distribution({40, 10, 30, 20, 50});
  EXPECT_DOUBLE_EQ(d.mean, 30);
  EXPECT_DOUBLE_EQ(d.deviation, std::sqrt(250.0));
  EXPECT_DOUBLE_EQ(d.min, 10);
  EXPECT_DOUBLE_EQ(d.p10, 14);
  EXPECT_DOUBLE_EQ(d.median, 30);
  EXPECT_DOUBLE_EQ(d.p90, 46);
  EXPECT_DOUBLE_EQ(d.p99, 49.6);
  EXPECT_DOUBLE_EQ(d.max, 50);
  EXPECT_DOUBLE_EQ(distribution({1, 4}).median, 2.5);
}

TEST(DistributionTest, OfOneValueAndOfNone) {
  const Distribution one = distribution({4});
  EXPECT_EQ(one.mean, 4);
  EXPECT_EQ(one.deviation, 0);
  EXPECT_EQ(one.p99, 4);
  EXPECT_EQ(distribution({}).max, 0);
}

TEST(BenchReportTest, TheTableIsAlignedMarkdown) {
  Measurement other = measurement();
  other.test = "tg4";
  other.first_token.clear();
  const std::string table = bench_table(kModel, {measurement(), other});
  EXPECT_THAT(table, HasSubstr("| pp8 x2 | 25.00 ± 12.91 |  25.00 |      500 ms |\n"));
  EXPECT_THAT(table, HasSubstr("|    tg4 | 25.00 ± 12.91 |  25.00 |             |\n"));
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 4) << table;
}

TEST(BenchReportTest, JsonHasEverySampleAndTheirSpread) {
  const Json json = Json::parse(bench_json(kModel, {measurement()}));
  ASSERT_EQ(json.size(), 1U);
  const Json& entry = json[0];
  EXPECT_EQ(entry["test"], "pp8 x2");
  EXPECT_EQ(entry["threads"], 3);
  EXPECT_EQ(entry["n_prompt"], 8);
  EXPECT_EQ(entry["n_gen"], 0);
  EXPECT_EQ(entry["n_batch"], 2);
  EXPECT_EQ(entry["repetitions"], 4);
  EXPECT_EQ(entry["samples"], Json({40.0, 10.0, 30.0, 20.0}));
  EXPECT_EQ(entry["tokens_per_second"], 25);
  EXPECT_EQ(entry["min"], 10);
  EXPECT_EQ(entry["median"], 25);
  EXPECT_EQ(entry["max"], 40);
  EXPECT_EQ(entry["first_token_seconds"]["median"], 0.5);
  EXPECT_FALSE(entry.contains("token_interval_seconds"));
  EXPECT_EQ(bench_json(kModel, {}), "[]\n");
}

TEST(BenchReportTest, CsvQuotesNames) {
  const std::string csv = bench_csv(kModel, {measurement()});
  EXPECT_THAT(csv, HasSubstr("\n\"a \"\"model\"\","));
  EXPECT_THAT(csv, HasSubstr(",3,\"pp8 x2\",8,0,0,2,4,25,"));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 2) << csv;
}

}  // namespace
}  // namespace mistral::cli
