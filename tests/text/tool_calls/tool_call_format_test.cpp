#include "text/tool_calls/tool_call_format.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "temporary_folder.h"
#include "text/tool_calls/examples.h"

namespace mistral::text {
namespace {

struct Detected {
  const char* source;
  const char* name;
};

constexpr Detected kTemplates[] = {
    {"", "json"},
    {"{{ messages }}", "json"},
    {"[TOOL_CALLS] {{ name }}[ARGS]", "mistral-args"},
    {"'[TOOL_CALLS][' + x", "mistral"},
    {"<｜tool▁call▁begin｜>function<｜tool▁sep｜>", "deepseek-r1"},
    {"<｜tool▁call▁begin｜>' + name + '<｜tool▁sep｜>", "deepseek"},
    {"<tool_call>\n{\"name\"", "hermes"},
    {"<tool_call>\n<function=x>\n<parameter=y>", "qwen-coder"},
    {"<tool_call>name<arg_key>", "glm"},
    {"<function=example>", "llama-function"},
    {"functools[", "functools"},
    {"<|tool_call|>[", "granite"},
    {"<|tool_call|>[<|/tool_call|>", "phi"},
    {">>>' + recipient", "functionary"},
    {"<|channel|>commentary", "gpt-oss"},
    {"<|python_tag|>", "llama-3"},
    {"Respond in the format {\"name\": function name, \"parameters\": dictionary of argument name "
     "and its value}.",
     "llama-3"},
    {"```tool_code", "gemma"},
};

TEST(ToolCallFormat, IsChosenByTheTemplate) {
  for (const Detected& detected : kTemplates) {
    EXPECT_EQ(tool_call_format(detected.source, nullptr).name, detected.name) << detected.source;
  }
}

TEST(ToolCallFormat, IsChosenByTheVocabularyWhereTheTemplateIsSilent) {
  const mistral::test::TemporaryFolder folder;
  const auto path = folder.path() / "tokenizer.json";
  Json json = Json::parse(R"({"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"},
                              "added_tokens": []})");
  const auto add = [&](int id, const char* content, bool special) {
    json["added_tokens"].push_back({{"id", id},
                                    {"content", content},
                                    {"special", special},
                                    {"single_word", false},
                                    {"lstrip", false},
                                    {"rstrip", false},
                                    {"normalized", false}});
  };
  add(1, "[TOOL_CALLS]", true);
  add(2, "<tool_call>", false);
  add(3, "[ARGS]", true);
  add(4, "<s>", true);
  std::ofstream(path) << json;
  const auto tokenizer = load_tokenizer_json(path);
  EXPECT_EQ(tool_call_format("", tokenizer.get()).name, "mistral-args");
  EXPECT_EQ(tool_call_format("<tool_call>", tokenizer.get()).name, "hermes");
  EXPECT_THAT(tool_call_marks(*tokenizer), testing::UnorderedElementsAre(1, 3));
}

// An answer with calls as a constraint would let through.
std::string written(const ToolCallFormat& format, const std::vector<ToolCall>& calls) {
  std::string text = format.begin;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (i > 0) text += format.separator;
    text += format.call_begin;
    text += format.shape == ToolCallFormat::Shape::kNameFirst
                ? calls[i].name + format.name_end + calls[i].arguments
                : "{\"" + format.name_key + "\": \"" + calls[i].name + "\", \"" +
                      format.arguments_key + "\": " + calls[i].arguments + "}";
    text += format.call_end;
  }
  return text + format.end;
}

TEST(ToolCallFormat, WhatItDescribesIsRead) {
  const std::vector<ToolCall> calls{{"get_weather", R"({"city": "Rome"})"}, {"ping", "{}"}};
  for (const Detected& detected : kTemplates) {
    const ToolCallFormat& format =
        json_tool_call_format(tool_call_format(detected.source, nullptr));
    ASSERT_NE(format.shape, ToolCallFormat::Shape::kParameters);
    for (std::size_t count = 1; count <= (format.parallel ? 2U : 1U); ++count) {
      const std::string text = written(format, {calls.begin(), calls.begin() + count});
      const ToolAnswer answer =
          read_tool_answer(test::example_tools(), text, {}, format.name_first);
      EXPECT_EQ(answer.content, "") << format.name << ": " << text;
      ASSERT_EQ(answer.calls.size(), count) << format.name << ": " << text;
      for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(answer.calls[i].name, calls[i].name);
        EXPECT_EQ(answer.calls[i].arguments, calls[i].arguments);
      }
    }
    for (const std::string& trigger : format.triggers) {
      if (format.name_first) continue;
      EXPECT_EQ(written(format, calls).find(trigger), 0U) << format.name;
    }
  }
}

}  // namespace
}  // namespace mistral::text
