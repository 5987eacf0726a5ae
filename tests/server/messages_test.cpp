#include "server/api/messages.h"

#include <gtest/gtest.h>

#include "server/api/error.h"

namespace mistral::server {
namespace {

constexpr const char* kPlain = "{{ messages }}";

Json read(const std::string& messages, const std::string& source = kPlain) {
  const Json body = Json::parse("{\"messages\":" + messages + "}");
  return read_messages(Fields(body), source);
}

std::string param_of(const std::string& messages, const std::string& source = kPlain) {
  try {
    (void)read(messages, source);
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 400);
    EXPECT_FALSE(std::string(error.what()).empty());
    return error.param();
  }
  return "nothing";
}

TEST(Messages, ATextIsOneMessageOfTheUser) {
  EXPECT_EQ(read("\"Hi\"").dump(), R"([{"role":"user","content":"Hi"}])");
}

TEST(Messages, KeepsFieldsThatTemplatesMayKnow) {
  const std::string text =
      R"([{"role":"tool","content":"4","tool_call_id":"a","name":"add","extra":[1]}])";
  EXPECT_EQ(read(text).dump(), text);
}

TEST(Messages, DeveloperIsSystemForTemplatesThatDoNotKnowIt) {
  const std::string text = R"([{"role":"developer","content":"x"}])";
  EXPECT_EQ(read(text)[0]["role"], "system");
  EXPECT_EQ(read(text, "{% if m.role == 'developer' %}")[0]["role"], "developer");
}

TEST(Messages, OtherRolesMustBeKnownToTheTemplate) {
  const std::string text = R"([{"role":"model","content":"x"}])";
  EXPECT_EQ(param_of(text), "messages[0].role");
  EXPECT_EQ(read(text, "{% if m.role == \"model\" %}")[0]["role"], "model");
}

TEST(Messages, NullContentIsForAssistantsWithTemplatesThatAskForIt) {
  const std::string calls =
      R"([{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function",)"
      R"("function":{"name":"f","arguments":"{\"a\":1}"}}]}])";
  EXPECT_EQ(read(calls)[0]["content"], "");
  EXPECT_TRUE(read(calls, "{% if m['content'] is none %}")[0]["content"].is_null());
  EXPECT_EQ(read(R"([{"role":"assistant","content":null}])")[0]["content"], "");
  EXPECT_EQ(param_of(R"([{"role":"user","content":null}])"), "messages[0].content");
  EXPECT_EQ(param_of(R"([{"role":"assistant"}])"), "messages[0].content");
}

TEST(Messages, PartsAreTextsAndNothingElse) {
  const auto user = [](const std::string& content) {
    return R"([{"role":"user","content":)" + content + "}]";
  };
  EXPECT_EQ(
      read(user(R"([{"type":"text","text":"a"},{"type":"refusal","refusal":"no"}])"))[0]["content"]
          .dump(),
      R"([{"type":"text","text":"a"},{"type":"text","text":"no"}])");
  EXPECT_EQ(param_of(user(R"([{"type":"image_url","image_url":{"url":"data:,"}}])")),
            "messages[0].content[0].type");
  EXPECT_EQ(param_of(user(R"([{"type":"text","text":"a"},{"type":"sound"}])")),
            "messages[0].content[1].type");
  EXPECT_EQ(param_of(user(R"([{"type":"text"}])")), "messages[0].content[0].text");
  EXPECT_EQ(param_of(user(R"(["a"])")), "messages[0].content[0]");
  EXPECT_EQ(param_of(user("[]")), "messages[0].content");
  EXPECT_EQ(param_of(user("5")), "messages[0].content");
}

TEST(Messages, NamesWhatIsWrong) {
  EXPECT_EQ(param_of("[]"), "messages");
  EXPECT_EQ(param_of("5"), "messages");
  EXPECT_EQ(param_of("null"), "messages");
  EXPECT_EQ(param_of(R"(["x"])"), "messages[0]");
  EXPECT_EQ(param_of(R"([{"content":"x"}])"), "messages[0].role");
  EXPECT_EQ(param_of(R"([{"role":1,"content":"x"}])"), "messages[0].role");
  EXPECT_EQ(param_of(R"([{"role":"assistant","content":"","tool_calls":[{"function":{}}]}])"),
            "messages[0].tool_calls[0].function.name");
  EXPECT_EQ(param_of(R"([{"role":"assistant","content":"","tool_calls":[7]}])"),
            "messages[0].tool_calls[0]");
}

TEST(Messages, ArgumentsBecomeObjectsWhereTheyAre) {
  const Json messages = Json::parse(
      R"([{"role":"assistant","content":"","tool_calls":[)"
      R"({"function":{"name":"f","arguments":"{\"a\":[1]}"}},)"
      R"({"function":{"name":"g","arguments":"not json"}},{"function":{"name":"h"}}]}])");
  const Json parsed = with_parsed_arguments(messages);
  EXPECT_EQ(parsed[0]["tool_calls"][0]["function"]["arguments"].dump(), R"({"a":[1]})");
  EXPECT_EQ(parsed[0]["tool_calls"][1]["function"]["arguments"], "not json");
}

}  // namespace
}  // namespace mistral::server
