// An answer that the engine is making, sent whole or as a stream of events. Chats and completions
// say how it is written.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/request.h"
#include "server/api/service.h"
#include "server/api/usage.h"
#include "server/http/message.h"

namespace mistral::server {

class GenerationExchange : public Exchange {
 public:
  struct Settings {
    bool stream = false;
    bool include_usage = false;  // of a stream: tell at its end what it took
    std::string request_id{};
    std::shared_ptr<void> ticket{};  // held as long as the answer is being made
  };

  void start(std::function<void()> wake) override;
  [[nodiscard]] Progress advance() override;
  [[nodiscard]] std::string_view keep_alive() const override;

 protected:
  GenerationExchange(const Service& service, Settings settings,
                     std::vector<engine::RequestHandle> handles);

  // Of the answer `index`; what is sent is added to `out`, where the answer is a stream.
  virtual void on_token(std::size_t index, const engine::TokenEvent& token, std::string& out) = 0;
  // Its reason is kStop or kLength.
  virtual void on_finish(std::size_t index, const engine::FinishEvent& end, std::string& out) = 0;
  // The whole answer, when all are finished.
  [[nodiscard]] virtual HttpResponse whole() = 0;
  // The last event of a stream that tells `usage`.
  [[nodiscard]] virtual std::string usage_event(const Json& usage) const = 0;

  [[nodiscard]] const Service& service() const { return service_; }
  [[nodiscard]] std::size_t answers() const { return pending_.size(); }
  [[nodiscard]] bool streams() const { return settings_.stream; }
  [[nodiscard]] bool includes_usage() const { return settings_.include_usage; }
  [[nodiscard]] UsageSum& usage() { return usage_; }
  // An id of the kind "chatcmpl-…".
  [[nodiscard]] std::string make_id(std::string_view prefix) const;
  [[nodiscard]] bool is_end_token(TokenId id) const;

 private:
  struct Pending {
    engine::RequestHandle handle;
    bool over = false;
  };
  // Takes all events of one answer. False: it failed, and `failure_` says how.
  [[nodiscard]] bool take_events(std::size_t index, std::string& out);

  const Service& service_;
  Settings settings_;
  std::vector<Pending> pending_;
  std::size_t left_ = 0;
  bool head_sent_ = false;
  UsageSum usage_;
  std::optional<HttpResponse> failure_;
};

// "data: …\n\n".
void append_event(std::string_view data, std::string& out);
// "stop", "length".
[[nodiscard]] std::string_view finish_text(FinishReason reason);

}  // namespace mistral::server
