#include "server/api/generation_exchange.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "server/api/error.h"

namespace mistral::server {

void append_event(std::string_view data, std::string& out) {
  out += "data: ";
  out += data;
  out += "\n\n";
}

std::string_view finish_text(FinishReason reason) {
  return reason == FinishReason::kLength ? "length" : "stop";
}

GenerationExchange::GenerationExchange(const Service& service, Settings settings,
                                       std::vector<engine::RequestHandle> handles)
    : service_(service), settings_(std::move(settings)), left_(handles.size()) {
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

bool GenerationExchange::is_end_token(TokenId id) const {
  return std::ranges::count(service_.model().end_tokens, id) > 0;
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
    if (settings_.include_usage) append_event(usage_event(usage_.json()), out);
    append_event("[DONE]", out);
    progress.over = true;
  }
  progress.piece = std::move(out);
  return progress;
}

}  // namespace mistral::server
