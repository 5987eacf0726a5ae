#include "server/api/generation_exchange.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "server/api/error.h"

namespace mistral::server {
namespace {

// "data: …\n\n".
void append_event(std::string_view data, std::string& out) {
  out += "data: ";
  out += data;
  out += "\n\n";
}

}  // namespace

std::string_view finish_text(FinishReason reason) {
  return reason == FinishReason::kLength ? "length" : "stop";
}

GenerationExchange::GenerationExchange(const Service& service, const Names& names,
                                       Settings settings,
                                       std::vector<engine::RequestHandle> handles)
    : service_(service),
      names_(names),
      settings_(std::move(settings)),
      id_(make_id(names.id)),
      created_(unix_seconds()),
      left_(handles.size()) {
  chunk_begin_ = fmt::format(R"({{"id":{},"object":"{}","created":{},"model":{},)"
                             R"("system_fingerprint":"local","choices":[)",
                             dump(Json(id_)), names.chunk, created_, dump(Json(service.id())));
  for (engine::RequestHandle& handle : handles) pending_.push_back({std::move(handle)});
}

void GenerationExchange::start(std::function<void()> wake) {
  for (Pending& pending : pending_) pending.handle.notify(wake);
}

std::string_view GenerationExchange::keep_alive() const {
  return settings_.stream ? ": keep-alive-text\n\n" : std::string_view();
}

std::string GenerationExchange::make_id(std::string_view prefix) const {
  return fmt::format("{}-{}", prefix, settings_.request_id);
}

bool GenerationExchange::tells(TokenId id) const {
  return settings_.ignore_eos || std::ranges::count(service_.model().end_tokens, id) == 0;
}

void GenerationExchange::append_chunk(std::size_t index, const Json& part, const Json& logprobs,
                                      std::string_view finish_reason, std::string& out) const {
  append_event(fmt::format(R"({}{{"index":{},"{}":{},"logprobs":{},"finish_reason":{}}}]{}}})",
                           chunk_begin_, index, names_.part, dump(part), dump(logprobs),
                           finish_reason.empty() ? "null" : fmt::format("\"{}\"", finish_reason),
                           settings_.include_usage ? R"(,"usage":null)" : ""),
               out);
}

void GenerationExchange::append_usage(std::string& out) const {
  append_event(fmt::format(R"({}],"usage":{}}})", chunk_begin_, dump(usage_.json())), out);
}

HttpResponse GenerationExchange::whole() {
  Json body = Json::object();
  body["id"] = id_;
  body["object"] = names_.object;
  body["created"] = created_;
  body["model"] = service_.id();
  body["system_fingerprint"] = "local";
  body["choices"] = choices();
  body["usage"] = usage_.json();
  return json_response(body);
}

bool GenerationExchange::take_events(std::size_t index, std::string& out) {
  Pending& pending = pending_[index];
  while (!pending.over) {
    const std::optional<engine::Event> event = pending.handle.try_next();
    if (!event) return true;
    if (const auto* token = std::get_if<engine::TokenEvent>(&*event)) {
      on_token(index, *token, out);
      continue;
    }
    const auto& end = std::get<engine::FinishEvent>(*event);
    pending.over = true;
    --left_;
    if (end.reason == FinishReason::kError) {
      failure_ = model_failure(end.error, settings_.request_id).response();
      return false;
    }
    if (end.reason == FinishReason::kCancelled) {
      failure_ = ApiError::of_status(503, "server_error", "server_shutdown",
                                     "The server is shutting down.")
                     .response();
      return false;
    }
    on_finish(index, end, out);
  }
  return true;
}

Exchange::Progress GenerationExchange::advance() {
  Progress progress;
  std::string out;
  bool fine = true;
  for (std::size_t i = 0; fine && i < pending_.size(); ++i) fine = take_events(i, out);
  if (!settings_.stream) {
    if (!fine) {
      progress.head = std::move(failure_);
    } else if (left_ == 0) {
      progress.head = whole();
    }
    progress.over = progress.head.has_value();
    return progress;
  }
  if (!std::exchange(head_sent_, true)) {
    progress.head =
        HttpResponse{.content_type = "text/event-stream; charset=utf-8",
                     .headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}}};
  }
  if (!fine) {
    append_event(failure_->body, out);
    progress.over = true;
  } else if (left_ == 0) {
    if (settings_.include_usage) append_usage(out);
    append_event("[DONE]", out);
    progress.over = true;
  }
  progress.piece = std::move(out);
  return progress;
}

}  // namespace mistral::server
