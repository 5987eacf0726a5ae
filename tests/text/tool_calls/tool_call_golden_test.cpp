// What templates make of calls in the history is what models were taught to write: the calls are
// found in it again, with every template of golden/chat_template that prints calls.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "golden_dir.h"
#include "text/chat_template/chat_template.h"
#include "text/tool_calls/tool_call_format.h"
#include "text/tool_calls/tool_call_parser.h"

namespace mistral::text {
namespace {

namespace fs = std::filesystem;

// Forms of single models that are not read: their calls stay content.
const std::set<std::string> kNotRead = {"Kimi-K3", "MiniMax-M3", "tencent-Hy3"};

const Json& tools() {
  static const Json list = Json::parse(R"([
    {"type": "function", "function": {"name": "look_up_street", "description": "d", "parameters": {
      "type": "object", "properties": {"city": {"type": "string", "description": "c"},
      "number": {"type": "integer", "description": "n"}}, "required": ["city"]}}},
    {"type": "function", "function": {"name": "add_up", "description": "d", "parameters": {
      "type": "object", "properties": {"a": {"type": "number", "description": "a"}},
      "required": ["a"]}}}])");
  return list;
}

Json call(const char* id, const char* name, Json arguments) {
  return {{"id", id},
          {"type", "function"},
          {"function", {{"name", name}, {"arguments", std::move(arguments)}}}};
}

// What the template prints for an answer with `calls` behind the prompt that asks for it; empty if
// it refuses.
std::string printed(const ChatTemplate& chat, const Json& calls) {
  Json context = {{"bos_token", "<s>"},   {"eos_token", "</s>"}, {"unk_token", "<unk>"},
                  {"pad_token", "<pad>"}, {"tools", tools()},    {"documents", nullptr}};
  context["messages"] = Json::array({{{"role", "user"}, {"content", "Go"}}});
  context["add_generation_prompt"] = true;
  try {
    const std::string prompt = chat.render(context);
    context["add_generation_prompt"] = false;
    context["messages"].push_back({{"role", "assistant"}, {"content", ""}, {"tool_calls", calls}});
    const std::string all = chat.render(context);
    const auto end = std::mismatch(prompt.begin(), prompt.end(), all.begin(), all.end());
    auto begin = static_cast<std::size_t>(end.second - all.begin());
    // A mark of the call and one of the prompt may begin alike.
    const std::size_t mark = all.rfind('<', begin);
    if (mark != std::string::npos && all.find('>', mark) >= begin) begin = mark;
    return all.substr(begin);
  } catch (const TemplateError&) {
    return {};
  }
}

std::size_t check(const fs::path& path, const ChatTemplate& chat, const Json& calls) {
  const std::string text = printed(chat, calls);
  for (const Json& one : calls) {
    if (text.find(one["function"]["name"].get<std::string>()) == std::string::npos) return 0;
  }
  SCOPED_TRACE(path.stem().string() + ": " + text);
  const ToolSet set = tool_set(tools());
  const ToolAnswer answer = read_tool_answer(set, text);
  EXPECT_EQ(answer.calls.size(), calls.size());
  for (std::size_t i = 0; i < std::min(answer.calls.size(), calls.size()); ++i) {
    EXPECT_EQ(answer.calls[i].name, calls[i]["function"]["name"]);
    EXPECT_EQ(Json::parse(answer.calls[i].arguments), calls[i]["function"]["arguments"]);
  }
  return 1;
}

TEST(ToolCallGolden, CallsOfTemplatesAreFound) {
  std::size_t found = 0;
  for (const auto& entry :
       fs::directory_iterator(mistral::test::golden_dir() / "chat_template/templates")) {
    if (kNotRead.contains(entry.path().stem().string())) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    std::ostringstream source;
    source << file.rdbuf();
    const ChatTemplate chat = ChatTemplate::compile(source.str());
    const Json first =
        call("abcdef123", "look_up_street", {{"city", "Kraków \"x\""}, {"number", 3}});
    const Json second = call("abcdef124", "add_up", {{"a", -2.5}});
    found += check(entry.path(), chat, Json::array({first}));
    found += check(entry.path(), chat, Json::array({first, second}));
  }
  EXPECT_GE(found, 30U);
}

}  // namespace
}  // namespace mistral::text
