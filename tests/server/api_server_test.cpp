// Routes: who may use them, and what is refused how.
#include "server/api_server.h"

#include <gtest/gtest.h>

#include "served_model.h"

namespace mistral::server {
namespace {

constexpr const char* kChat = "/v1/chat/completions";
constexpr const char* kCompletions = "/v1/completions";

std::string code_of(const Answered& answered) {
  const Json json = answered.json();
  EXPECT_EQ(json["error"]["message"], json["message"]);
  return json["error"]["code"].is_null() ? "" : json["error"]["code"];
}

TEST(Routes, OperationAndDocuments) {
  ServedFake fake;
  EXPECT_EQ(get(*fake.api, "/").body, "OK");
  EXPECT_EQ(get(*fake.api, "/health").body, "OK");
  EXPECT_EQ(get(*fake.api, "/ready").json()["status"], "ready");
  EXPECT_EQ(get(*fake.api, "/docs").header("Location"), "/docs/");
  EXPECT_EQ(get(*fake.api, "/docs/").status, 200);
  EXPECT_EQ(get(*fake.api, "/api-doc/openapi.json").json()["openapi"], "3.1.0");
  const Json models = get(*fake.api, "/v1/models").json();
  EXPECT_EQ(models["data"][0]["id"], "fake-model");
  EXPECT_EQ(get(*fake.api, "/v1/models/fake-model").json()["object"], "model");
  EXPECT_EQ(get(*fake.api, "/v1/models/fake%2Dmodel").status, 200);
  EXPECT_EQ(get(*fake.api, "/v1/models/other").status, 404);
}

TEST(Routes, UnknownPathsAndMethods) {
  ServedFake fake;
  EXPECT_EQ(code_of(get(*fake.api, "/v2")), "unknown_url");
  const Answered wrong = get(*fake.api, kChat);
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.header("Allow"), "POST, OPTIONS");
  EXPECT_EQ(send(*fake.api, {.method = "HEAD", .path = "/health"}).status, 200);
  EXPECT_EQ(send(*fake.api, {.method = "DELETE", .path = "/health"}).status, 405);
}

TEST(Routes, ContentTypeIsJson) {
  ServedFake fake;
  const auto status = [&](Headers headers) {
    return send(*fake.api, {.method = "POST",
                            .path = kCompletions,
                            .headers = std::move(headers),
                            .body = R"({"prompt":"a","max_tokens":1})"})
        .status;
  };
  EXPECT_EQ(status({{"content-type", "application/json"}}), 200);
  EXPECT_EQ(status({{"content-type", "Application/JSON ; charset=utf-8"}}), 200);
  EXPECT_EQ(status({{"content-type", "text/plain"}}), 415);
  EXPECT_EQ(status({}), 415);
  EXPECT_EQ(status({{"content-type", "application/json"}, {"content-encoding", "identity"}}), 200);
  EXPECT_EQ(status({{"content-type", "application/json"}, {"content-encoding", "gzip"}}), 415);
}

TEST(Routes, BrowsersOfOtherPages) {
  ApiOptions options;
  options.cors_origin = "https://example.com";
  ServedFake fake(std::move(options));
  const Answered preflight = send(
      *fake.api, {.method = "OPTIONS",
                  .path = kChat,
                  .headers = {{"access-control-request-headers", "authorization, x-stainless"}}});
  EXPECT_EQ(preflight.status, 204);
  EXPECT_EQ(preflight.header("Access-Control-Allow-Origin"), "https://example.com");
  EXPECT_EQ(preflight.header("Access-Control-Allow-Headers"), "authorization, x-stainless");
  const Answered split =
      send(*fake.api, {.method = "OPTIONS",
                       .path = kChat,
                       .headers = {{"access-control-request-headers", "a\r\nSet-Cookie: x"}}});
  EXPECT_EQ(split.header("Access-Control-Allow-Headers"), "content-type, authorization");
}

TEST(Keys, EveryRouteButTheOpenOnesAsksForOne) {
  ApiOptions options;
  options.keys.add("secret-1");
  options.keys.add_list("secret-2, secret-3");
  ServedFake fake(std::move(options));
  const auto status = [&](const std::string& method, const std::string& path, Headers headers) {
    headers.emplace_back("content-type", "application/json");
    return send(*fake.api, {.method = method, .path = path, .headers = headers, .body = "{}"})
        .status;
  };
  for (const char* path : {kChat, kCompletions, "/v1/embeddings", "/tokenize", "/detokenize",
                           "/re_isq", "/activate_adapters"}) {
    EXPECT_EQ(status("POST", path, {}), 401) << path;
    EXPECT_EQ(status("POST", path, {{"authorization", "Bearer secret"}}), 401) << path;
    EXPECT_EQ(status("POST", path, {{"authorization", "secret-1"}}), 401) << path;
    EXPECT_EQ(status("POST", path, {{"authorization", "Bearer secret-1"}}), 400) << path;
    EXPECT_EQ(status("POST", path, {{"authorization", "bearer  secret-3"}}), 400) << path;
    EXPECT_EQ(status("POST", path, {{"x-api-key", "secret-2"}}), 400) << path;
  }
  for (const char* path : {"/v1/models", "/metrics"}) {
    EXPECT_EQ(status("GET", path, {}), 401) << path;
    EXPECT_EQ(status("GET", path, {{"authorization", "Bearer secret-2"}}), 200) << path;
  }
  for (const char* path : {"/", "/health", "/ready", "/docs/", "/api-doc/openapi.json"}) {
    EXPECT_EQ(status("GET", path, {}), 200) << path;
  }
}

TEST(Keys, AreCheckedWhenTheyAreRead) {
  ApiKeys keys;
  EXPECT_THROW(keys.add(""), Error);
  EXPECT_THROW(keys.add("a b"), Error);
  EXPECT_THROW(keys.add_list("a,,b"), Error);
  EXPECT_THROW(keys.add_file("no-such-file"), Error);
}

struct WrongField {
  const char* path;
  const char* body;  // besides what is needed
  const char* param;
};
constexpr const char* kMessages = R"("messages":[{"role":"user","content":"x"}])";

class WrongFields : public testing::TestWithParam<WrongField> {};

TEST_P(WrongFields, AreRefusedByName) {
  ServedFake fake;
  const WrongField& wrong = GetParam();
  std::string body = wrong.body;
  if (std::string_view(wrong.path) == kChat && body.find("\"messages\"") == std::string::npos) {
    body = std::string(kMessages) + "," + body;
  }
  if (std::string_view(wrong.path) == kCompletions &&
      body.find("\"prompt\"") == std::string::npos) {
    body = "\"prompt\":\"x\"," + body;
  }
  const Answered answered = post(*fake.api, wrong.path, "{" + body + "}");
  EXPECT_EQ(answered.status, 400) << answered.body;
  const Json json = answered.json();
  EXPECT_EQ(json["error"]["param"], wrong.param) << answered.body;
  EXPECT_EQ(json["error"]["type"], "invalid_request_error");
  EXPECT_EQ(json["error"]["message"], json["message"]);
  EXPECT_EQ(fake.engine->stats().requests, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Chat, WrongFields,
    testing::Values(
        WrongField{kChat, R"("messages":7)", "messages"},
        WrongField{kChat, R"("model":7)", "model"},
        WrongField{kChat, R"("temperature":"hot")", "temperature"},
        WrongField{kChat, R"("temperature":-1)", "temperature"},
        WrongField{kChat, R"("temperature":1e300)", "temperature"},
        WrongField{kChat, R"("top_p":2)", "top_p"}, WrongField{kChat, R"("top_p":[])", "top_p"},
        WrongField{kChat, R"("top_k":1.5)", "top_k"},
        WrongField{kChat, R"("top_k":99999999999)", "top_k"},
        WrongField{kChat, R"("min_p":-0.1)", "min_p"},
        WrongField{kChat, R"("max_tokens":0)", "max_tokens"},
        WrongField{kChat, R"("max_tokens":-1)", "max_tokens"},
        WrongField{kChat, R"("max_tokens":"5")", "max_tokens"},
        WrongField{kChat, R"("max_tokens":1e40)", "max_tokens"},
        WrongField{kChat, R"("max_tokens":99999999999999999999)", "max_tokens"},
        WrongField{kChat, R"("max_completion_tokens":0)", "max_completion_tokens"},
        WrongField{kChat, R"("n":0)", "n"}, WrongField{kChat, R"("n":1000)", "n"},
        WrongField{kChat, R"("n":true)", "n"}, WrongField{kChat, R"("seed":"x")", "seed"},
        WrongField{kChat, R"("seed":1.5)", "seed"}, WrongField{kChat, R"("stop":5)", "stop"},
        WrongField{kChat, R"("stop":["a",1])", "stop[1]"},
        WrongField{kChat, R"("stop":[""])", "stop[0]"},
        WrongField{kChat, R"("stream":"yes")", "stream"},
        WrongField{kChat, R"("stream_options":{"include_usage":true})", "stream_options"},
        WrongField{kChat, R"("stream":true,"stream_options":{"include_usage":1})",
                   "stream_options.include_usage"},
        WrongField{kChat, R"("logprobs":1)", "logprobs"},
        WrongField{kChat, R"("top_logprobs":2)", "top_logprobs"},
        WrongField{kChat, R"("logprobs":true,"top_logprobs":21)", "top_logprobs"},
        WrongField{kChat, R"("logit_bias":[])", "logit_bias"},
        WrongField{kChat, R"("logit_bias":{"x":1})", "logit_bias"},
        WrongField{kChat, R"("logit_bias":{"1":"x"})", "logit_bias"},
        WrongField{kChat, R"("logit_bias":{"300":1})", "logit_bias"},
        WrongField{kChat, R"("presence_penalty":"x")", "presence_penalty"},
        WrongField{kChat, R"("frequency_penalty":1e9)", "frequency_penalty"},
        WrongField{kChat, R"("repetition_penalty":0)", "repetition_penalty"},
        WrongField{kChat, R"("dry_multiplier":-1)", "dry_multiplier"},
        WrongField{kChat, R"("dry_sequence_breakers":"x")", "dry_sequence_breakers"},
        WrongField{kChat, R"("response_format":"json")", "response_format"},
        WrongField{kChat, R"("response_format":{})", "response_format.type"},
        WrongField{kChat, R"("response_format":{"type":"xml"})", "response_format.type"},
        WrongField{kChat, R"("truncate_sequence":1)", "truncate_sequence"},
        WrongField{kCompletions, R"("truncate_sequence":"yes")", "truncate_sequence"},
        WrongField{kChat, R"("tools":{})", "tools"},
        WrongField{kChat, R"("tools":[1])", "tools[0]"},
        WrongField{kChat, R"("tools":[{"type":"function","function":{}}])",
                   "tools[0].function.name"},
        WrongField{kChat, R"("tool_choice":"perhaps")", "tool_choice"},
        WrongField{kChat, R"("tool_choice":"required")", "tool_choice"},
        WrongField{kChat, R"("response_format":{"type":"json_schema"})",
                   "response_format.json_schema"},
        WrongField{
            kChat,
            R"("response_format":{"type":"json_schema","json_schema":{"schema":{"type":1}}})",
            "response_format.json_schema.schema"},
        WrongField{kChat, R"("grammar":{"type":"regex","value":"("})", "grammar.value"},
        WrongField{kChat, R"("grammar":{"type":"regex"})", "grammar.value"},
        WrongField{kChat, R"("guided_regex":"a","response_format":{"type":"json_object"})",
                   "guided_regex"},
        WrongField{kChat, R"("guided_json":{},"guided_regex":"a")", "guided_regex"},
        WrongField{kChat, R"("structured_outputs":{})", "structured_outputs"},
        WrongField{kChat, R"("structured_outputs":{"form":"a"})", "structured_outputs"},
        WrongField{kChat, R"("structured_outputs":{"json_object":1})",
                   "structured_outputs.json_object"},
        WrongField{kChat, R"("structured_outputs":{"json_object":true,"regex":"a"})",
                   "structured_outputs.json_object"},
        WrongField{kChat, R"("structured_outputs":{"structural_tag":"a"})",
                   "structured_outputs.structural_tag"},
        WrongField{kChat, R"("seed":1e400)", "seed"},
        WrongField{kChat, R"("temperature":NaN)", "temperature"},
        WrongField{kChat, R"("logit_bias":{"5":-Infinity})", "logit_bias.5"},
        WrongField{kChat, R"("functions":[])", "functions"},
        WrongField{kChat, R"("adapters":["a"])", "adapters"},
        WrongField{kChat, R"("chat_template_kwargs":[])", "chat_template_kwargs"},
        WrongField{kChat, R"("messages":[{"role":"user","content":[{"type":"image_url"}]}])",
                   "messages[0].content[0].type"},
        WrongField{kChat, R"("messages":[{"role":"function","content":"x"}])", "messages"}));

INSTANTIATE_TEST_SUITE_P(
    Completions, WrongFields,
    testing::Values(WrongField{kCompletions, R"("prompt":null)", "prompt"},
                    WrongField{kCompletions, R"("prompt":5)", "prompt"},
                    WrongField{kCompletions, R"("prompt":[])", "prompt"},
                    WrongField{kCompletions, R"("prompt":"")", "prompt"},
                    WrongField{kCompletions, R"("prompt":["a",1])", "prompt[1]"},
                    WrongField{kCompletions, R"("prompt":[1,300])", "prompt[1]"},
                    WrongField{kCompletions, R"("prompt":[1,-1])", "prompt[1]"},
                    WrongField{kCompletions, R"("prompt":[[1],["a"]])", "prompt[1][0]"},
                    WrongField{kCompletions, R"("prompt":[{}])", "prompt[0]"},
                    WrongField{kCompletions, R"("logprobs":true)", "logprobs"},
                    WrongField{kCompletions, R"("logprobs":-1)", "logprobs"},
                    WrongField{kCompletions, R"("max_tokens":0)", "max_tokens"},
                    WrongField{kCompletions, R"("echo":"x")", "echo"},
                    WrongField{kCompletions, R"("suffix":5)", "suffix"},
                    WrongField{kCompletions, R"("n":2,"best_of":1)", "best_of"},
                    WrongField{kCompletions, R"("best_of":2,"stream":true)", "best_of"},
                    WrongField{kCompletions, R"("tools":[])", "tools"},
                    WrongField{kCompletions, R"("grammar":{"type":"yacc","value":"a"})",
                               "grammar.value"}));

INSTANTIATE_TEST_SUITE_P(
    Others, WrongFields,
    testing::Values(WrongField{"/v1/embeddings", R"("x":1)", "input"},
                    WrongField{"/v1/embeddings", R"("input":"")", "input"},
                    WrongField{"/v1/embeddings", R"("input":["a",""])", "input[1]"},
                    WrongField{"/v1/embeddings", R"("input":"a","dimensions":4)", "dimensions"},
                    WrongField{"/v1/embeddings", R"("input":"a","encoding_format":"hex")",
                               "encoding_format"},
                    WrongField{"/tokenize", R"("x":1)", "prompt"},
                    WrongField{"/tokenize", R"("prompt":1)", "prompt"},
                    WrongField{"/detokenize", R"("x":1)", "tokens"},
                    WrongField{"/detokenize", R"("tokens":["a"])", "tokens"},
                    WrongField{"/detokenize", R"("tokens":[-1])", "tokens[0]"},
                    WrongField{"/re_isq", R"("ggml_type":"Q9")", "ggml_type"},
                    WrongField{"/re_isq", R"("ggml_type":"Q4K")", "ggml_type"},
                    WrongField{"/activate_adapters", R"("adapter_names":["a"])", "adapter_names"}));

// A few bytes would keep the engine busy for minutes.
TEST(Requests, AnswersToAllPromptsTogetherAreLimited) {
  ServedFake fake;
  const auto refused = [&](std::size_t prompts, Json more) {
    Json body = {{"prompt", std::vector<std::string>(prompts, "a")}, {"max_tokens", 1}};
    body.update(more);
    const Json json = post(*fake.api, kCompletions, body).json();
    return json.contains("error") ? json["error"]["param"].get<std::string>() : "";
  };
  EXPECT_EQ(refused(33, {{"n", 128}}), "n");
  EXPECT_EQ(refused(2048, {{"best_of", 3}, {"n", 2}}), "best_of");
  EXPECT_EQ(fake.engine->stats().requests, 0);
  EXPECT_EQ(refused(2, {{"n", 128}}), "");
}

TEST(Requests, BrokenJson) {
  ServedFake fake;
  for (const char* body : {"", "{", "[]", "{\"messages\": [}", "\xff"}) {
    const Answered answered = post(*fake.api, kChat, std::string(body));
    EXPECT_EQ(answered.status, 400);
    EXPECT_EQ(code_of(answered), "invalid_json");
  }
}

TEST(Requests, PromptsThatAreTooLongSayHowLong) {
  ServedFake fake;
  const Answered answered =
      post(*fake.api, kChat,
           Json{{"messages", {{{"role", "user"}, {"content", std::string(5000, 'x')}}}}});
  EXPECT_EQ(answered.status, 400);
  EXPECT_EQ(code_of(answered), "context_length_exceeded");
  EXPECT_EQ(answered.json()["error"]["param"], "messages");
  EXPECT_NE(answered.body.find("4096"), std::string::npos);
}

TEST(Requests, AreCutWhereTheServerDoesThat) {
  ServedFake fake({}, {}, {.truncate_sequence = true});
  const Json json =
      post(*fake.api, kCompletions, Json{{"prompt", std::string(5000, 'x')}, {"max_tokens", 4}})
          .json();
  EXPECT_EQ(json["usage"]["prompt_tokens"], 4092);
  EXPECT_EQ(json["usage"]["completion_tokens"], 4);
}

TEST(Requests, SayThemselvesWhetherTheyAreCut) {
  for (const bool server : {false, true}) {
    ServedFake fake({}, {}, {.truncate_sequence = server});
    Json body = {{"prompt", std::string(5000, 'x')}, {"max_tokens", 4}};
    body["truncate_sequence"] = false;
    EXPECT_EQ(code_of(post(*fake.api, kCompletions, body)), "context_length_exceeded");
    body["truncate_sequence"] = true;
    EXPECT_EQ(post(*fake.api, kCompletions, body).json()["usage"]["prompt_tokens"], 4092);
    // The probabilities are those of what is left.
    body["echo"] = true;
    body["logprobs"] = 0;
    const Json choice = post(*fake.api, kCompletions, body).json()["choices"][0];
    EXPECT_EQ(choice["logprobs"]["tokens"].size(), 4096U);
    Json chat = {{"messages", {{{"role", "user"}, {"content", std::string(5000, 'x')}}}},
                 {"max_tokens", 6},
                 {"truncate_sequence", true}};
    EXPECT_EQ(post(*fake.api, kChat, chat).json()["usage"]["prompt_tokens"], 4090);
    chat["truncate_sequence"] = false;
    EXPECT_EQ(code_of(post(*fake.api, kChat, chat)), "context_length_exceeded");
    const Json input = {{"input", std::string(5000, 'x')}, {"truncate_sequence", true}};
    EXPECT_EQ(post(*fake.api, "/v1/embeddings", input).json()["usage"]["prompt_tokens"], 4095);
  }
}

TEST(Requests, SeedOfTheServerMakesAnswersRepeatable) {
  const auto answers = [](std::optional<std::uint64_t> seed) {
    ServedFake fake({}, {}, {.seed = seed});
    std::vector<std::string> list;
    for (int i = 0; i < 2; ++i) {
      list.push_back(post(*fake.api, kCompletions, Json{{"prompt", "abc"}, {"temperature", 3}})
                         .json()["choices"][0]["text"]);
    }
    return list;
  };
  const std::vector<std::string> once = answers(5);
  EXPECT_EQ(answers(5), once);
  EXPECT_NE(once[0], once[1]);
  EXPECT_NE(answers(6), once);
}

TEST(Load, RequestsBeyondTheLimitAreToldToComeBack) {
  ApiOptions options;
  options.max_requests = 2;
  ServedFake fake(std::move(options));
  HttpRequest request{.method = "POST",
                      .path = kCompletions,
                      .headers = {{"content-type", "application/json"}},
                      .body = R"({"prompt":"a","max_tokens":1000,"ignore_eos":true})",
                      .id = "a"};
  std::vector<Reply> held;
  for (int i = 0; i < 2; ++i) {
    HttpRequest copy = request;
    ASSERT_FALSE(fake.api->refuse(copy));
    held.push_back(fake.api->handle(copy));
  }
  const Answered answered = send(*fake.api, request);
  EXPECT_EQ(answered.status, 429);
  EXPECT_EQ(code_of(answered), "server_overloaded");
  EXPECT_GE(std::stoi(answered.header("Retry-After")), 1);
  EXPECT_EQ(get(*fake.api, "/health").status, 200);
  EXPECT_NE(get(*fake.api, "/metrics").body.find("mistralcpp_refused_total 1\n"),
            std::string::npos);
  held.clear();  // as when the clients leave
  request.body = R"({"prompt":"a","max_tokens":1})";
  EXPECT_EQ(send(*fake.api, request).status, 200);
}

TEST(Load, BeforeTheModelIsThereAndWhenTheServerEnds) {
  ApiOptions options;
  options.access_log = false;
  ApiServer api(std::move(options));
  EXPECT_EQ(get(api, "/health").status, 200);
  EXPECT_EQ(get(api, "/ready").status, 503);
  EXPECT_EQ(get(api, "/v1/models").status, 503);
  const Answered early = post(api, kCompletions, Json{{"prompt", "a"}});
  EXPECT_EQ(early.status, 503);
  EXPECT_EQ(code_of(early), "model_loading");
  EXPECT_EQ(get(api, "/metrics").status, 200);
  ServedFake fake;
  fake.api->drain();
  EXPECT_EQ(get(*fake.api, "/ready").status, 503);
  EXPECT_EQ(post(*fake.api, kCompletions, Json{{"prompt", "a"}}).status, 503);
}

TEST(Metrics, HaveOurNamesAndThoseOfVllm) {
  ServedFake fake;
  (void)post(*fake.api, kCompletions, Json{{"prompt", "abc"}, {"max_tokens", 4}});
  HttpRequest request{.method = "POST", .path = kCompletions};
  fake.api->served(request, {.status = 200, .bytes = 1, .seconds = 0.5});
  request.method = "BREW";
  request.path = "/coffee";
  fake.api->served(request, {.status = 404});
  const std::string text = get(*fake.api, "/metrics").body;
  for (const char* line :
       {"mistralcpp_prompt_tokens_total 3\n", "mistralcpp_completion_tokens_total 4\n",
        "vllm:generation_tokens_total{model_name=\"fake-model\"} 4\n",
        "vllm:request_success_total{finished_reason=\"length\",model_name=",
        "mistralcpp_http_requests_total{route=\"/v1/completions\","
        "method=\"POST\",status=\"200\"} 1\n",
        "mistralcpp_http_requests_total{route=\"other\",method=\"other\","
        "status=\"404\"} 1\n",
        "mistralcpp_generation_seconds_bucket{le=\"0.5\"} 1\n",
        "mistralcpp_generation_seconds_bucket{le=\"0.25\"} 0\n",
        "vllm:time_to_first_token_seconds_count{model_name=\"fake-model\"} 1\n",
        "# TYPE mistralcpp_step_seconds histogram\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line;
  }
}

TEST(Tokens, ThereAndBack) {
  ServedFake fake;
  const Json json =
      post(*fake.api, "/tokenize", Json{{"prompt", "abc"}, {"return_token_strs", true}}).json();
  EXPECT_EQ(json["tokens"], Json::array({97, 98, 99}));
  EXPECT_EQ(json["count"], 3);
  EXPECT_EQ(json["max_model_len"], 4096);
  EXPECT_EQ(json["token_strs"][2], "c");
  EXPECT_EQ(post(*fake.api, "/detokenize", json).json()["prompt"], "abc");
  EXPECT_EQ(post(*fake.api, "/detokenize", Json{{"tokens", Json::array()}}).json()["prompt"], "");
  const Json chat =
      post(*fake.api, "/tokenize", Json{{"messages", {{{"role", "user"}, {"content", "x"}}}}})
          .json();
  EXPECT_EQ(post(*fake.api, "/detokenize", chat).json()["prompt"], "[user]x[assistant]");
}

TEST(ChatPage, BrowsersGetItAndProgramsAWord) {
  ServedFake fake;
  EXPECT_EQ(get(*fake.api, "/").body, "OK");
  const HttpRequest browser{.method = "GET", .path = "/", .headers = {{"accept", "text/html,*/*"}}};
  const Answered page = send(*fake.api, browser);
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
  EXPECT_NE(page.body.find("/web/app.js"), std::string::npos);
  EXPECT_NE(page.header("Content-Security-Policy").find("default-src 'none'"), std::string::npos);
  const Answered script = get(*fake.api, "/web/app.js");
  EXPECT_EQ(script.status, 200);
  EXPECT_EQ(script.content_type, "text/javascript; charset=utf-8");
  const Answered again = send(*fake.api, {.method = "GET",
                                          .path = "/web/app.js",
                                          .headers = {{"if-none-match", script.header("ETag")}}});
  EXPECT_EQ(again.status, 304);
  EXPECT_EQ(again.body, "");
  EXPECT_EQ(get(*fake.api, "/web/none.js").status, 404);
}

}  // namespace
}  // namespace mistral::server
