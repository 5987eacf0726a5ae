#include "text/tool_calls/call_marks.h"

namespace mistral::text {
namespace {

using Kind = CallStep::Kind;
using Forms = std::vector<std::vector<CallStep>>;

constexpr CallStep kBlanks{Kind::kBlanks};
constexpr CallStep kName{Kind::kName};
constexpr CallStep kObject{Kind::kObject};

constexpr CallStep text(std::string_view exact) {
  return {Kind::kText, exact};
}
constexpr CallStep skip_to(std::string_view end) {
  return {Kind::kSkipTo, end};
}
constexpr CallStep parameters(const ParameterStyle& style) {
  return {Kind::kParameters, {}, &style};
}

// Qwen3-Coder, Step
constexpr ParameterStyle kEquals{.open = "<parameter=",
                                 .key_end = ">",
                                 .value_open = {},
                                 .value_end = "</parameter>",
                                 .call_end = "</function>"};
// GLM, Laguna, Spark
constexpr ParameterStyle kPairs{.open = "<arg_key>",
                                .key_end = "</arg_key>",
                                .value_open = "<arg_value>",
                                .value_end = "</arg_value>",
                                .call_end = "</tool_call>"};
// MiniMax M2
constexpr ParameterStyle kInvoke{.open = "<parameter name=\"",
                                 .key_end = "\"",
                                 .value_open = {},
                                 .value_end = "</parameter>",
                                 .call_end = "</invoke>",
                                 .attributes = true};
constexpr ParameterStyle kAtem{.open = "<atem:parameter name=\"",
                               .key_end = "\"",
                               .value_open = {},
                               .value_end = "</atem:parameter>",
                               .call_end = "</atem:invoke>",
                               .attributes = true};
// DeepSeek from V3.2 on
constexpr ParameterStyle kDsml{.open = "<｜DSML｜parameter name=\"",
                               .key_end = "\"",
                               .value_open = {},
                               .value_end = "</｜DSML｜parameter>",
                               .call_end = "</｜DSML｜invoke>",
                               .attributes = true};

Forms invoke(const ParameterStyle& style) {
  return {{kName, text("\""), skip_to(">"), parameters(style)}};
}

std::vector<CallMark> make_marks() {
  const auto json = [](std::string_view mark) { return CallMark{.text = mark, .json = true}; };
  const auto section = [](std::string_view mark) { return CallMark{.text = mark}; };
  const auto form = [](std::string_view mark, Forms forms) {
    return CallMark{.text = mark, .forms = std::move(forms)};
  };
  const auto fence = [](std::string_view mark) {
    return CallMark{.text = mark, .json = true, .python = true, .line_start = true, .fence = true};
  };
  return {
      // Hermes, Qwen, Granite 4 …; GLM
      {.text = "<tool_call>", .json = true, .forms = {{kName, parameters(kPairs)}}},
      json("<tool_calls>"),
      json("<function_call>"),
      json("<functioncall>"),
      json("<TOOLCALL>"),
      // Llama 3
      {.text = "<|python_tag|>", .json = true, .python = true},
      form("<function=",
           {{kName, text(">"), kBlanks, kObject}, {kName, text(">"), parameters(kEquals)}}),
      // Mistral
      {.text = "[TOOL_CALLS]",
       .json = true,
       .forms = {{kName, text("[ARGS]"), kBlanks, kObject},
                 {kName, text("[CALL_ID]"), skip_to("[ARGS]"), kBlanks, kObject},
                 {kName, kBlanks, kObject}}},
      // Phi-4, Granite 3
      json("<|tool_call|>"),
      {.text = "functools", .json = true, .line_start = true},
      // Gemma 4; Gemma 3 writes calls into code
      form("<|tool_call>", {{text("call:"), kName, {Kind::kQuoted}}}),
      fence("```tool_code"),
      fence("```tool_call"),
      fence("```json"),
      fence("```python"),
      {.text = "```\n", .json = true, .python = true, .line_start = true, .fence = true},
      // LFM2
      {.text = "<|tool_call_start|>", .json = true, .python = true},
      // DeepSeek
      section("<｜tool▁calls▁begin｜>"),
      form("<｜tool▁call▁begin｜>", {{kName, text("<｜tool▁sep｜>"), kBlanks, kObject},
                                     {text("function<｜tool▁sep｜>"), kName, kBlanks, kObject},
                                     {text("function<｜tool▁sep｜>"), kName, kBlanks,
                                      text("```json"), kBlanks, kObject, kBlanks, text("```")}}),
      section("<｜DSML｜function_calls>"),
      section("<｜DSML｜tool_calls>"),
      form("<｜DSML｜invoke name=\"", invoke(kDsml)),
      // Kimi
      section("<|tool_calls_section_begin|>"),
      form("<|tool_call_begin|>",
           {{text("functions."), kName, skip_to("<|tool_call_argument_begin|>"), kBlanks, kObject},
            {kName, skip_to("<|tool_call_argument_begin|>"), kBlanks, kObject}}),
      // MiniMax, and what calls itself so
      section("<minimax:tool_call>"),
      section("<function_calls>"),
      form("<invoke name=\"", invoke(kInvoke)),
      section("<atem:function_calls>"),
      form("<atem:invoke name=\"", invoke(kAtem)),
      // Solar
      section("<|tool_calls|>"),
      form("<|tool_call:begin|>",
           {{skip_to("<|tool_call:name|>"), kName, text("<|tool_call:args|>"), kBlanks, kObject}}),
      // Command
      json("<|START_ACTION|>"),
      {.text = "Action:", .line_start = true},
      // Functionary
      {.text = ">>>", .forms = {{kName, text("\n"), kBlanks, kObject}}, .line_start = true},
      // gpt-oss, as the reasoning splitter leaves it
      form("<|channel|>commentary to=",
           {{text("functions."), kName, skip_to("<|message|>"), kBlanks, kObject},
            {kName, skip_to("<|message|>"), kBlanks, kObject}}),
      form("<|channel|>analysis to=",
           {{text("functions."), kName, skip_to("<|message|>"), kBlanks, kObject}}),
      form("to=functions.", {{kName, skip_to("<|message|>"), kBlanks, kObject}}),
  };
}

constexpr std::string_view kClosing[] = {
    "</tool_call>",
    "</tool_calls>",
    "</function_call>",
    "</functioncall>",
    "</TOOLCALL>",
    "</function>",
    "<|/tool_call|>",
    "<tool_call|>",
    "<|tool_call_end|>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁calls▁end｜>",
    "</｜DSML｜function_calls>",
    "</｜DSML｜tool_calls>",
    "<|tool_calls_section_end|>",
    "</minimax:tool_call>",
    "</function_calls>",
    "</atem:function_calls>",
    "<|tool_call:end|>",
    "<|calls|>",
    "<|END_ACTION|>",
};

}  // namespace

std::span<const CallMark> opening_marks() {
  static const std::vector<CallMark> marks = make_marks();
  return marks;
}

std::span<const std::string_view> closing_marks() {
  return kClosing;
}

}  // namespace mistral::text
