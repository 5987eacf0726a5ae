// `strict` of tools that the model may call, or not.
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "served_model.h"

namespace mistral::server {
namespace {

constexpr const char* kChat = "/v1/chat/completions";
constexpr const char* kHermes =
    "{{ '<tool_call>' }}{% for m in messages %}{{ m['content'] }}{% endfor %}";
constexpr const char* kFunctionary = "{{ 'recipient' }}>>>{{ messages[0]['content'] }}>>>";

// Two tools whose arguments are {"n": 1} or {"n": 2}; only the first is strict.
Json body_of(bool strict) {
  Json body = {{"messages", {{{"role", "user"}, {"content", "x"}}}},
               {"max_tokens", 300},
               {"temperature", 0}};
  for (const char* const name : {"add", "sub"}) {
    Json function = {{"name", name}, {"parameters", Json::parse(R"({"type":"object","properties":{
                         "n":{"enum":[1,2]},"m":{"type":"boolean"}},"required":["n"],
                         "additionalProperties":false})")}};
    if (strict && std::string(name) == "add") function["strict"] = true;
    body["tools"].push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  return body;
}

struct Told {
  std::string content;
  Json calls = Json::array();  // [name, arguments]
  std::string reason;
  bool operator==(const Told&) const = default;
};

Json one_call(const char* name, const char* arguments) {
  return Json::array({Json::array({name, arguments})});
}

Told ask(ServedFake& fake, Json body) {
  const Json choice = post(*fake.api, kChat, body).json()["choices"][0];
  Told told{.content = choice["message"]["content"].is_null() ? "" : choice["message"]["content"],
            .reason = choice["finish_reason"]};
  for (const Json& call : choice["message"].value("tool_calls", Json::array())) {
    told.calls.push_back({call["function"]["name"], call["function"]["arguments"]});
  }
  // A stream says the same.
  body["stream"] = true;
  Told streamed;
  for (const std::string& event : post(*fake.api, kChat, body).events()) {
    if (event == "[DONE]") continue;
    const Json one = Json::parse(event)["choices"][0];
    streamed.content += one["delta"].value("content", "");
    for (const Json& call : one["delta"].value("tool_calls", Json::array())) {
      EXPECT_EQ(call["index"], streamed.calls.size());
      streamed.calls.push_back({call["function"]["name"], call["function"]["arguments"]});
    }
    if (!one["finish_reason"].is_null()) streamed.reason = one["finish_reason"];
  }
  EXPECT_EQ(streamed, told) << streamed.content << " " << streamed.calls;
  return told;
}

void use(ServedFake& fake, const char* chat_template) {
  fake.loaded.chat_template = text::ChatTemplate::compile(chat_template);
}

TEST(StrictTools, CallsFollowTheSchemaFromTheirMarkOn) {
  ServedFake fake;
  use(fake, kHermes);
  const std::string wrong =
      "Well:\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"n\": 7}}\n</tool_call>";
  say(fake, wrong);
  const Told free = ask(fake, body_of(false));
  EXPECT_EQ(free.calls, one_call("add", R"({"n": 7})"));
  const Told held = ask(fake, body_of(true));
  EXPECT_EQ(held.content, "Well:");
  EXPECT_EQ(held.reason, "tool_calls");
  ASSERT_EQ(held.calls.size(), 1U);
  EXPECT_EQ(held.calls[0][0], "add");
  const Json arguments = Json::parse(held.calls[0][1].get<std::string>());
  EXPECT_TRUE(arguments == Json({{"n", 1}}) || arguments == Json({{"n", 2}})) << arguments;
}

TEST(StrictTools, OthersHaveWhatArgumentsTheyLike) {
  ServedFake fake;
  use(fake, kHermes);
  say(fake, "<tool_call>\n{\"name\": \"sub\", \"arguments\": {\"n\": 7}}\n</tool_call>");
  EXPECT_EQ(ask(fake, body_of(true)).calls, one_call("sub", R"({"n": 7})"));
}

TEST(StrictTools, TextStaysFree) {
  ServedFake fake;
  use(fake, kHermes);
  const std::string text = "No <tool is {\"n\": 7}, needed.\n```json\n{\"a\": [1]}\n```\nfine";
  say(fake, text);
  const Told told = ask(fake, body_of(true));
  EXPECT_EQ(told.content, text);
  EXPECT_EQ(told.reason, "stop");
}

TEST(StrictTools, CallsInOtherFormsCountWhereTheyFollowTheSchema) {
  ServedFake fake;
  use(fake, kHermes);
  say(fake, R"([TOOL_CALLS]add[ARGS]{"m": true, "n": 1})");
  EXPECT_EQ(ask(fake, body_of(true)).calls, one_call("add", R"({"m": true, "n": 1})"));
  const std::string wrong = R"([TOOL_CALLS]add[ARGS]{"n": 7})";
  say(fake, wrong);
  EXPECT_EQ(ask(fake, body_of(false)).calls.size(), 1U);
  const Told told = ask(fake, body_of(true));
  EXPECT_TRUE(told.calls.empty());
  EXPECT_EQ(told.content, wrong);
}

TEST(StrictTools, CallsWithoutMarksBeginWithTheirNames) {
  ServedFake fake;  // its template says nothing of calls
  for (const char* const begin : {R"({"name": "add", "arguments": )", R"({"name":"add",)"
                                                                      R"("arguments":)"}) {
    say(fake, std::string(begin) + R"({"n": 7}})");
    const Told told = ask(fake, body_of(true));
    ASSERT_EQ(told.calls.size(), 1U) << told.content;
    const Json arguments = Json::parse(told.calls[0][1].get<std::string>());
    EXPECT_TRUE(arguments["n"] == 1 || arguments["n"] == 2) << arguments;
  }
}

TEST(StrictTools, CallsThatBeginTheAnswer) {
  ServedFake fake;
  use(fake, kFunctionary);
  say(fake, "add\n{\"n\": 7}");
  const Told first = ask(fake, body_of(true));
  ASSERT_EQ(first.calls.size(), 1U) << first.content;
  EXPECT_NE(first.calls[0][1], R"({"n": 7})");
  say(fake, "all\nWell.\n>>>add\n{\"n\": 7}");
  const Told later = ask(fake, body_of(true));
  ASSERT_EQ(later.calls.size(), 1U) << later.content;
  EXPECT_EQ(later.content, "Well.");
  EXPECT_NE(later.calls[0][1], R"({"n": 7})");
}

TEST(StrictTools, OneCallWhereNoMoreAreWanted) {
  ServedFake fake;
  use(fake, kHermes);
  const std::string call =
      "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"n\": 1}}\n</tool_call>";
  say(fake, call + "\n" + call);
  EXPECT_EQ(ask(fake, body_of(true)).calls.size(), 2U);
  Json one = body_of(true);
  one["parallel_tool_calls"] = false;
  EXPECT_EQ(ask(fake, one).calls.size(), 1U);
}

TEST(StrictTools, SchemasThatCannotBeEnforcedAreRefused) {
  ServedFake fake;
  Json body = body_of(true);
  body["tools"][0]["function"]["parameters"]["$dynamicRef"] = "#any";
  const Answered refused = post(*fake.api, kChat, body);
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.json()["error"]["param"], "tools[0].function.parameters");
  EXPECT_NE(refused.body.find("$dynamicRef"), std::string::npos);
  // What is not strict is not compiled.
  body["tools"][0]["function"]["strict"] = false;
  EXPECT_EQ(post(*fake.api, kChat, body).status, 200);
}

}  // namespace
}  // namespace mistral::server
