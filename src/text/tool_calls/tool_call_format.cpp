#include "text/tool_calls/tool_call_format.h"

#include <algorithm>
#include <span>

#include "text/tool_calls/call_marks.h"

namespace mistral::text {
namespace {

using Shape = ToolCallFormat::Shape;

// A format, and the texts that a template of its kind has, all of them.
struct KnownFormat {
  std::vector<std::string_view> signs;
  ToolCallFormat format;
};

// The ones whose signs are rarer come first.
std::vector<KnownFormat> make_formats() {
  return {
      {{"[TOOL_CALLS]", "[ARGS]"},
       {.name = "mistral-args",
        .shape = Shape::kNameFirst,
        .call_begin = "[TOOL_CALLS]",
        .name_end = "[ARGS]",
        .triggers = {"[TOOL_CALLS]"}}},
      {{"[TOOL_CALLS]"},
       {.name = "mistral",
        .begin = "[TOOL_CALLS][",
        .separator = ", ",
        .end = "]",
        .triggers = {"[TOOL_CALLS]"}}},
      {{"<｜tool▁call▁begin｜>", "function<｜tool▁sep｜>"},
       {.name = "deepseek-r1",
        .shape = Shape::kNameFirst,
        .begin = "<｜tool▁calls▁begin｜>",
        .call_begin = "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
        .name_end = "\n```json\n",
        .call_end = "\n```<｜tool▁call▁end｜>",
        .separator = "\n",
        .end = "<｜tool▁calls▁end｜>",
        .triggers = {"<｜tool▁calls▁begin｜>"}}},
      {{"<｜tool▁call▁begin｜>"},
       {.name = "deepseek",
        .shape = Shape::kNameFirst,
        .begin = "<｜tool▁calls▁begin｜>",
        .call_begin = "<｜tool▁call▁begin｜>",
        .name_end = "<｜tool▁sep｜>",
        .call_end = "<｜tool▁call▁end｜>",
        .end = "<｜tool▁calls▁end｜>",
        .triggers = {"<｜tool▁calls▁begin｜>"}}},
      {{"｜DSML｜"}, {.name = "deepseek-dsml", .shape = Shape::kParameters}},
      {{"<|tool_calls_section_begin|>"},
       {.name = "kimi",
        .shape = Shape::kNameFirst,
        .begin = "<|tool_calls_section_begin|>",
        .call_begin = "<|tool_call_begin|>functions.",
        .name_end = ":0<|tool_call_argument_begin|>",
        .call_end = "<|tool_call_end|>",
        .end = "<|tool_calls_section_end|>",
        .triggers = {"<|tool_calls_section_begin|>"}}},
      {{"<|tool_call>call:"},
       {.name = "gemma-4", .shape = Shape::kParameters, .triggers = {"<|tool_call>"}}},
      {{"minimax:tool_call>"}, {.name = "minimax", .shape = Shape::kParameters}},
      {{"<atem:invoke"}, {.name = "atem", .shape = Shape::kParameters}},
      {{"<arg_key>"}, {.name = "glm", .shape = Shape::kParameters, .triggers = {"<tool_call>"}}},
      {{"<parameter=", "<function="},
       {.name = "qwen-coder", .shape = Shape::kParameters, .triggers = {"<tool_call>"}}},
      {{"<function="},
       {.name = "llama-function",
        .shape = Shape::kNameFirst,
        .call_begin = "<function=",
        .name_end = ">",
        .call_end = "</function>",
        .triggers = {"<function="}}},
      {{"functools"},
       {.name = "functools",
        .begin = "functools[",
        .separator = ", ",
        .end = "]",
        .triggers = {"functools["}}},
      {{"<|tool_call:begin|>"},
       {.name = "solar",
        .shape = Shape::kNameFirst,
        .begin = "<|tool_calls|>",
        .call_begin = "<|tool_call:begin|>0000000000<|tool_call:name|>",
        .name_end = "<|tool_call:args|>",
        .call_end = "<|tool_call:end|>",
        .triggers = {"<|tool_calls|>"}}},
      {{"<|tool_call_start|>"},
       {.name = "lfm",
        .begin = "<|tool_call_start|>[",
        .separator = ", ",
        .end = "]<|tool_call_end|>",
        .triggers = {"<|tool_call_start|>"}}},
      {{"<|tool_call|>", "<|/tool_call|>"},
       {.name = "phi",
        .begin = "<|tool_call|>[",
        .separator = ", ",
        .end = "]<|/tool_call|>",
        .triggers = {"<|tool_call|>"}}},
      {{"<|tool_call|>"},
       {.name = "granite",
        .begin = "<|tool_call|>[",
        .separator = ", ",
        .end = "]",
        .triggers = {"<|tool_call|>"}}},
      {{"<|START_ACTION|>"},
       {.name = "command",
        .begin = "<|START_ACTION|>[\n",
        .name_key = "tool_name",
        .arguments_key = "parameters",
        .separator = ",\n",
        .end = "\n]<|END_ACTION|>",
        .triggers = {"<|START_ACTION|>"}}},
      {{"Action:", "```json", "tool_name"},
       {.name = "command-r",
        .begin = "Action:\n```json\n[\n",
        .name_key = "tool_name",
        .arguments_key = "parameters",
        .separator = ",\n",
        .end = "\n]```",
        .triggers = {"Action:\n```json"}}},
      {{"<|channel|>", "commentary"},
       {.name = "gpt-oss",
        .shape = Shape::kNameFirst,
        .call_begin = "<|channel|>commentary to=functions.",
        .name_end = " <|constrain|>json<|message|>",
        .triggers = {"<|channel|>commentary to=functions."},
        .parallel = false}},
      {{">>>", "recipient"},
       {.name = "functionary",
        .shape = Shape::kNameFirst,
        .name_end = "\n",
        .separator = ">>>",
        .triggers = {">>>"},
        .name_first = true}},
      {{"<tool_call>"},
       {.name = "hermes",
        .call_begin = "<tool_call>\n",
        .call_end = "\n</tool_call>",
        .separator = "\n",
        .triggers = {"<tool_call>"}}},
      {{"<tool_calls>"},
       {.name = "minimax-m1",
        .begin = "<tool_calls>\n",
        .separator = "\n",
        .end = "\n</tool_calls>",
        .triggers = {"<tool_calls>"}}},
      {{"<TOOLCALL>"},
       {.name = "nemotron",
        .begin = "<TOOLCALL>[",
        .separator = ", ",
        .end = "]</TOOLCALL>",
        .triggers = {"<TOOLCALL>"}}},
      {{"<|python_tag|>"}, {.name = "llama-3", .arguments_key = "parameters", .parallel = false}},
      {{"\"parameters\": dictionary of argument name"},
       {.name = "llama-3", .arguments_key = "parameters", .parallel = false}},
      {{"tool_code"},
       {.name = "gemma",
        .call_begin = "```tool_code\n",
        .call_end = "\n```",
        .separator = "\n",
        .triggers = {"```tool_code"}}},
  };
}

const std::vector<KnownFormat>& formats() {
  static const std::vector<KnownFormat> known = make_formats();
  return known;
}

const ToolCallFormat& bare_json() {
  static const ToolCallFormat format{.name = "json", .begin = "[", .separator = ", ", .end = "]"};
  return format;
}

const ToolCallFormat* by_name(std::string_view name) {
  for (const KnownFormat& known : formats()) {
    if (known.format.name == name) return &known.format;
  }
  return nullptr;
}

}  // namespace

const ToolCallFormat& tool_call_format(std::string_view template_source,
                                       const Tokenizer* tokenizer) {
  for (const KnownFormat& known : formats()) {
    const auto has = [&](std::string_view sign) {
      return template_source.find(sign) != std::string_view::npos;
    };
    if (std::all_of(known.signs.begin(), known.signs.end(), has)) return known.format;
  }
  if (tokenizer == nullptr) return bare_json();
  for (const KnownFormat& known : formats()) {
    const auto is_token = [&](std::string_view sign) {
      const auto id = tokenizer->find(sign);
      return id && tokenizer->is_special(*id);
    };
    if (std::all_of(known.signs.begin(), known.signs.end(), is_token)) return known.format;
  }
  return bare_json();
}

const ToolCallFormat& json_tool_call_format(const ToolCallFormat& format) {
  return format.shape == Shape::kParameters ? *by_name("hermes") : format;
}

std::vector<TokenId> tool_call_marks(const Tokenizer& tokenizer) {
  std::vector<TokenId> ids;
  const auto add = [&](std::string_view text) {
    const auto id = tokenizer.find(text);
    if (id && tokenizer.is_special(*id)) ids.push_back(*id);
  };
  for (const CallMark& mark : opening_marks()) add(mark.text);
  for (const std::string_view mark : closing_marks()) add(mark);
  for (const std::string_view mark :
       {"[ARGS]", "[CALL_ID]", "<｜tool▁sep｜>", "<|tool_call_argument_begin|>",
        "<|tool_call:name|>", "<|tool_call:args|>", "<arg_key>", "</arg_key>", "<arg_value>",
        "</arg_value>", "<|\"|>", "｜DSML｜", "<|channel|>", "<|message|>", "<|constrain|>"}) {
    add(mark);
  }
  return ids;
}

}  // namespace mistral::text
