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
using testing::Not;
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

// Byte-level vocabularies only: others have decoders that treat broken characters in ways of their
// own, and random models write many.
TEST_F(RunOnceTest, ContinuesTheReferencePrompts) {
  int compared = 0;
  for (const GoldenModel& model : folder_models()) {
    if (read_json(model.folder / "tokenizer.json")["decoder"]["type"] != "ByteLevel") continue;
    SCOPED_TRACE(model.folder);
    ++compared;
    const Json text = read_json(model.folder / "text.json");
    const std::string prompt = text["prompt"];
    const std::vector<std::string> arguments =
        join({"run", "--raw", "--greedy", "--max-tokens", "16"}, model.selector);
    const Outcome given = run_program(join(arguments, {"--prompt", prompt}));
    EXPECT_EQ(given.code, 0) << given.err;
    EXPECT_THAT(given.err, ContainsRegex("prompt: .* tokens/s; answer: 16 tokens, .* tokens/s"));
    EXPECT_EQ(given.out, text["greedy_text"].get<std::string>() + "\n");

    const Outcome piped = run_program(arguments, prompt + "\n");
    EXPECT_EQ(piped.code, 0) << piped.err;
    EXPECT_EQ(piped.out, given.out);
  }
  EXPECT_GT(compared, 0);
}

TEST_F(RunOnceTest, AnswersAChat) {
  const TemporaryFolder folder;
  const Outcome answer = run({"--prompt", "hello", "--greedy", "--max-tokens", "5"});
  EXPECT_EQ(answer.code, 0) << answer.err;
  const Outcome completion = run({"--raw", "--prompt", "hello", "--greedy", "--max-tokens", "5"});
  EXPECT_EQ(completion.code, 0) << completion.err;
  EXPECT_NE(answer.err, completion.err);  // the template adds to the prompt
}

TEST_F(RunOnceTest, LoadingShowsABarOnATerminalOnly) {
  const std::vector<std::string> arguments =
      join(join({"run"}, model_.selector), {"--prompt", "hello", "--greedy", "--max-tokens", "1"});
  constexpr bool kTerminal = true;
  const Outcome seen = run_program(arguments, "", std::chrono::seconds(120), false, kTerminal);
  EXPECT_EQ(seen.code, 0) << seen.err;
  EXPECT_THAT(seen.err, HasSubstr("loading ["));
  EXPECT_THAT(seen.err, HasSubstr("] 100 %"));
  EXPECT_THAT(run_program(arguments).err, Not(HasSubstr("loading")));
}

TEST_F(RunOnceTest, ReasoningGoesToStandardErrorAndTheAnswerToStandardOutput) {
  const TemporaryFolder folder;
  // The prompt opens the reasoning, and the model's random words never close it.
  const std::string open = folder.write("open.jinja", "{{ messages[0].content }}<think>").string();
  const std::string closed =
      folder.write("closed.jinja", "{{ messages[0].content }}<think></think>").string();
  const std::vector<std::string> options{"--prompt", "hello", "--greedy", "--max-tokens", "12"};
  const Outcome thinks = run(join(options, {"--chat-template", open}));
  EXPECT_EQ(thinks.code, 0) << thinks.err;
  EXPECT_EQ(thinks.out, "\n");
  EXPECT_THAT(thinks.err, ContainsRegex("^.+\nprompt: "));
  const Outcome answers = run(join(options, {"--chat-template", closed}));
  EXPECT_EQ(answers.code, 0) << answers.err;
  EXPECT_GT(answers.out.size(), 1U);
  EXPECT_THAT(answers.err, StartsWith("prompt: "));
}

TEST_F(RunOnceTest, ALongPromptIsCutWhereThatIsAskedFor) {
  std::string prompt;
  for (int i = 0; i < 200; ++i) prompt += "small letters ";
  const std::vector<std::string> options{"--raw", "--prompt", prompt,         "--ctx",
                                         "64",    "--greedy", "--max-tokens", "5"};
  EXPECT_EQ(run(options).code, 1);
  const Outcome cut =
      run(join(options, {"--truncate-sequence", "--throughput", "--max-seqs", "2"}));
  EXPECT_EQ(cut.code, 0) << cut.err;
  EXPECT_THAT(cut.err, HasSubstr("is cut to its last 59"));
  EXPECT_THAT(cut.err, HasSubstr("prompt: 59 tokens"));
  EXPECT_THAT(cut.err, ContainsRegex("Throughput: Prompt: [0-9.]+ T/s, Completion [0-9.]+ T/s"));
}

TEST_F(RunOnceTest, TheEnvironmentAsksForDebugging) {
  const TemporaryFolder folder;
  const std::filesystem::path model =
      std::filesystem::absolute(golden_dir() / "quant/gguf/llama-bpe/model-F16.gguf");
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  setenv("MISTRALRS_DEBUG", "1", 1);
  const Outcome outcome =
      run_program({"run", "-m", model.string(), "--raw", "--prompt", "hello", "--max-tokens", "2"});
  unsetenv("MISTRALRS_DEBUG");
  std::filesystem::current_path(before);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, ContainsRegex("Prompt\\[[0-9]+\\] Completion\\[\\] - [0-9.]+ ms"));
  EXPECT_THAT(outcome.err, ContainsRegex("Prompt\\[\\] Completion\\[[0-9]+\\] - [0-9.]+ ms"));
  const Json tensors = read_json((folder.path() / "mistralrs_gguf_tensors.txt").string());
  ASSERT_GT(tensors.size(), 0);
  EXPECT_THAT(tensors[0].get<std::string>(),
              ContainsRegex("^name = `[a-z_.0-9]+`, shape = \\[[0-9]+(, [0-9]+)*\\], dtype = "));
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
      run_program(join(join({"bench", "--json", "--depth", "8"}, model_.selector), options));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const Json json = Json::parse(outcome.out);
  ASSERT_EQ(json.size(), 2);
  for (const Json& entry : json) {
    EXPECT_EQ(entry["samples"].size(), 2);
    EXPECT_GT(entry["tokens_per_second"], 0);
    EXPECT_EQ(entry["n_depth"], 8);
  }
  EXPECT_EQ(json[0]["n_prompt"], 24);
  EXPECT_EQ(json[1]["n_gen"], 4);
}

}  // namespace
}  // namespace mistral::test
