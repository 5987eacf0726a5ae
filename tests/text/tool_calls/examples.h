// Answers with calls in the forms of today's families, and answers that only look like that.
#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "text/tool_calls/tool_call_parser.h"

namespace mistral::text::test {

struct Example {
  const char* name;
  std::string text;
  std::string content;
  std::vector<ToolCall> calls;
  bool name_first = false;
};

inline const ToolSet& example_tools() {
  static const ToolSet tools = tool_set(Json::parse(R"([
    {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object",
      "properties": {"city": {"type": "string"}, "days": {"type": "integer"},
                     "wet": {"type": "boolean"}, "zip": {"type": ["string", "null"]},
                     "more": {"type": "object"}}}}},
    {"type": "function", "function": {"name": "get", "parameters": {}}},
    {"type": "function", "function": {"name": "ping"}},
    {"name": "files.write", "parameters": {"type": "object",
      "properties": {"path": {"type": "string"}, "text": {"type": "string"}}}}])"));
  return tools;
}

inline std::vector<Example> family_examples() {
  const ToolCall rome{"get_weather", R"({"city": "Rome"})"};
  const ToolCall oslo{"get_weather", R"({"city": "Oslo", "days": 3})"};
  const ToolCall ping{"ping", "{}"};
  return {
      {"bare", R"({"name": "get_weather", "arguments": {"city": "Rome"}})", "", {rome}},
      {"bare with parameters",
       R"({"name": "get_weather", "parameters": {"city": "Rome"}})",
       "",
       {rome}},
      {"bare, arguments first",
       R"( {"arguments": {"city": "Rome"}, "name": "get_weather"} )",
       "",
       {rome}},
      {"bare list",
       R"([{"name": "get_weather", "arguments": {"city": "Rome"}},
           {"name": "get_weather", "parameters": {"city": "Oslo", "days": 3}}])",
       "",
       {rome, oslo}},
      {"bare with more keys",
       R"({"thought": {"name": 1}, "id": "x", "name": "get_weather", "arguments": {"city": "Rome"}, "n": [1, {"a": null}], "last": 1e5})",
       "",
       {rome}},
      {"OpenAI's own",
       R"({"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\": \"Rome\"}"}})",
       "",
       {rome}},
      {"function as an object",
       R"([{"type": "function", "function": {"arguments": {"city": "Rome"}, "name": "get_weather"}}])",
       "",
       {rome}},
      {"bare, one after the other",
       "{\"name\": \"ping\", \"arguments\": {}}; {\"name\": \"get_weather\", \"arguments\": "
       "{\"city\": \"Rome\"}}",
       "",
       {ping, rome}},
      {"bare after text",
       "Let me look.\n\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}}",
       "Let me look.",
       {rome}},
      {"nested arguments",
       R"({"name": "get", "arguments": {"a": [1, -2.5e3, {"name": "x", "arguments": {}}], "b": "}\"]\\", "c": {"function": {"name": "y"}}, "d": "\u00e9\ud83d\ude00"}})",
       "",
       {{"get",
         R"({"a": [1, -2.5e3, {"name": "x", "arguments": {}}], "b": "}\"]\\", "c": {"function": {"name": "y"}}, "d": "\u00e9\ud83d\ude00"})"}}},
      {"line breaks within a text",
       "{\"name\": \"files.write\", \"arguments\": {\"path\": \"a\", \"text\": \"1\n\t2\"}}",
       "",
       {{"files.write", R"({"path": "a", "text": "1\n\t2"})"}}},
      {"Hermes",
       "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": "
       "\"Rome\"}}\n</tool_call>",
       "",
       {rome}},
      {"Hermes, several, with text",
       "I look at both.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": "
       "\"Rome\"}}\n</tool_call>\n"
       "<tool_call>{\"arguments\": {\"city\": \"Oslo\", \"days\": 3}, \"name\": "
       "\"get_weather\"}</tool_call>\nDone.",
       "I look at both.\nDone.",
       {rome, oslo}},
      {"Hermes without its end", "<tool_call>{\"name\": \"ping\", \"arguments\": {}}", "", {ping}},
      {"Hermes without arguments", "<tool_call>{\"name\": \"ping\"}</tool_call>", "", {ping}},
      {"Hermes in a fence",
       "```json\n<tool_call>\n{\"name\": \"ping\", \"arguments\": {}}\n</tool_call>\n```",
       "",
       {ping}},
      {"MiniMax M1",
       "<tool_calls>\n{\"name\": \"ping\", \"arguments\": {}}\n{\"name\": \"get_weather\", "
       "\"arguments\": {\"city\": \"Rome\"}}\n</tool_calls>",
       "",
       {ping, rome}},
      {"Qwen3-Coder",
       "Now:\n<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</"
       "parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
       "Now:",
       {oslo}},
      {"Qwen3-Coder, kinds of values",
       "<tool_call>\n<function=get_weather>\n<parameter=city>\n007\n</"
       "parameter>\n<parameter=wet>\nTrue\n</parameter>\n"
       "<parameter=zip>\nnull\n</parameter>\n<parameter=more>\n{\"a\": "
       "[1]}\n</parameter>\n<parameter=other>\na <b> "
       "\"c\"\n\n</parameter>\n</function>\n</tool_call>"
       "\n<tool_call>\n<function=ping>\n</function>\n</tool_call>",
       "",
       {{"get_weather",
         R"({"city": "007", "wet": true, "zip": null, "more": {"a": [1]}, "other": "a <b> \"c\"\n"})"},
        ping}},
      {"GLM",
       "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</"
       "arg_value>\n<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</"
       "tool_call><tool_call>ping</tool_call>",
       "",
       {oslo, ping}},
      {"MiniMax M2",
       "<minimax:tool_call>\n<invoke name=\"get_weather\">\n<parameter "
       "name=\"city\">Oslo</parameter>\n<parameter name=\"days\">3</parameter>\n</invoke>\n<invoke "
       "name=\"ping\">\n</invoke>\n</minimax:tool_call>",
       "",
       {oslo, ping}},
      {"DeepSeek DSML",
       "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"get\">\n<｜DSML｜parameter name=\"a\" "
       "string=\"true\">3</｜DSML｜parameter>\n<｜DSML｜parameter name=\"b\" "
       "string=\"false\">[3]</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
       "",
       {{"get", R"({"a": "3", "b": [3]})"}}},
      {"Llama 3", "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Rome\"}}", "", {rome}},
      {"Llama 3, python tag",
       "<|python_tag|>{\"type\": \"function\", \"name\": \"get_weather\", \"parameters\": "
       "{\"city\": \"Rome\"}}; {\"name\": \"ping\", \"parameters\": {}}",
       "",
       {rome, ping}},
      {"Llama 3, function tag",
       "<function=get_weather>{\"city\": \"Rome\"}</function>",
       "",
       {rome}},
      {"Llama, several function tags",
       "Both:\n<function=get_weather>{\"city\": \"Rome\"}</function>\n<function=ping>{}</function>",
       "Both:",
       {rome, ping}},
      {"Llama, Python",
       "[get_weather(city=\"Rome\"), get_weather(city='Oslo', days=3)]",
       "",
       {rome, oslo}},
      {"LFM2",
       "<|tool_call_start|>[get_weather(city=\"Rome\")]<|tool_call_end|>Looking.",
       "Looking.",
       {rome}},
      {"Mistral",
       "[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}, \"id\": "
       "\"abcdef123\"}, {\"name\": \"ping\", \"arguments\": {}}]",
       "",
       {rome, ping}},
      {"Mistral with a space",
       "[TOOL_CALLS] [{\"name\": \"ping\", \"arguments\": {}}]",
       "",
       {ping}},
      {"Mistral, name first",
       "[TOOL_CALLS]get_weather[ARGS]{\"city\": "
       "\"Rome\"}[TOOL_CALLS]ping[CALL_ID]abcdef123[ARGS]{}",
       "",
       {rome, ping}},
      {"Mistral, name and braces",
       "Yes.[TOOL_CALLS]get_weather{\"city\": \"Rome\"}",
       "Yes.",
       {rome}},
      {"Gemma, fenced JSON",
       "```json\n{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Rome\"}}\n```",
       "",
       {rome}},
      {"Gemma, fenced list",
       "Here:\n```tool_call\n[{\"name\": \"ping\", \"arguments\": {}}]\n```\nthere",
       "Here:\nthere",
       {ping}},
      {"Gemma, code",
       "```tool_code\nget_weather(city='Oslo', days=3)\nget(a=[1, (2,), {'b': None}], "
       "c=\"d\\n'\\u00e9\", e=False)\n```",
       "",
       {oslo, {"get", R"({"a": [1, [2], {"b": null}], "c": "d\n'é", "e": false})"}}},
      {"Gemma 4",
       "<|tool_call>call:get_weather{city:<|\"|>Oslo<|\"|>,days:3}<tool_call|><|tool_call>call:get{"
       "a:{b:[true,<|\"|>}<|\"|>]}}<tool_call|>",
       "",
       {oslo, {"get", R"({"a": {"b": [true, "}"]}})"}}},
      {"Phi", "<|tool_call|>[{\"name\": \"ping\", \"arguments\": {}}]<|/tool_call|>", "", {ping}},
      {"Phi, functools",
       "functools[{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Rome\"}}, {\"name\": "
       "\"ping\", \"arguments\": {}}]",
       "",
       {rome, ping}},
      {"DeepSeek R1",
       "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{"
       "\"city\": \"Rome\"}\n```<｜tool▁call▁end｜>\n"
       "<｜tool▁call▁begin｜>function<｜tool▁sep｜>ping\n```json\n{}\n```<｜tool▁call▁end｜><"
       "｜tool▁calls▁end｜>",
       "",
       {rome, ping}},
      {"DeepSeek V3.1",
       "Good.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{\"city\": "
       "\"Rome\"}<｜tool▁call▁end｜><｜tool▁call▁begin｜>ping<｜tool▁sep｜>{}<｜tool▁call▁end｜><"
       "｜tool▁calls▁end｜>",
       "Good.",
       {rome, ping}},
      {"Functionary", ">>>get_weather\n{\"city\": \"Rome\"}>>>ping\n{}", "", {rome, ping}},
      {"Functionary after its mark",
       "get_weather\n{\"city\": \"Rome\"}>>>ping\n{}",
       "",
       {rome, ping},
       true},
      {"Functionary, text",
       "all\nHello.\n>>>get_weather\n{\"city\": \"Rome\"}",
       "Hello.",
       {rome},
       true},
      {"Functionary, two texts", "all\nHello.\n>>>all\nAgain.", "Hello.\nAgain.", {}, true},
      {"Kimi",
       "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_"
       "begin|>{\"city\": \"Rome\"}<|tool_call_end|>"
       "<|tool_call_begin|>ping:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_"
       "section_end|>",
       "",
       {rome, ping}},
      {"Command",
       "<|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"get_weather\", "
       "\"parameters\": {\"city\": \"Rome\"}}\n]<|END_ACTION|>",
       "",
       {rome}},
      {"Command R",
       "Action:\n```json\n[\n    {\n        \"tool_name\": \"ping\",\n        \"parameters\": {}\n "
       "   }\n]```",
       "",
       {ping}},
      {"Solar",
       "<|tool_calls|><|tool_call:begin|>abcdef1234<|tool_call:name|>ping<|tool_call:args|>{}<|"
       "tool_call:end|><|calls|>",
       "",
       {ping}},
      {"gpt-oss",
       "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{\"city\": "
       "\"Rome\"}",
       "",
       {rome}},
      {"gpt-oss, the other order",
       " to=functions.ping<|channel|>commentary json<|message|>{}",
       "",
       {ping}},
      {"a list and a mark",
       "[TOOL_CALLS[TOOL_CALLS][{\"name\": \"ping\", \"arguments\": {}}]",
       "[TOOL_CALLS",
       {ping}},
      {"a mark behind half a mark",
       "a <tool_<tool_call>{\"name\": \"ping\", \"arguments\": {}}</tool_call>",
       "a <tool_",
       {ping}},
      {"a call behind half a call",
       "<tool_call>get_weather\n<arg_<tool_call>{\"name\": \"ping\", \"arguments\": "
       "{}}</tool_call>",
       "<tool_call>get_weather\n<arg_",
       {ping}},
      {"a good call behind a broken one",
       "<tool_call>{\"name\": \"get\", \"arguments\": {\"a\": }}</tool_call><tool_call>{\"name\": "
       "\"ping\", \"arguments\": {}}</tool_call>",
       "<tool_call>{\"name\": \"get\", \"arguments\": {\"a\": }}</tool_call>",
       {ping}},
  };
}

// Texts that must come out as they are.
inline std::vector<std::string> plain_examples() {
  return {
      "",
      " \n",
      "Hello, it is 5 < 6 and {this} is [not] a call.\n",
      "  indented, with an end \n\n",
      R"({"answer": 42, "list": [1, 2, {"name": "x"}]})",
      R"({"name": "unknown", "arguments": {}})",
      R"({"name": "ping", "arguments": [1]})",
      R"({"name": "ping"})",
      R"({"name": "ping", "arguments": {"a": 01}})",
      R"({"name": "ping", "arguments": {"a": "\ud800"}})",
      R"({"name": "ping", "arguments": {"a": 1})",
      R"({"name": "ping", "arguments": "no object"})",
      R"({"name": "ping", "arguments": {}, })",
      R"([{"name": "ping", "arguments": {}}, {"name": "unknown", "arguments": {}}])",
      R"([{"name": "ping", "arguments": {}}, 3])",
      "[]",
      "[1, 2]",
      "[link](http://example.org) and [get](x)",
      "Text {\"name\": \"ping\", \"arguments\": {}} within a line",
      "<tool_call>",
      "<tool_call>\n",
      "<tool_call>\nnothing\n</tool_call>\n",
      "<tool_call>{\"name\": \"unknown\", \"arguments\": {}}</tool_call>",
      "<tool_call>\n<function=unknown>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>",
      "<function=get_weather>\n<parameter=city>\nRome\n",
      "<|python_tag|>print(1)",
      "[TOOL_CALLS] nothing",
      "functools[1]",
      "The functools[{\"name\": \"ping\", \"arguments\": {}}] within a line",
      ">>> get\n>>>print(1)\n1",
      "```json\n{\"a\": 1}\n```\nand\n```python\nget_weather\n```\n",
      "```\ncode\n```\n",
      "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>unknown<｜tool▁sep｜>{}<｜tool▁call▁end｜><"
      "｜tool▁calls▁end｜>",
      "<|channel|>commentary to=python<|message|>print()",
      "[ping(1)]",
      "[ping(a=b)]",
      "; , ``` </tool_call>",
      "\xE2\x82\xAC < \xE2\x82\xAC <｜x ｜\xE2\x82\xAC",
  };
}

}  // namespace mistral::text::test
