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
    bool ignore_eos = false;     // the model's end of text does not end answers
    std::string request_id{};
    std::shared_ptr<void> ticket{};  // held as long as the answer is being made
  };

  // What the answers of a route are called.
  struct Names {
    std::string_view id;      // "chatcmpl"
    std::string_view object;  // "chat.completion"
    std::string_view chunk;   // "chat.completion.chunk"
    std::string_view part;    // "delta": where in a choice of a chunk its text is
  };

  void start(std::function<void()> wake) override;
  [[nodiscard]] Progress advance() override;
  [[nodiscard]] std::string_view keep_alive() const override;

 protected:
  GenerationExchange(const Service& service, const Names& names, Settings settings,
                     std::vector<engine::RequestHandle> handles);

  // Of the answer `index`; what is sent is added to `out`, where the answer is a stream.
  virtual void on_token(std::size_t index, const engine::TokenEvent& token, std::string& out) = 0;
  // Its reason is kStop or kLength.
  virtual void on_finish(std::size_t index, const engine::FinishEvent& end, std::string& out) = 0;
  // The choices of the whole answer, when all are finished.
  [[nodiscard]] virtual Json choices() = 0;

  // Sends a chunk with one choice. `logprobs` null: none. `finish_reason` empty: null.
  void append_chunk(std::size_t index, const Json& part, const Json& logprobs,
                    std::string_view finish_reason, std::string& out) const;

  [[nodiscard]] const Service& service() const { return service_; }
  [[nodiscard]] std::size_t answers() const { return pending_.size(); }
  [[nodiscard]] bool streams() const { return settings_.stream; }
  [[nodiscard]] UsageSum& usage() { return usage_; }
  // An id of the kind "chatcmpl-…".
  [[nodiscard]] std::string make_id(std::string_view prefix) const;
  // Whether the token is part of the answer, and not the end of it.
  [[nodiscard]] bool tells(TokenId id) const;

 private:
  struct Pending {
    engine::RequestHandle handle;
    bool over = false;
  };
  // Takes all events of one answer. False: it failed, and `failure_` says how.
  [[nodiscard]] bool take_events(std::size_t index, std::string& out);
  [[nodiscard]] HttpResponse whole();
  void append_usage(std::string& out) const;

  const Service& service_;
  Names names_;
  Settings settings_;
  std::string id_;
  std::int64_t created_;
  std::string chunk_begin_;  // what all chunks begin with
  std::vector<Pending> pending_;
  std::size_t left_ = 0;
  bool head_sent_ = false;
  UsageSum usage_;
  std::optional<HttpResponse> failure_;
};

// "stop", "length".
[[nodiscard]] std::string_view finish_text(FinishReason reason);

}  // namespace mistral::server
