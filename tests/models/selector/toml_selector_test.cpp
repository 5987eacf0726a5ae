#include "models/selector/toml_selector.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"

namespace mistral::models {
namespace {

using test::error_of;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

SelectorKind kind_of(const std::string& text) {
  return parse_toml_selector("[model]\n" + text, "f").model.kind;
}

// The error for the text has this place and says all of this.
template <typename... Says>
void expect_refused(const std::string& text, const std::string& place, const Says&... says) {
  const Error error = error_of([&] { return parse_toml_selector(text, "f.toml"); });
  EXPECT_EQ(error.kind(), ErrorKind::kInvalidFile) << text;
  EXPECT_THAT(error.what(), AllOf(StartsWith("f.toml:" + place + ": "), HasSubstr(says)...))
      << text;
}

const std::string kQuantized = "quantized_model_id = 'q'\n";

TEST(TomlSelectorTest, KeysTellTheKind) {
  EXPECT_EQ(kind_of("model_id = 'm'"), SelectorKind::kPlain);
  EXPECT_EQ(kind_of("model_id = 'm'\narch = 'phi3v'"), SelectorKind::kVisionPlain);
  EXPECT_EQ(kind_of("model_id = 'm'\narch = 'flux'"), SelectorKind::kDiffusionPlain);
  EXPECT_EQ(kind_of("xlora_model_id = 'x'\norder = 'o'"), SelectorKind::kXLora);
  EXPECT_EQ(kind_of("adapters_model_id = 'x'\norder = 'o'"), SelectorKind::kLora);
  EXPECT_EQ(kind_of(kQuantized + "quantized_filename = 'f.gguf'"), SelectorKind::kGguf);
}

// Adapters go before the model that they change, whichever other keys are there.
TEST(TomlSelectorTest, AdaptersGoBeforeTheirBase) {
  EXPECT_EQ(kind_of("model_id = 'm'\nxlora_model_id = 'x'\norder = 'o'"), SelectorKind::kXLora);
  EXPECT_EQ(kind_of("model_id = 'm'\nadapters_model_id = 'x'\norder = 'o'"), SelectorKind::kLora);
  const std::string file = kQuantized + "quantized_filename = 'f.gguf'\norder = 'o'\n";
  EXPECT_EQ(kind_of(file + "xlora_model_id = 'x'"), SelectorKind::kXLoraGguf);
  EXPECT_EQ(kind_of(file + "adapters_model_id = 'x'"), SelectorKind::kLoraGguf);
  const std::string old = kQuantized + "quantized_filename = 'f.bin'\norder = 'o'\n";
  EXPECT_EQ(kind_of(old + "xlora_model_id = 'x'"), SelectorKind::kXLoraGgml);
  EXPECT_EQ(kind_of(old + "adapters_model_id = 'x'"), SelectorKind::kLoraGgml);
}

TEST(TomlSelectorTest, GgmlIsToldByNameOrGqa) {
  EXPECT_EQ(kind_of(kQuantized + "quantized_filename = 'f.ggml'"), SelectorKind::kGgml);
  EXPECT_EQ(kind_of(kQuantized + "quantized_filename = 'f.q4_0.BIN'"), SelectorKind::kGgml);
  EXPECT_EQ(kind_of(kQuantized + "quantized_filename = 'f'\ngqa = 8"), SelectorKind::kGgml);
  EXPECT_EQ(kind_of(kQuantized + "quantized_filename = 'f'"), SelectorKind::kGguf);
}

TEST(TomlSelectorTest, WhatRunsHasNoObstacle) {
  const auto obstacle = [](const std::string& text) {
    return parse_toml_selector(text, "f.toml").obstacle;
  };
  EXPECT_THAT(obstacle("[model]\nmodel_id = 'm'\ndtype = 'f16'\norganization = 'default'"),
              IsEmpty());
  EXPECT_THAT(obstacle("tokenizer_json = 't'\nno_kv_cache = false\n[model]\n" + kQuantized +
                       "quantized_filename = 'f.bin'\ngqa = 8"),
              IsEmpty());
  EXPECT_THAT(obstacle("[model]\n" + kQuantized + "quantized_filename = 'f.gguf'"), IsEmpty());

  const std::string plain = "[model]\nmodel_id = 'm'\n";
  EXPECT_THAT(obstacle(plain + "topology = 't'"),
              AllOf(StartsWith("f.toml:3:12: model.topology"), HasSubstr("not supported")));
  EXPECT_THAT(obstacle(plain + "from_uqff = 'u.uqff'"), HasSubstr("UQFF"));
  EXPECT_THAT(obstacle(plain + "write_uqff = 'u.uqff'"), HasSubstr("UQFF"));
  EXPECT_THAT(obstacle(plain + "organization = 'moqe'"), HasSubstr("quantisation"));
  EXPECT_THAT(obstacle("no_kv_cache = true\n" + plain), IsEmpty());
  EXPECT_THAT(obstacle(plain + "arch = 'llava'"), HasSubstr("vision-plain models do not run here"));
  const std::string speculative = plain + "[speculative]\ngamma = 4\n";
  EXPECT_THAT(obstacle(speculative + "draft_model = {model_id = 'd'}"), IsEmpty());
  EXPECT_THAT(obstacle(speculative + "draft_model = {model_id = 'd', arch = 'llava'}"),
              AllOf(StartsWith("f.toml:5:"), HasSubstr("vision-plain models do not run here")));
}

TEST(TomlSelectorTest, UnknownKeysAreNamedWithWhatIsAllowed) {
  expect_refused("[model]\nmodell_id = 'm'\n", "2:1", "[model]", "'modell_id'",
                 "did you mean 'model_id'?", "quantized_filename");
  expect_refused("[model]\nmodel_id = 'm'\n\n  temperature = 1\n", "4:3", "'temperature'", "arch");
  expect_refused("[modle]\nmodel_id = 'm'\n", "1:2", "'modle'", "did you mean 'model'?");
  expect_refused("[model]\nmodel_id = 'm'\n[speculative]\ngama = 1\n", "4:1", "'gama'",
                 "did you mean 'gamma'?", "draft_model");
  expect_refused(
      "[model]\nmodel_id = 'm'\n[speculative]\ngamma = 1\n[speculative.draft_model]\n"
      "modelid = 'm'",
      "6:1", "[speculative.draft_model]", "did you mean 'model_id'?");
  expect_refused("[model]\nmodel_id = 'm'\n\"a\\u0007\\nb\" = 1\n", "3:1", "'a\\x07\\x0ab'");
}

TEST(TomlSelectorTest, KeysOfOtherKindsAreRefused) {
  expect_refused("[model]\nmodel_id = 'm'\ngqa = 8\n", "3:1", "'gqa'", "a plain model", "dtype");
  expect_refused("[model]\n" + kQuantized + "quantized_filename = 'f.gguf'\ngqa = 1", "4:1",
                 "'gqa'", "a gguf model");
  expect_refused("[model]\n" + kQuantized + "quantized_filename = 'f.gguf'\narch = 'llama'", "4:1",
                 "'arch'", "a gguf model");
  expect_refused("[model]\n" + kQuantized + "quantized_filename = 'f.gguf'\nmodel_id = 'm'", "4:1",
                 "'model_id'", "a gguf model");
  expect_refused("[model]\nxlora_model_id = 'x'\nadapters_model_id = 'a'\norder = 'o'", "3:1",
                 "do not go together");
  expect_refused("[model]\nadapters_model_id = 'a'\norder = 'o'\norganization = 'moqe'", "4:1",
                 "'organization'", "a lora model");
}

TEST(TomlSelectorTest, MissingKeysAndTables) {
  expect_refused("", "1:1", "[model] is missing");
  expect_refused("tokenizer_json = 't'\n", "1:1", "[model] is missing");
  expect_refused("\n[model]\n", "2:1", "'model_id'", "'quantized_filename'");
  expect_refused("[model]\nadapters_model_id = 'a'", "1:1", "'order' is missing", "a lora model");
  expect_refused("[model]\nquantized_filename = 'f'", "1:1", "'quantized_model_id' is missing",
                 "a gguf model");
  expect_refused("[model]\nmodel_id = 'm'\n[speculative]\ngamma = 1\n", "3:1",
                 "'draft_model' is missing");
  expect_refused("[model]\nmodel_id = 'm'\n[anymoe]\ndataset_json = 'd'\nprefix = 'p'\n", "3:1",
                 "'mlp' is missing");
}

TEST(TomlSelectorTest, WrongTypes) {
  expect_refused("model = 'm'\n", "1:9", "model: expected a table, found a string");
  expect_refused("[[model]]\nmodel_id = 'm'\n", "1:1", "model: expected a table, found an array");
  expect_refused("[model]\nmodel_id = 1\n", "2:12",
                 "model.model_id: expected a string, found an integer");
  expect_refused("[model]\nmodel_id = ['m']\n", "2:12", "expected a string, found an array");
  expect_refused("[model]\nmodel_id = 1979-05-27\n", "2:12", "found a date");
  expect_refused("[model]\n" + kQuantized + "quantized_filename = 'f.bin'\ngqa = 8.0", "4:7",
                 "model.gqa: expected an integer, found a float");
  expect_refused("tokenizer_json = true\n[model]\nmodel_id = 'm'", "1:18",
                 "tokenizer_json: expected a string, found a boolean");
  expect_refused("no_kv_cache = 'yes'\n[model]\nmodel_id = 'm'", "1:15", "expected true or false");
}

TEST(TomlSelectorTest, WrongValues) {
  const std::string plain = "[model]\nmodel_id = 'm'\n";
  expect_refused(plain + "arch = 'mixtrall'", "3:8", "unknown architecture 'mixtrall'",
                 "did you mean 'mixtral'?", "phi3.5moe");
  expect_refused(plain + "arch = 'Llama'", "3:8", "did you mean 'llama'?");
  expect_refused(plain + "dtype = 'fp16'", "3:9", "'fp16'", "auto, bf16, f16, f32");
  expect_refused(plain + "organization = 'moe'", "3:16", "default, moqe");
  expect_refused(plain + "write_uqff = 'out.bin'", "3:14", ".uqff");
  expect_refused("[model]\nmodel_id = ''\n", "2:12", "not empty");
  expect_refused("[model]\nmodel_id = \"a\\u0000b\"\n", "2:12", "zero bytes");
  const std::string ggml = "[model]\n" + kQuantized + "quantized_filename = 'f.bin'\n";
  expect_refused(ggml + "gqa = 0", "4:7", "from 1 to", "found 0");
  expect_refused(ggml + "gqa = -9223372036854775808", "4:7", "from 1 to");
  expect_refused("[model]\nxlora_model_id = 'x'\norder = 'o'\narch = 'phi3v'", "4:8",
                 "unknown architecture 'phi3v'");
  expect_refused(plain + "[speculative]\ngamma = 0\ndraft_model = {model_id = 'd'}", "4:9",
                 "speculative.gamma", "found 0");
}

TEST(TomlSelectorTest, AnyMoe) {
  const std::string head =
      "[model]\nmodel_id = 'm'\n[anymoe]\ndataset_json = 'd'\nprefix = 'p'\n"
      "mlp = 'mlp'\nmodel_ids = ['e']\n";
  const std::string config = head + "[anymoe.config]\nhidden_size = 64\n";
  const TomlSelector selector = parse_toml_selector(config + "expert_type = 'fine_tuned'", "f");
  ASSERT_TRUE(selector.anymoe);
  EXPECT_EQ(selector.anymoe->layers, std::nullopt);
  EXPECT_EQ(selector.anymoe->config.lr, 1e-3);
  EXPECT_EQ(selector.anymoe->config.epochs, 100);
  EXPECT_EQ(selector.anymoe->config.batch_size, 4);
  EXPECT_TRUE(selector.anymoe->config.training);
  EXPECT_THAT(selector.obstacle, HasSubstr("AnyMoE"));

  expect_refused(head, "3:1", "'config' is missing");
  expect_refused(config, "8:1", "'expert_type' is missing");
  expect_refused(config + "expert_type = 'finetuned'", "10:15", "did you mean 'fine_tuned'?");
  expect_refused(config + "expert_type = 1", "10:15", "expected a string, found an integer");
  expect_refused(config + "expert_type = {lora = {}}", "10:16", "unknown key 'lora'",
                 "lora_adapter");
  expect_refused(config + "expert_type = {lora_adapter = {rank = 1, alpha = 2}}", "10:31",
                 "'target_modules' is missing");
  expect_refused(config +
                     "expert_type = {lora_adapter = {rank = 1, alpha = nan, "
                     "target_modules = ['a']}}",
                 "10:50", "alpha: expected a finite number");
  const std::string tuned = config + "expert_type = 'fine_tuned'\n";
  expect_refused(tuned + "lr = 0", "11:6", "above 0");
  expect_refused(tuned + "training = false", "8:1", "'gate_model_id' is missing");
  expect_refused(tuned + "loss_csv_path = 'loss.txt'", "11:17", ".csv");
  expect_refused(head + "layers = [0, -1]\n", "8:14", "anymoe.layers", "found -1");
  expect_refused(head + "layers = [0, 1.5]\n", "8:14", "expected an integer, found a float");
  expect_refused(
      "[model]\nmodel_id = 'm'\n[anymoe]\ndataset_json = 'd'\nprefix = 'p'\n"
      "mlp = 'mlp'\nmodel_ids = []\n",
      "7:13", "at least one");
}

}  // namespace
}  // namespace mistral::models
