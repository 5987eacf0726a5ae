// Chats, completions and embeddings, from the body of a request to that of the answer.
#include <cmath>

#include <gtest/gtest.h>

#include "served_model.h"
#include "server/api/embeddings.h"

namespace mistral::server {
namespace {

constexpr const char* kChat = "/v1/chat/completions";
constexpr const char* kCompletions = "/v1/completions";

Json chat_of(const std::string& text, std::int64_t max_tokens) {
  return {{"model", "any"},
          {"messages", {{{"role", "user"}, {"content", text}}}},
          {"max_tokens", max_tokens},
          {"temperature", 0}};
}

std::string expected_text(const ServedFake& fake, const std::string& prompt, int count) {
  std::vector<TokenId> ids = fake.loaded.tokenizer->encode(prompt, {});
  std::string text;
  for (int i = 0; i < count; ++i) {
    const TokenId next = fake.model->next_token(ids);
    ids.push_back(next);
    text += static_cast<char>(next);
  }
  return text;
}

TEST(ChatCompletions, AnswersAsTheApiSays) {
  ServedFake fake;
  const Answered answered = post(*fake.api, kChat, chat_of("Hello", 6));
  ASSERT_EQ(answered.status, 200) << answered.body;
  const Json json = answered.json();
  EXPECT_EQ(json["object"], "chat.completion");
  EXPECT_EQ(json["model"], "fake-model");
  EXPECT_EQ(json["id"], "chatcmpl-req-1");
  ASSERT_EQ(json["choices"].size(), 1U);
  const Json& choice = json["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_EQ(choice["message"]["role"], "assistant");
  EXPECT_TRUE(choice["logprobs"].is_null());
  EXPECT_FALSE(choice["message"].contains("tool_calls"));
  const std::string prompt = "[user]Hello[assistant]";
  EXPECT_EQ(json["usage"]["prompt_tokens"], prompt.size());
  EXPECT_EQ(json["usage"]["completion_tokens"], 6);
  EXPECT_EQ(json["usage"]["total_tokens"], prompt.size() + 6);
  EXPECT_EQ(json["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
  EXPECT_TRUE(json["usage"].contains("avg_compl_tok_per_sec"));
}

// Pieces of the stream add up to the whole answer, and the first and the last are as the API says.
TEST(ChatCompletions, StreamsWhatItAnswersWhole) {
  ServedFake fake;
  for (const int n : {1, 3}) {
    Json body = chat_of("Tell", 20);
    body["n"] = n;
    body["logprobs"] = true;
    body["top_logprobs"] = 2;
    const Json whole = post(*fake.api, kChat, body).json();
    body["stream"] = true;
    body["stream_options"] = {{"include_usage", true}};
    const Answered answered = post(*fake.api, kChat, body);
    EXPECT_EQ(answered.content_type, "text/event-stream; charset=utf-8");
    std::vector<std::string> events = answered.events();
    ASSERT_GE(events.size(), 4U);
    EXPECT_EQ(events.back(), "[DONE]");
    const Json last = Json::parse(events[events.size() - 2]);
    EXPECT_TRUE(last["choices"].empty());
    EXPECT_EQ(last["usage"]["completion_tokens"], whole["usage"]["completion_tokens"]);
    events.resize(events.size() - 2);

    std::vector<std::string> content(static_cast<std::size_t>(n));
    std::vector<Json> logprobs(static_cast<std::size_t>(n), Json::array());
    std::vector<std::string> reasons(static_cast<std::size_t>(n));
    std::vector<int> roles(static_cast<std::size_t>(n));
    for (const std::string& event : events) {
      const Json chunk = Json::parse(event);
      EXPECT_EQ(chunk["object"], "chat.completion.chunk");
      EXPECT_TRUE(chunk["usage"].is_null());
      ASSERT_EQ(chunk["choices"].size(), 1U);
      const Json& choice = chunk["choices"][0];
      const std::size_t index = choice["index"];
      if (choice["delta"].contains("role")) ++roles[index];
      content[index] += choice["delta"].value("content", "");
      if (!choice["logprobs"].is_null()) {
        for (const Json& token : choice["logprobs"]["content"]) logprobs[index].push_back(token);
      }
      EXPECT_EQ(reasons[index], "");  // nothing follows the reason
      if (!choice["finish_reason"].is_null()) reasons[index] = choice["finish_reason"];
    }
    for (std::size_t i = 0; i < content.size(); ++i) {
      const Json& choice = whole["choices"][i];
      EXPECT_EQ(choice["message"]["content"], content[i]);
      EXPECT_EQ(choice["finish_reason"], reasons[i]);
      EXPECT_EQ(choice["logprobs"]["content"], logprobs[i]);
      EXPECT_EQ(roles[i], 1);
    }
  }
}

Json with_tools(Json body) {
  body["tools"] = Json::parse(
      R"([{"type":"function","function":{"name":"weather","parameters":{"type":"object"}}}])");
  return body;
}

constexpr const char* kTwoCalls =
    "<think>Look.</think>Wait.\n"
    "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>\n"
    "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>";

TEST(ChatCompletions, CallsOfToolsAreRecognised) {
  ServedFake fake;
  say(fake, kTwoCalls);
  const Json whole = post(*fake.api, kChat, with_tools(chat_of("x", 500))).json();
  const Json& choice = whole["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_EQ(choice["message"]["content"], "Wait.");
  EXPECT_EQ(choice["message"]["reasoning_content"], "Look.");
  const Json& calls = choice["message"]["tool_calls"];
  ASSERT_EQ(calls.size(), 2U);
  EXPECT_EQ(calls[0]["type"], "function");
  EXPECT_EQ(calls[0]["function"]["name"], "weather");
  EXPECT_EQ(Json::parse(calls[0]["function"]["arguments"].get<std::string>())["city"], "Paris");
  EXPECT_EQ(Json::parse(calls[1]["function"]["arguments"].get<std::string>())["city"], "Rome");
  EXPECT_NE(calls[0]["id"], calls[1]["id"]);

  Json body = with_tools(chat_of("x", 500));
  body["stream"] = true;
  std::vector<Json> streamed;
  std::string reason;
  for (const std::string& event : post(*fake.api, kChat, body).events()) {
    if (event == "[DONE]") continue;
    const Json chunk = Json::parse(event);
    const Json& one = chunk["choices"][0];
    for (const Json& call : one["delta"].value("tool_calls", Json::array())) {
      const std::size_t index = call["index"];
      if (index == streamed.size()) {
        streamed.push_back(call);
        streamed.back().erase("index");
      } else {
        auto& arguments = streamed[index]["function"]["arguments"].get_ref<std::string&>();
        arguments += call["function"]["arguments"].get<std::string>();
      }
    }
    if (!one["finish_reason"].is_null()) reason = one["finish_reason"];
  }
  EXPECT_EQ(reason, "tool_calls");
  EXPECT_EQ(Json(streamed), calls);
}

TEST(ChatCompletions, AnswersAreHeldToTheirForm) {
  ServedFake fake;
  fake.model->last_id = 127;
  Json body = chat_of("x", 400);
  body["response_format"] = Json::parse(
      R"({"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object",
          "properties":{"a":{"enum":[1,2]},"b":{"type":"boolean"}},"required":["a","b"],
          "additionalProperties":false}}})");
  const Json choice = post(*fake.api, kChat, body).json()["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "stop");
  const Json answer = Json::parse(choice["message"]["content"].get<std::string>());
  EXPECT_TRUE(answer["b"].is_boolean());
  body.erase("response_format");
  body["guided_choice"] = {"one (1)", "two"};
  const Json chosen = post(*fake.api, kChat, body).json()["choices"][0]["message"]["content"];
  EXPECT_TRUE(chosen == "one (1)" || chosen == "two") << chosen;
  body.erase("guided_choice");
  body["structured_outputs"] = {{"json_object", true}};
  const Json object = post(*fake.api, kChat, body).json()["choices"][0];
  EXPECT_TRUE(object["message"]["content"].get<std::string>().starts_with("{")) << object;
}

TEST(ChatCompletions, CallsAreMadeWhereTheyAreRequired) {
  ServedFake fake;
  fake.model->last_id = 127;
  Json body = chat_of("x", 400);
  body["tools"] = Json::parse(
      R"([{"type":"function","function":{"name":"a","parameters":{"type":"object",
          "properties":{"n":{"enum":[1,2]}},"required":["n"],"additionalProperties":false}}},
          {"type":"function","function":{"name":"b","parameters":{"type":"object",
          "properties":{},"additionalProperties":false}}}])");
  body["parallel_tool_calls"] = false;
  body["tool_choice"] = {{"type", "function"}, {"function", {{"name", "a"}}}};
  const Json named = post(*fake.api, kChat, body).json()["choices"][0];
  EXPECT_EQ(named["finish_reason"], "tool_calls");
  EXPECT_TRUE(named["message"]["content"].is_null());
  ASSERT_EQ(named["message"]["tool_calls"].size(), 1U);
  EXPECT_EQ(named["message"]["tool_calls"][0]["function"]["name"], "a");
  body["tool_choice"] = "required";
  const Json any = post(*fake.api, kChat, body).json()["choices"][0];
  EXPECT_EQ(any["message"]["tool_calls"].size(), 1U);
  body["tool_choice"] = {{"type", "function"}, {"function", {{"name", "c"}}}};
  EXPECT_EQ(post(*fake.api, kChat, body).status, 400);
}

TEST(ChatCompletions, CallsThatAreNotWantedAreText) {
  ServedFake fake;
  say(fake, kTwoCalls);
  Json none = with_tools(chat_of("x", 500));
  none["tool_choice"] = "none";
  const Json text = post(*fake.api, kChat, none).json()["choices"][0];
  EXPECT_EQ(text["finish_reason"], "stop");
  EXPECT_FALSE(text["message"].contains("tool_calls"));
  EXPECT_NE(text["message"]["content"].get<std::string>().find("<tool_call>"), std::string::npos);
  Json one = with_tools(chat_of("x", 500));
  one["parallel_tool_calls"] = false;
  EXPECT_EQ(post(*fake.api, kChat, one).json()["choices"][0]["message"]["tool_calls"].size(), 1U);
}

TEST(ChatCompletions, ReasoningIsToldApart) {
  ServedFake fake;
  const std::string says = "<think>why</think>because";
  say(fake, says);
  const Json whole = post(*fake.api, kChat, chat_of("x", 100)).json();
  EXPECT_EQ(whole["choices"][0]["message"]["content"], "because");
  EXPECT_EQ(whole["choices"][0]["message"]["reasoning_content"], "why");
  EXPECT_EQ(whole["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(whole["usage"]["completion_tokens"], says.size() + 1);
  Json body = chat_of("x", 100);
  body["stream"] = true;
  std::string reasoning;
  std::string content;
  for (const std::string& event : post(*fake.api, kChat, body).events()) {
    if (event == "[DONE]") continue;
    const Json chunk = Json::parse(event);
    const Json& delta = chunk["choices"][0]["delta"];
    reasoning += delta.value("reasoning_content", "");
    content += delta.value("content", "");
  }
  EXPECT_EQ(reasoning, "why");
  EXPECT_EQ(content, "because");
}

TEST(ChatCompletions, AFailedStepIsAnErrorWithoutDetails) {
  ServedFake fake;
  fake.model->on_step = [](const nn::Batch&) { throw std::runtime_error("secret /path"); };
  const Answered whole = post(*fake.api, kChat, chat_of("x", 4));
  EXPECT_EQ(whole.status, 500);
  EXPECT_EQ(whole.body.find("secret"), std::string::npos);
  EXPECT_EQ(whole.json()["error"]["type"], "server_error");
  Json body = chat_of("x", 4);
  body["stream"] = true;
  const std::vector<std::string> events = post(*fake.api, kChat, body).events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(Json::parse(events[0])["error"]["code"], "internal_error");
}

TEST(Completions, TextsListsAndIds) {
  ServedFake fake;
  const auto texts = [&](const Json& prompt) {
    const Json json = post(*fake.api, kCompletions,
                           Json{{"prompt", prompt}, {"max_tokens", 5}, {"temperature", 0}})
                          .json();
    std::vector<std::string> list;
    for (const Json& choice : json["choices"]) {
      EXPECT_EQ(choice["index"], list.size());
      list.push_back(choice["text"]);
    }
    return list;
  };
  const std::string ab = expected_text(fake, "ab", 5);
  const std::string cd = expected_text(fake, "cd", 5);
  using List = std::vector<std::string>;
  EXPECT_EQ(texts("ab"), List{ab});
  EXPECT_EQ(texts(Json::array({"ab", "cd"})), (List{ab, cd}));
  EXPECT_EQ(texts(Json::array({'a', 'b'})), List{ab});
  EXPECT_EQ(texts(Json::parse("[[97,98],[99,100]]")), (List{ab, cd}));
}

TEST(Completions, EchoSuffixAndLogprobs) {
  ServedFake fake;
  Json body = {{"prompt", "abc"}, {"max_tokens", 3}, {"temperature", 0},
               {"echo", true},    {"suffix", "!"},   {"logprobs", 2}};
  const Json choice = post(*fake.api, kCompletions, body).json()["choices"][0];
  EXPECT_EQ(choice["text"], "abc" + expected_text(fake, "abc", 3) + "!");
  const Json& logprobs = choice["logprobs"];
  ASSERT_EQ(logprobs["tokens"].size(), 6U);
  EXPECT_EQ(logprobs["tokens"][0], "a");
  EXPECT_TRUE(logprobs["token_logprobs"][0].is_null());
  EXPECT_TRUE(logprobs["top_logprobs"][0].is_null());
  EXPECT_EQ(logprobs["text_offset"], Json::array({0, 1, 2, 3, 4, 5}));
  // The fake's logits: 9 for the token that follows, 0 for the others.
  const double likely = 9 - std::log(std::exp(9.0) + 299);
  EXPECT_NEAR(logprobs["token_logprobs"][3].get<double>(), likely, 1e-5);
  const TokenId after_a = fake.model->next_token(std::vector<TokenId>{'a'});
  EXPECT_NEAR(logprobs["token_logprobs"][1].get<double>(), after_a == 'b' ? likely : likely - 9,
              1e-5);
  body["stream"] = true;
  std::string text;
  Json tokens = Json::array();
  Json values = Json::array();
  for (const std::string& event : post(*fake.api, kCompletions, body).events()) {
    if (event == "[DONE]") continue;
    const Json chunk = Json::parse(event);
    text += chunk["choices"][0]["text"].get<std::string>();
    const Json& told = chunk["choices"][0]["logprobs"];
    if (told.is_null()) continue;
    for (const Json& token : told["tokens"]) tokens.push_back(token);
    for (const Json& value : told["token_logprobs"]) values.push_back(value);
  }
  EXPECT_EQ(text, choice["text"]);
  EXPECT_EQ(tokens, logprobs["tokens"]);
  EXPECT_EQ(values, logprobs["token_logprobs"]);
}

TEST(Completions, OnlyThePromptWithMaxTokensZero) {
  ServedFake fake;
  const Json json =
      post(*fake.api, kCompletions,
           Json{{"prompt", "abc"}, {"max_tokens", 0}, {"echo", true}, {"logprobs", 0}})
          .json();
  EXPECT_EQ(json["choices"][0]["text"], "abc");
  EXPECT_EQ(json["choices"][0]["logprobs"]["tokens"].size(), 3U);
  EXPECT_TRUE(json["choices"][0]["logprobs"]["top_logprobs"].is_null());
  EXPECT_EQ(json["usage"]["completion_tokens"], 0);
}

TEST(Completions, SeveralAnswersAndTheBestOfMore) {
  ServedFake fake;
  Json body = {{"prompt", "abc"}, {"max_tokens", 8}, {"temperature", 1.5}, {"seed", 7}, {"n", 4}};
  const Json all = post(*fake.api, kCompletions, body).json();
  ASSERT_EQ(all["choices"].size(), 4U);
  EXPECT_NE(all["choices"][0]["text"], all["choices"][1]["text"]);
  EXPECT_EQ(all["usage"]["prompt_tokens"], 3);
  EXPECT_EQ(post(*fake.api, kCompletions, body).json()["choices"], all["choices"]);
  body["n"] = 2;
  body["best_of"] = 4;
  const Json best = post(*fake.api, kCompletions, body).json();
  ASSERT_EQ(best["choices"].size(), 2U);
  EXPECT_EQ(best["usage"]["completion_tokens"], all["usage"]["completion_tokens"]);
  EXPECT_TRUE(best["choices"][0]["logprobs"].is_null());
}

TEST(Completions, LengthIsSixteenUnlessAskedFor) {
  ServedFake fake;
  const Json json =
      post(*fake.api, kCompletions, Json{{"prompt", "abc"}, {"ignore_eos", true}}).json();
  EXPECT_EQ(json["usage"]["completion_tokens"], 16);
}

TEST(Embeddings, AreTheMeanOfTheStatesWithLengthOne) {
  engine::EngineOptions options;
  options.prefill_chunk = 3;  // in several steps
  ServedFake fake({}, options);
  const Answered answered = post(*fake.api, "/v1/embeddings", Json{{"input", "abcdefgh"}});
  ASSERT_EQ(answered.status, 200) << answered.body;
  const Json json = answered.json();
  const std::vector<float> got = json["data"][0]["embedding"];
  // Tokens 97 to 104 at positions 0 to 7.
  const double length = std::sqrt(100.5 * 100.5 + 3.5 * 3.5 + 1);
  ASSERT_EQ(got.size(), 3U);
  EXPECT_NEAR(got[0], 100.5 / length, 1e-6);
  EXPECT_NEAR(got[1], 3.5 / length, 1e-6);
  EXPECT_NEAR(got[2], 1 / length, 1e-6);
  EXPECT_EQ(json["usage"]["prompt_tokens"], 8);
  // Again, with its prefix in the cache; and beside others.
  const Json many =
      post(*fake.api, "/v1/embeddings", Json{{"input", {"abcdefgh", "xy", "abcdefgh"}}}).json();
  EXPECT_EQ(many["data"][0]["embedding"], json["data"][0]["embedding"]);
  EXPECT_EQ(many["data"][2]["embedding"], json["data"][0]["embedding"]);
  EXPECT_NE(many["data"][1]["embedding"], json["data"][0]["embedding"]);
  EXPECT_EQ(many["data"][1]["index"], 1);
}

TEST(Embeddings, DimensionsAndBase64) {
  ServedFake fake;
  const Json json =
      post(*fake.api, "/v1/embeddings",
           Json{{"input", {97, 98}}, {"dimensions", 2}, {"encoding_format", "base64"}})
          .json();
  const float x = 97.5F / std::sqrt(97.5F * 97.5F + 0.25F);
  EXPECT_EQ(json["data"][0]["embedding"].get<std::string>().size(), 12U);
  EXPECT_EQ(base64_floats({1.0F}), "AACAPw==");
  EXPECT_EQ(base64_floats({1.0F, -2.0F}), "AACAPwAAAMA=");
  EXPECT_EQ(base64_floats({1.0F, -2.0F, 0.5F}), "AACAPwAAAMAAAAA/");
  EXPECT_EQ(json["data"][0]["embedding"].get<std::string>().substr(0, 5),
            base64_floats({x}).substr(0, 5));
}

}  // namespace
}  // namespace mistral::server
