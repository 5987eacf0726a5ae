// `run` without a terminal, and `bench`.
#include <algorithm>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/golden_models.h"
#include "cli/program_runner.h"
#include "temporary_folder.h"

namespace mistral::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class RunOnceTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto models = folder_models();
    ASSERT_FALSE(models.empty()) << "no reference model in " << golden_dir();
    model_ = models.front();
  }
  [[nodiscard]] Outcome run(const std::vector<std::string>& arguments,
                            const std::string& input = "") const {
    return run_program(join(join({"run"}, model_.selector), arguments), input);
  }

  GoldenModel model_;
};

TEST_F(RunOnceTest, ContinuesTheReferencePrompt) {
  const Json text = read_json(model_.folder / "text.json");
  const std::string prompt = text["prompt"];
  const std::vector<std::string> options{"--raw", "--greedy", "--max-tokens", "12"};
  const Outcome given = run(join({"--prompt", prompt}, options));
  EXPECT_EQ(given.code, 0) << given.err;
  EXPECT_THAT(given.err, ContainsRegex("prompt: .* tokens/s; answer: 12 tokens, .* tokens/s"));
  EXPECT_TRUE(given.out.ends_with('\n'));
  // The program stops at end tokens, the reference does not; what there is must agree. The last
  // character may have been cut.
  const std::string expected = text["greedy_text"];
  const std::string start = given.out.substr(0, given.out.find("\xEF\xBF\xBD"));
  EXPECT_THAT(expected, StartsWith(start.substr(0, start.size() / 2)));

  const Outcome piped = run(options, prompt + "\n");
  EXPECT_EQ(piped.code, 0) << piped.err;
  EXPECT_EQ(piped.out, given.out);
}

TEST_F(RunOnceTest, AnswersAChat) {
  const TemporaryFolder folder;
  const Outcome answer = run({"--prompt", "hello", "--greedy", "--max-tokens", "5"});
  EXPECT_EQ(answer.code, 0) << answer.err;
  const Outcome completion = run({"--raw", "--prompt", "hello", "--greedy", "--max-tokens", "5"});
  EXPECT_EQ(completion.code, 0) << completion.err;
  EXPECT_NE(answer.err, completion.err);  // the template adds to the prompt
}

TEST_F(RunOnceTest, ASeedMakesAnswersRepeatable) {
  const std::vector<std::string> options{
      "--prompt", "hello", "--temperature", "1.5", "--top-k", "0", "--max-tokens", "16", "--seed"};
  const Outcome first = run(join(options, {"11"}));
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(run(join(options, {"11"})).out, first.out);
  EXPECT_NE(run(join(options, {"12"})).out, first.out);
}

TEST_F(RunOnceTest, BadRequestsAreOneLine) {
  for (const std::vector<std::string>& options : {std::vector<std::string>{"--prompt", ""},
                                                  {"--prompt", "x", "--temperature", "nan"},
                                                  {"--prompt", "x", "--temperature", "-1"},
                                                  {"--prompt", "x", "--stop="}}) {
    const Outcome outcome = run(options);
    EXPECT_EQ(outcome.code, 1) << options.back() << outcome.err;
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(outcome.err, StartsWith("error: "));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
  EXPECT_THAT(run({}).err, HasSubstr("the prompt is empty"));  // standard input is empty
}

TEST_F(RunOnceTest, BenchMeasuresBothSpeeds) {
  const std::vector<std::string> options{"-p", "24", "-g", "4", "-r", "2"};
  const Outcome table = run_program(join(join({"bench"}, model_.selector), options));
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_THAT(table.out, ContainsRegex("pp24 .* ± "));
  EXPECT_THAT(table.out, ContainsRegex("tg4 .* ± "));
  const Outcome outcome =
      run_program(join(join({"bench", "--json", "--depth", "40"}, model_.selector), options));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const Json json = Json::parse(outcome.out);
  ASSERT_EQ(json.size(), 2);
  for (const Json& entry : json) {
    EXPECT_EQ(entry["samples"].size(), 2);
    EXPECT_GT(entry["tokens_per_second"], 0);
    EXPECT_EQ(entry["n_depth"], 40);
  }
  EXPECT_EQ(json[0]["n_prompt"], 24);
  EXPECT_EQ(json[1]["n_gen"], 4);
}

}  // namespace
}  // namespace mistral::test
