// What strangers hand to the program: every defect is one line on standard error and exit code 1.
#include <algorithm>
#include <set>
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

void expect_one_line_error(const Outcome& outcome, const std::string& what) {
  EXPECT_EQ(outcome.code, 1) << what << ": " << outcome.err;
  EXPECT_THAT(outcome.out, IsEmpty()) << what;
  EXPECT_THAT(outcome.err, StartsWith("error: ")) << what;
  EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << what << ": " << outcome.err;
  EXPECT_TRUE(outcome.err.ends_with('\n')) << what;
}

class BadInputTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto models = folder_models();
    ASSERT_FALSE(models.empty()) << "no reference model in " << golden_dir();
    model_ = models.front();
    tokens_ = folder_.write("tokens.json", R"({"input_ids": [1, 2, 3]})");
  }
  [[nodiscard]] Outcome eval(const std::vector<std::string>& arguments) const {
    return run_program(join(join({"eval"}, model_.selector), arguments));
  }

  TemporaryFolder folder_;
  GoldenModel model_;
  std::string tokens_;
};

TEST_F(BadInputTest, MalformedGgufFiles) {
  const auto files = sorted_entries(golden_dir() / "quant" / "gguf" / "malformed");
  const auto is_gguf = [](const auto& file) { return file.extension() == ".gguf"; };
  ASSERT_GT(std::ranges::count_if(files, is_gguf), 1) << "no malformed files in " << golden_dir();
  for (const auto& file : files) {
    if (!is_gguf(file)) continue;
    const std::string path = file.string();
    const Outcome info = run_program({"info", path});
    const Outcome eval = run_program({"eval", "-m", path, "--tokens", tokens_, "--greedy", "1"});
    if (file.filename().string().starts_with("control")) {
      EXPECT_EQ(info.code, 0) << info.err;
      EXPECT_EQ(eval.code, 0) << eval.err;
      continue;
    }
    expect_one_line_error(info, "info " + path);
    expect_one_line_error(eval, "eval " + path);
  }
}

TEST_F(BadInputTest, PathsThatAreNoModel) {
  const std::string empty_file = folder_.write("empty.gguf", "");
  const std::string text_file = folder_.write("notes.txt", "hello");
  const std::filesystem::path empty_folder = folder_.path() / "folder";
  std::filesystem::create_directory(empty_folder);
  for (const std::string& path :
       {empty_file, text_file, empty_folder.string(), std::string("/no/such/file.gguf")}) {
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"info", path},
          {"eval", "-m", path, "--tokens", tokens_, "--greedy", "1"},
          {"tokenize", "-m", path, "--prompt", "x"},
          {"run", "-m", path, "--prompt", "x"},
          {"bench", "-m", path}}) {
      const Outcome outcome = run_program(arguments);
      expect_one_line_error(outcome, arguments.front() + " " + path);
      EXPECT_THAT(outcome.err, HasSubstr(std::filesystem::path(path).filename().string()));
      EXPECT_THAT(outcome.err, HasSubstr("expected")) << arguments.front() << " " << path;
    }
  }
}

TEST_F(BadInputTest, PromptLongerThanTheContext) {
  const Outcome outcome = eval({"--ctx", "2", "--tokens", tokens_, "--greedy", "1"});
  expect_one_line_error(outcome, "context");
  EXPECT_THAT(outcome.err, ContainsRegex("[^0-9]3[^0-9]"));
  EXPECT_THAT(outcome.err, ContainsRegex("[^0-9]2[^0-9]"));
  const Outcome run = run_program(
      join({"run", "--raw", "--ctx", "8", "--prompt", std::string(400, 'x')}, model_.selector));
  expect_one_line_error(run, "run");
  EXPECT_THAT(run.err, ContainsRegex("[^0-9]8[^0-9]"));
}

TEST_F(BadInputTest, GreedyTokensThatDoNotFit) {
  const Outcome outcome = eval({"--ctx", "5", "--tokens", tokens_, "--greedy", "9"});
  expect_one_line_error(outcome, "greedy");
  EXPECT_THAT(outcome.err, HasSubstr("9 greedy tokens"));
}

TEST_F(BadInputTest, TokenFiles) {
  const auto refuse = [this](const char* json, const char* message) {
    const std::string file = folder_.write("bad.json", json);
    const Outcome outcome = eval({"--tokens", file, "--greedy", "1"});
    expect_one_line_error(outcome, json);
    EXPECT_THAT(outcome.err, HasSubstr(message)) << json;
  };
  refuse("", "JSON");
  refuse("[]", "empty");
  refuse("[[1], []]", "list 1");
  refuse("[123456789]", "123456789");
  refuse("[[1], [123456789]]", "list 1");
  refuse(R"({"ids": [1]})", "input_ids");
  expect_one_line_error(eval({"--tokens", folder_.path() / "absent", "--greedy", "1"}), "absent");
  expect_one_line_error(eval({"--tokens", folder_.path(), "--greedy", "1"}), "folder");
  expect_one_line_error(
      eval({"--tokens", tokens_, "--logits", folder_.path() / "absent" / "out.safetensors"}),
      "no folder");
}

TEST_F(BadInputTest, ATemplateThatFailsSaysWhere) {
  const std::filesystem::path copy = folder_.path() / "model";
  std::filesystem::copy(model_.folder, copy, std::filesystem::copy_options::recursive);
  Json config = read_json(copy / "tokenizer_config.json");
  config["chat_template"] = "line one\n{{ raise_exception('no such role') }}";
  std::ofstream(copy / "tokenizer_config.json") << config.dump();
  const std::string chat = folder_.write("chat.json", R"([{"role": "user", "content": "hi"}])");
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"eval", "-m", copy, "--chat", chat, "--greedy", "1"},
        {"tokenize", "-m", copy, "--chat", chat},
        {"run", "-m", copy, "--prompt", "hi"}}) {
    const Outcome outcome = run_program(arguments);
    expect_one_line_error(outcome, arguments.front());
    EXPECT_THAT(outcome.err, HasSubstr("no such role"));
    EXPECT_THAT(outcome.err, HasSubstr("line 2"));
  }
  config["chat_template"] = "{% for x in %}";
  std::ofstream(copy / "tokenizer_config.json") << config.dump();
  const Outcome outcome = run_program({"run", "-m", copy, "--prompt", "hi"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, ContainsRegex("error: .*line 1.*--raw"));
}

TEST_F(BadInputTest, ConfigThatIsNotSupported) {
  const std::filesystem::path copy = folder_.path() / "model";
  std::filesystem::copy(model_.folder, copy, std::filesystem::copy_options::recursive);
  Json config = read_json(copy / "config.json");
  config["model_type"] = "frobnicator";
  config["architectures"] = Json::array({"FrobnicatorForCausalLM"});
  std::ofstream(copy / "config.json") << config.dump();
  const Outcome outcome = run_program({"info", copy});
  expect_one_line_error(outcome, "architecture");
  EXPECT_THAT(outcome.err, HasSubstr("Frobnicator"));
}

TEST_F(BadInputTest, ShardsAndSelectorsThatDoNotMatch) {
  expect_one_line_error(run_program({"info", "gguf", "-m", model_.folder, "-f", "no-such.gguf"}),
                        "no such shard");
  expect_one_line_error(run_program({"info", "gguf", "-m", model_.folder}), "not a GGUF folder");
}

TEST_F(BadInputTest, AClosedStandardOutputIsAnError) {
  const Outcome outcome = run_program({"--version"}, "", std::chrono::seconds(120), true);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("standard output"));
}

}  // namespace
}  // namespace mistral::test
