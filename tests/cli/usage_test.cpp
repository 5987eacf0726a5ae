// The shape of the command line: help, versions, exit codes.
#include <algorithm>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/program_runner.h"

namespace mistral::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

constexpr const char* kCommands[] = {"run", "eval", "tokenize", "info", "bench"};

void expect_usage_error(const std::vector<std::string>& arguments, const std::string& message) {
  const Outcome outcome = run_program(arguments);
  EXPECT_EQ(outcome.code, 2) << message;
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_THAT(outcome.err, StartsWith("error: "));
  EXPECT_THAT(outcome.err, HasSubstr(message));
  EXPECT_THAT(outcome.err, HasSubstr("Usage:"));
}

TEST(UsageTest, HelpGoesToStandardOutput) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--help"}, {"-h"}, {"help"}}) {
    const Outcome outcome = run_program(arguments);
    EXPECT_EQ(outcome.code, 0);
    EXPECT_THAT(outcome.err, IsEmpty());
    EXPECT_THAT(outcome.out, HasSubstr("Usage: mistralcpp COMMAND"));
    for (const char* command : kCommands) EXPECT_THAT(outcome.out, HasSubstr(command));
  }
}

TEST(UsageTest, EveryCommandHasHelpAndVersion) {
  for (const std::string command : kCommands) {
    const Outcome help = run_program({command, "--help"});
    EXPECT_EQ(help.code, 0) << command;
    EXPECT_THAT(help.err, IsEmpty());
    EXPECT_THAT(help.out, HasSubstr("Usage: mistralcpp " + command));
    EXPECT_THAT(help.out, HasSubstr("--log-level"));
    EXPECT_THAT(help.out, HasSubstr("-m"));
    EXPECT_EQ(run_program({"help", command}).out, help.out);
    EXPECT_EQ(run_program({command, "--version"}).out, run_program({"--version"}).out);
  }
}

TEST(UsageTest, VersionIsOneLine) {
  const Outcome outcome = run_program({"-V"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, MatchesRegex("mistralcpp [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(UsageTest, WrongUsageIsExplained) {
  expect_usage_error({}, "expected a command");
  expect_usage_error({"frobnicate"}, "unknown command 'frobnicate'");
  expect_usage_error({"help", "frobnicate"}, "unknown command 'frobnicate'");
  expect_usage_error({"gguf", "-m", "x"}, "expected a command");
  expect_usage_error({"--frobnicate"}, "expected a command");
  for (const std::string command : kCommands) {
    expect_usage_error({command, "--frobnicate"}, "--frobnicate");
    expect_usage_error({command, "-m"}, "");
    expect_usage_error({command, "-m", "a", "-m", "b"}, "");
    expect_usage_error({command, "--log-level", "loud"}, "loud");
  }
  for (const std::string command : {"run", "eval", "bench"}) {
    expect_usage_error({command, "word", "-m", "x"}, "");
    expect_usage_error({command, "--threads", "0"}, "threads");
    expect_usage_error({command, "--threads", "many"}, "threads");
    expect_usage_error({command, "--prompt-batchsize", "0"}, "prompt-batchsize");
    expect_usage_error({command, "--pa-blk-size", "7"}, "pa-blk-size");
    expect_usage_error({command, "--dtype", "q4"}, "dtype");
    expect_usage_error({command, "--kv-cache-dtype", "q4"}, "{auto,f32,f16,bf16,q8}");
    expect_usage_error({command, "--ctx=-1"}, "ctx");
  }
}

TEST(UsageTest, OptionsThatContradictEachOther) {
  expect_usage_error({"eval", "-m", "x"}, "--tokens");
  expect_usage_error({"eval", "-m", "x", "--tokens", "a", "--text", "b"}, "exactly one");
  expect_usage_error({"eval", "-m", "x", "--text", "a", "--perplexity", "--greedy", "1"},
                     "--perplexity");
  expect_usage_error({"eval", "-m", "x", "--chat", "a", "--perplexity"}, "--perplexity");
  expect_usage_error({"eval", "--text", "a", "--greedy", "1"}, "-m");
  expect_usage_error({"eval", "plain", "-m", "x", "-f", "y", "--text", "a"}, "plain");
  expect_usage_error({"info"}, "-m");
  expect_usage_error({"info", "a", "b"}, "one model");
  expect_usage_error({"info", "a", "-m", "b"}, "twice");
  expect_usage_error({"bench", "-m", "x", "-p", "0", "-g", "0"}, "nothing to measure");
  expect_usage_error({"tokenize", "-m", "x", "--prompt", "a", "--text", "b"}, "expected one");
}

TEST(UsageTest, AModelThatDoesNotExistIsNotUsage) {
  for (const std::string path : {"/no/such/model.gguf", "someone/some-model"}) {
    const Outcome outcome = run_program({"info", path});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(outcome.err, StartsWith("error: "));
    EXPECT_THAT(outcome.err, HasSubstr(path));
    EXPECT_THAT(outcome.err, HasSubstr("expected"));
    EXPECT_THAT(outcome.err, Not(HasSubstr("Usage:")));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
  }
}

TEST(UsageTest, FilesOfTokenizersAndTemplatesMustBeThere) {
  const std::string model = program_path().parent_path().string();
  for (const char* option : {"--tok-model-id", "--tokenizer-json", "--jinja-explicit"}) {
    const Outcome outcome =
        run_program({"tokenize", "-m", model, "--prompt", "x", option, "no-such-file"});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_THAT(outcome.err, StartsWith("error: "));
  }
}

TEST(UsageTest, TemplateOptionsNeedAChat) {
  for (const std::vector<std::string>& options : {std::vector<std::string>{"--tools", "x.json"},
                                                  {"--enable-thinking", "true"},
                                                  {"--chat-template-kwargs", "{}"}}) {
    std::vector<std::string> arguments{"tokenize", "-m", ".", "--prompt", "x"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    EXPECT_NE(run_program(arguments).code, 0);
  }
}

}  // namespace
}  // namespace mistral::test
