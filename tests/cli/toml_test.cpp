// `toml -f FILE`: the model that the file names runs as it does with the other selectors, and what
// is wrong in the file is one line with its place.
#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/golden_models.h"
#include "cli/program_runner.h"
#include "temporary_folder.h"

namespace mistral::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class TomlTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_FALSE(folder_models().empty()) << "no reference model in " << golden_dir();
    model_ = folder_models().front().folder;
    tokens_ = folder_.write("tokens.json", R"({"input_ids": [1, 2, 3, 4, 5]})");
  }

  // Logits, as the bytes of the file that `eval` writes.
  std::string logits(const std::vector<std::string>& selector) const {
    const std::filesystem::path out = folder_.path() / "out.safetensors";
    std::filesystem::remove(out);
    const Outcome outcome = run_program(
        join(join({"eval"}, selector), {"--tokens", tokens_, "--logits", out.string()}));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    std::ifstream file(out, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::vector<std::string> toml(const std::string& text) const {
    return {"toml", "-f", folder_.write("model.toml", text).string()};
  }
  void expect_error(const std::string& text, const std::string& place,
                    const std::string& says) const {
    const std::string file = folder_.path() / "model.toml";
    const Outcome outcome = run_program(join({"info"}, toml(text)));
    EXPECT_EQ(outcome.code, 1) << text;
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(outcome.err, StartsWith("error: " + file + ":" + place));
    EXPECT_THAT(outcome.err, HasSubstr(says));
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1);
  }

  TemporaryFolder folder_;
  std::filesystem::path model_;
  std::string tokens_;
};

TEST_F(TomlTest, PlainModels) {
  const std::string text = fmt::format("[model]\nmodel_id = '{}'\n", model_.string());
  const std::string expected = logits({"plain", "-m", model_});
  EXPECT_EQ(logits(toml(text)), expected);
  EXPECT_EQ(logits(toml(text + "arch = 'llama'\norganization = 'default'\n")), expected);
}

TEST_F(TomlTest, TheTypeOfTheFileYieldsToTheOption) {
  const std::string text =
      fmt::format("[model]\nmodel_id = '{}'\ndtype = 'bf16'\n", model_.string());
  const std::string f32 = logits({"plain", "-m", model_, "-d", "f32"});
  const std::string bf16 = logits({"plain", "-m", model_, "-d", "bf16"});
  ASSERT_NE(f32, bf16);
  EXPECT_EQ(logits(toml(text)), bf16);
  EXPECT_EQ(logits(join(toml(text), {"--dtype", "f32"})), f32);
}

TEST_F(TomlTest, GgufModels) {
  ASSERT_FALSE(gguf_models().empty());
  const std::filesystem::path folder = gguf_models().front().folder;
  const std::string text =
      fmt::format("[model]\nquantized_model_id = '{}'\nquantized_filename = 'model-F32.gguf'\n",
                  folder.string());
  EXPECT_EQ(logits(toml(text)), logits({"gguf", "-m", folder, "-f", "model-F32.gguf"}));
}

TEST_F(TomlTest, GgmlModels) {
  std::size_t models = 0;
  for (const auto& folder : sorted_entries(golden_dir() / "quant" / "ggml")) {
    if (!std::filesystem::exists(folder / "case.json")) continue;
    for (const auto& file : sorted_entries(folder)) {
      if (file.extension() != ".bin" && file.extension() != ".ggml") continue;
      const std::string gqa = folder.filename().string().ends_with("gqa2") ? "2" : "1";
      const std::string name = file.filename().string();
      const std::string text = fmt::format(
          "[model]\ntok_model_id = '{0}'\nquantized_model_id = '{0}'\nquantized_filename = '{1}'\n"
          "gqa = {2}\n",
          folder.string(), name, gqa);
      EXPECT_EQ(logits(toml(text)), logits({"ggml", "-m", folder, "-f", name, "--gqa", gqa}));
      ++models;
      break;
    }
  }
  EXPECT_GT(models, 0U);
}

TEST_F(TomlTest, TokenizerOfTheFile) {
  std::filesystem::copy(model_, folder_.path() / "copy");
  std::filesystem::rename(folder_.path() / "copy" / "tokenizer.json",
                          folder_.path() / "other.json");
  const std::string model = (folder_.path() / "copy").string();
  const std::string other = (folder_.path() / "other.json").string();
  const Outcome expected = run_program({"tokenize", "-m", model_, "--prompt", "Hello world"});
  ASSERT_EQ(expected.code, 0) << expected.err;
  const auto tokenized = [&](const std::vector<std::string>& selector) {
    return run_program(join(join({"tokenize"}, selector), {"--prompt", "Hello world"}));
  };
  EXPECT_EQ(tokenized({"-m", model}).code, 1);
  const std::string text =
      fmt::format("tokenizer_json = '{}'\n[model]\nmodel_id = '{}'\n", other, model);
  EXPECT_EQ(tokenized(toml(text)).out, expected.out);
  EXPECT_EQ(tokenized({"plain", "-m", model, "-t", other}).out, expected.out);
  EXPECT_EQ(tokenized({"plain", "-m", model, "--tokenizer-json", other}).out, expected.out);
  const std::string absent =
      fmt::format("tokenizer_json = 'no-such-file'\n[model]\nmodel_id = '{}'\n", model);
  EXPECT_THAT(tokenized(toml(absent)).err, HasSubstr("tokenizer_json: 'no-such-file'"));
}

TEST_F(TomlTest, WhatIsWrongHasAPlace) {
  expect_error("[model\n", "1:", "not valid TOML");
  expect_error("[model]\nmodell_id = 'm'\n", "2:1: ", "did you mean 'model_id'?");
  expect_error("[model]\nmodel_id = 'm'\n[model]\n", "3:", "model");
  expect_error("[model]\nmodel_id = 'm'\ntopology = 't.yml'\n", "3:12: ", "not supported");
  expect_error("[model]\nadapters_model_id = 'm'\norder = 'o'\n",
               "1:1: ", "lora models do not run here");
  const Outcome outcome = run_program({"info", "toml", "-f", "no-such.toml"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("no-such.toml"));
}

TEST_F(TomlTest, AFileIsNotReadToTheEndOfMemory) {
  const Outcome outcome = run_program({"info", "toml", "-f", "/dev/zero"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("longer than"));
}

TEST_F(TomlTest, WrongUsage) {
  const std::vector<std::string> selector = toml("[model]\nmodel_id = 'm'\n");
  for (const std::vector<std::string>& options : {std::vector<std::string>{"-m", "x"},
                                                  {"-t", "x"},
                                                  {"-a", "llama"},
                                                  {"--gqa", "1"},
                                                  {"-f", "y.toml"}}) {
    const Outcome outcome = run_program(join(join({"info"}, selector), options));
    EXPECT_EQ(outcome.code, 2) << options.front();
    EXPECT_THAT(outcome.err, HasSubstr("toml"));
  }
  EXPECT_EQ(run_program({"info", "toml"}).code, 2);
}

// Options that the reference's selectors have: each has its meaning or is refused by name.
TEST_F(TomlTest, OptionsWithoutAnEffectAreRefused) {
  for (const std::vector<std::string>& options : {std::vector<std::string>{"--topology", "t.yml"},
                                                  {"--organization", "moqe"},
                                                  {"-o", "moqe"},
                                                  {"--write-uqff", "u.uqff"},
                                                  {"-w", "u.uqff"},
                                                  {"--from-uqff", "u.uqff"}}) {
    const Outcome outcome = run_program(join({"info", "plain", "-m", model_}, options));
    EXPECT_EQ(outcome.code, 1) << options.front();
    EXPECT_THAT(outcome.err, StartsWith("error: --"));
    EXPECT_THAT(outcome.err, HasSubstr("not supported"));
  }
  EXPECT_EQ(run_program({"info", "plain", "-m", model_, "-o", "default"}).code, 0);
  const Outcome outcome = run_program({"info", "plain", "-m", model_, "-f", "u.uqff"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("UQFF"));
}

}  // namespace
}  // namespace mistral::test
