#include "server/api/chat_exchange.h"

#include <utility>

#include <fmt/format.h>

#include "server/api/error.h"
#include "server/api/logprobs.h"

namespace mistral::server {

ChatExchange::ChatExchange(const Service& service, ChatSettings settings,
                           std::vector<engine::RequestHandle> handles)
    : GenerationExchange(service, std::move(settings.generation), std::move(handles)),
      logprobs_(settings.logprobs),
      ignore_eos_(settings.ignore_eos),
      id_(make_id("chatcmpl")),
      created_(unix_seconds()) {
  for (std::size_t i = 0; i < answers(); ++i) choices_.emplace_back(settings.style);
  chunk_begin_ =
      fmt::format(R"({{"id":{},"object":"chat.completion.chunk","created":{},"model":{},)"
                  R"("system_fingerprint":"local","choices":[)",
                  dump(Json(id_)), created_, dump(Json(service.id())));
}

void ChatExchange::on_token(std::size_t index, const engine::TokenEvent& token, std::string& out) {
  Choice& choice = choices_[index];
  if (logprobs_ && token.logprobs && (ignore_eos_ || !is_end_token(token.token))) {
    choice.logprobs.push_back(chat_logprob(service().tokenizer(), *token.logprobs));
  }
  AnswerParts parts = choice.splitter.push(token.text);
  if (!parts.reasoning.empty()) choice.thinks = true;
  if (!parts.content.empty()) choice.thinks = false;
  if (choice.thinks) usage().add_reasoning(1);
  put(index, std::move(parts), out);
}

void ChatExchange::put(std::size_t index, AnswerParts parts, std::string& out) {
  Choice& choice = choices_[index];
  if (!streams()) {
    choice.text.reasoning += parts.reasoning;
    choice.text.content += parts.content;
    return;
  }
  if (!std::exchange(choice.begun, true)) {
    append_chunk(index, {{"role", "assistant"}, {"content", ""}}, "", out);
  }
  if (!parts.reasoning.empty()) {
    append_chunk(index, {{"reasoning_content", std::move(parts.reasoning)}}, "", out);
  }
  if (!parts.content.empty() || !choice.logprobs.empty()) {
    append_chunk(index, {{"content", std::move(parts.content)}}, "", out);
  }
}

void ChatExchange::on_finish(std::size_t index, const engine::FinishEvent& end, std::string& out) {
  Choice& choice = choices_[index];
  usage().add(end.usage, index == 0);
  AnswerParts parts = choice.splitter.push(end.text);
  const AnswerParts last = choice.splitter.finish();
  parts.reasoning += last.reasoning;
  parts.content += last.content;
  put(index, std::move(parts), out);
  choice.finish_reason = finish_text(end.reason);
  if (streams()) append_chunk(index, Json::object(), choice.finish_reason, out);
}

void ChatExchange::append_chunk(std::size_t index, const Json& delta,
                                std::string_view finish_reason, std::string& out) {
  Choice& choice = choices_[index];
  std::string logprobs = "null";
  if (!choice.logprobs.empty() && !delta.empty() && choice.begun && !delta.contains("role")) {
    logprobs = R"({"content":)" + dump(std::exchange(choice.logprobs, Json::array())) +
               R"(,"refusal":null})";
  }
  out += "data: ";
  out += chunk_begin_;
  fmt::format_to(std::back_inserter(out),
                 R"({{"index":{},"delta":{},"logprobs":{},"finish_reason":{}}}]{}}})", index,
                 dump(delta), logprobs,
                 finish_reason.empty() ? "null" : fmt::format("\"{}\"", finish_reason),
                 includes_usage() ? R"(,"usage":null)" : "");
  out += "\n\n";
}

std::string ChatExchange::usage_event(const Json& usage) const {
  return fmt::format(R"({}],"usage":{}}})", chunk_begin_, dump(usage));
}

HttpResponse ChatExchange::whole() {
  Json choices = Json::array();
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    Choice& choice = choices_[i];
    Json message = Json::object();
    message["role"] = "assistant";
    message["content"] = std::move(choice.text.content);
    message["refusal"] = nullptr;
    if (!choice.text.reasoning.empty()) {
      message["reasoning_content"] = std::move(choice.text.reasoning);
    }
    Json json = Json::object();
    json["index"] = i;
    json["message"] = std::move(message);
    json["logprobs"] = nullptr;
    if (logprobs_) json["logprobs"] = {{"content", choice.logprobs}, {"refusal", nullptr}};
    json["finish_reason"] = choice.finish_reason;
    choices.push_back(std::move(json));
  }
  Json body = Json::object();
  body["id"] = id_;
  body["object"] = "chat.completion";
  body["created"] = created_;
  body["model"] = service().id();
  body["system_fingerprint"] = "local";
  body["choices"] = std::move(choices);
  body["usage"] = usage().json();
  return json_response(body);
}

}  // namespace mistral::server
