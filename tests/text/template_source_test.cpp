// Where templates come from, and the formats that are known by name.
#include "text/chat_template/template_source.h"

#include <filesystem>
#include <functional>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "temporary_folder.h"
#include "text/chat_template/chat_template.h"
#include "text/chat_template/known_formats.h"

namespace mistral::text {
namespace {

using ::testing::HasSubstr;

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

Json chat() {
  return Json::parse(R"({"messages": [{"role": "system", "content": "S"},
      {"role": "user", "content": "U"}, {"role": "assistant", "content": "A"},
      {"role": "user", "content": "V"}],
      "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>"})");
}

TEST(KnownFormats, RenderAChat) {
  const std::map<std::string_view, std::string_view> expected{
      {"alpaca",
       "S\n\n### Instruction:\nU\n\n### Response:\nA</s>\n\n### Instruction:\nV\n\n### "
       "Response:\n"},
      {"chatml",
       "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"
       "A<|im_end|>\n<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n"},
      {"gemma",
       "<s><start_of_turn>user\nS\n\nU<end_of_turn>\n<start_of_turn>model\nA<end_of_turn>\n"
       "<start_of_turn>user\nV<end_of_turn>\n<start_of_turn>model\n"},
      {"llama2", "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nU [/INST] A </s><s>[INST] V [/INST]"},
      {"llama3",
       "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user"
       "<|end_header_id|>\n\nU<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA"
       "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nV<|eot_id|><|start_header_id|>"
       "assistant<|end_header_id|>\n\n"},
      {"mistral", "<s>[INST] S\n\nU [/INST]A</s> [INST] V [/INST]"},
      {"phi3",
       "<s><|system|>\nS<|end|>\n<|user|>\nU<|end|>\n<|assistant|>\nA<|end|>\n<|user|>\nV<|end|>\n"
       "<|assistant|>\n"},
      {"vicuna", "<s>S USER: U ASSISTANT: A</s>USER: V ASSISTANT:"},
      {"zephyr",
       "<|system|>\nS</s>\n<|user|>\nU</s>\n<|assistant|>\nA</s>\n<|user|>\nV</s>\n"
       "<|assistant|>\n"},
  };
  EXPECT_EQ(known_formats().size(), expected.size());
  for (const KnownFormat& format : known_formats()) {
    ASSERT_TRUE(expected.contains(format.name)) << format.name;
    const TemplateSource source = template_from_argument(std::string(format.name));
    const ChatTemplate compiled = ChatTemplate::compile(source.text);
    EXPECT_EQ(expected.at(format.name), compiled.render(chat())) << format.name;
    // A model without special tokens has none in its prompts.
    Json bare = chat();
    bare.erase("bos_token");
    bare.erase("eos_token");
    EXPECT_EQ(compiled.render(bare).find("s>"), std::string::npos) << format.name;
    Json odd = chat();
    odd["messages"][3]["role"] = "narrator";
    if (format.name == "chatml" || format.name == "llama3") continue;  // any role
    EXPECT_NE(error_of([&] { static_cast<void>(compiled.render(odd)); }), "no error")
        << format.name;
  }
}

TEST(TemplateFromArgument, TakesFilesAndTexts) {
  const test::TemporaryFolder folder;
  const auto jinja = folder.write("a.jinja", "{{ 1 }}").string();
  EXPECT_EQ(template_from_argument(jinja).text, "{{ 1 }}");
  EXPECT_EQ(template_from_argument("x{{ 2 }}").text, "x{{ 2 }}");
  const auto json = folder.write("a.json", R"({"chat_template": [
      {"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}],
      "bos_token": {"content": "<b>"}, "eos_token": "<e>", "unk_token": null,
      "model_max_length": "large"})");
  const TemplateSource source = template_from_argument(json.string());
  EXPECT_EQ(source.text, "d");
  EXPECT_EQ(source.tool_use, "t");
  const std::vector<std::pair<std::string, std::string>> tokens{{"bos_token", "<b>"},
                                                                {"eos_token", "<e>"}};
  EXPECT_EQ(source.tokens, tokens);
  EXPECT_EQ(template_from_jinja_file(json).text.front(), '{');
}

TEST(TemplateFromArgument, SaysWhatIsWrong) {
  const test::TemporaryFolder folder;
  const auto message = [](const std::string& argument) {
    return error_of([&] { static_cast<void>(template_from_argument(argument)); });
  };
  EXPECT_THAT(message("no-such-thing"), HasSubstr("chatml, gemma"));
  EXPECT_THAT(message(folder.write("a.json", "[").string()), HasSubstr("a.json"));
  EXPECT_THAT(message(folder.write("b.json", "{}").string()), HasSubstr("chat_template"));
  EXPECT_THAT(message(folder.write("c.json", R"({"chat_template": 7})").string()),
              HasSubstr("c.json: chat_template"));
  EXPECT_THAT(message(folder.write("d.json", R"({"chat_template": ["x"]})").string()),
              HasSubstr("\"name\""));
  const std::string unnamed =
      message(folder
                  .write("e.json", R"({"chat_template": [{"name": "a", "template": "1"},
                                                         {"name": "b", "template": "2"}]})")
                  .string());
  EXPECT_THAT(unnamed, HasSubstr("default"));
  EXPECT_THAT(unnamed, HasSubstr("tool_use"));
}

TEST(TemplateFromJson, KnowsTheFormsOfLists) {
  const auto read = [](const char* json) { return template_from_json(Json::parse(json), "x"); };
  EXPECT_FALSE(read("null"));
  EXPECT_FALSE(read("[]"));
  EXPECT_EQ(read(R"("a")")->text, "a");
  EXPECT_EQ(read(R"([{"default": "d"}, {"tool_use": "t"}])")->tool_use, "t");
  EXPECT_EQ(read(R"({"default": "d", "rag": "r"})")->text, "d");
  EXPECT_EQ(read(R"([{"name": "tool_use", "template": "t"}])")->text, "t");
  EXPECT_EQ(read(R"([{"name": "only", "template": "o"}])")->text, "o");
}

TEST(TemplateFromFolder, TheStrongestFileWins) {
  const test::TemporaryFolder folder;
  EXPECT_FALSE(template_from_folder(folder.path()));
  folder.write("tokenizer_config.json", R"({"chat_template": null})");
  EXPECT_FALSE(template_from_folder(folder.path()));
  folder.write("tokenizer_config.json", R"({"chat_template": "config"})");
  EXPECT_EQ(template_from_folder(folder.path())->text, "config");
  folder.write("chat_template.json", R"({"chat_template": "json"})");
  EXPECT_EQ(template_from_folder(folder.path())->text, "json");
  folder.write("chat_template.jinja", "jinja");
  EXPECT_EQ(template_from_folder(folder.path())->text, "jinja");
  std::filesystem::create_directory(folder.path() / "additional_chat_templates");
  folder.write("additional_chat_templates/tool_use.jinja", "tools");
  EXPECT_EQ(template_from_folder(folder.path())->tool_use, "tools");
  folder.write("processor_config.json", R"({"processor_class": "P"})");
  EXPECT_EQ(template_from_folder(folder.path())->text, "jinja");
  folder.write("processor_config.json", R"({"chat_template": "processor"})");
  EXPECT_EQ(template_from_folder(folder.path())->text, "processor");
}

}  // namespace
}  // namespace mistral::text
