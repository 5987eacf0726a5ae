#include "server/api/chat_exchange.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "server/api/error.h"
#include "server/api/logprobs.h"

namespace mistral::server {

ChatExchange::ChatExchange(const Service& service, ChatSettings settings,
                           std::vector<engine::RequestHandle> handles)
    : GenerationExchange(service,
                         {.id = "chatcmpl",
                          .object = "chat.completion",
                          .chunk = "chat.completion.chunk",
                          .part = "delta"},
                         std::move(settings.generation), std::move(handles)),
      logprobs_(settings.logprobs) {
  for (std::size_t i = 0; i < answers(); ++i) {
    choices_.emplace_back(settings.style, settings.calls);
  }
}

void ChatExchange::on_token(std::size_t index, const engine::TokenEvent& token, std::string& out) {
  Choice& choice = choices_[index];
  if (logprobs_ && token.logprobs && tells(token.token)) {
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
    std::ranges::move(parts.calls, std::back_inserter(choice.text.calls));
    return;
  }
  if (!std::exchange(choice.begun, true)) {
    append_chunk(index, {{"role", "assistant"}, {"content", ""}}, nullptr, "", out);
  }
  if (!parts.reasoning.empty()) {
    append_text(index, {{"reasoning_content", std::move(parts.reasoning)}}, out);
  }
  if (!parts.content.empty() || !choice.logprobs.empty()) {
    append_text(index, {{"content", std::move(parts.content)}}, out);
  }
  for (const text::ToolCall& call : parts.calls) {
    Json json = call_json(index, choice.calls_sent, call);
    json["index"] = choice.calls_sent++;
    append_text(index, {{"tool_calls", Json::array({std::move(json)})}}, out);
  }
}

Json ChatExchange::call_json(std::size_t index, std::size_t call,
                             const text::ToolCall& from) const {
  Json json = Json::object();
  json["id"] = fmt::format("{}-{}-{}", make_id("call"), index, call);
  json["type"] = "function";
  json["function"] = {{"name", from.name}, {"arguments", from.arguments}};
  return json;
}

void ChatExchange::on_finish(std::size_t index, const engine::FinishEvent& end, std::string& out) {
  Choice& choice = choices_[index];
  usage().add(end.usage, index == 0);
  AnswerParts parts = choice.splitter.push(end.text);
  AnswerParts last = choice.splitter.finish();
  parts.reasoning += last.reasoning;
  parts.content += last.content;
  std::ranges::move(last.calls, std::back_inserter(parts.calls));
  put(index, std::move(parts), out);
  choice.finish_reason = finish_text(end.reason);
  const std::size_t calls = streams() ? choice.calls_sent : choice.text.calls.size();
  if (calls > 0 && end.reason == FinishReason::kStop) choice.finish_reason = "tool_calls";
  if (streams()) append_chunk(index, Json::object(), nullptr, choice.finish_reason, out);
}

void ChatExchange::append_text(std::size_t index, const Json& delta, std::string& out) {
  Choice& choice = choices_[index];
  Json logprobs;
  if (!choice.logprobs.empty()) {
    logprobs = {{"content", std::exchange(choice.logprobs, Json::array())}, {"refusal", nullptr}};
  }
  append_chunk(index, delta, logprobs, "", out);
}

Json ChatExchange::choices() {
  Json choices = Json::array();
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    Choice& choice = choices_[i];
    Json message = Json::object();
    message["role"] = "assistant";
    const bool only_calls = choice.text.content.empty() && !choice.text.calls.empty();
    message["content"] = only_calls ? Json() : Json(std::move(choice.text.content));
    message["refusal"] = nullptr;
    if (!choice.text.reasoning.empty()) {
      message["reasoning_content"] = std::move(choice.text.reasoning);
    }
    if (!choice.text.calls.empty()) {
      Json calls = Json::array();
      for (const text::ToolCall& call : choice.text.calls) {
        calls.push_back(call_json(i, calls.size(), call));
      }
      message["tool_calls"] = std::move(calls);
    }
    Json json = Json::object();
    json["index"] = i;
    json["message"] = std::move(message);
    json["logprobs"] = nullptr;
    if (logprobs_) json["logprobs"] = {{"content", choice.logprobs}, {"refusal", nullptr}};
    json["finish_reason"] = choice.finish_reason;
    choices.push_back(std::move(json));
  }
  return choices;
}

}  // namespace mistral::server
