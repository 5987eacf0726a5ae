// The answer to a chat, as one object or as chunks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/api/answer_splitter.h"
#include "server/api/generation_exchange.h"

namespace mistral::server {

class ChatExchange final : public GenerationExchange {
 public:
  struct ChatSettings {
    Settings generation;
    text::ReasoningStyle style;
    bool logprobs = false;
    bool ignore_eos = false;
  };
  ChatExchange(const Service& service, ChatSettings settings,
               std::vector<engine::RequestHandle> handles);

 protected:
  void on_token(std::size_t index, const engine::TokenEvent& token, std::string& out) override;
  void on_finish(std::size_t index, const engine::FinishEvent& end, std::string& out) override;
  [[nodiscard]] HttpResponse whole() override;
  [[nodiscard]] std::string usage_event(const Json& usage) const override;

 private:
  struct Choice {
    explicit Choice(const text::ReasoningStyle& style) : splitter(style) {}
    AnswerSplitter splitter;
    AnswerParts text;  // so far, when the answer is sent whole
    bool begun = false;
    bool thinks = false;
    Json logprobs = Json::array();  // so far; of a stream those not sent yet
    std::string_view finish_reason;
  };
  void put(std::size_t index, AnswerParts parts, std::string& out);
  // A chunk with one choice. `finish_reason` empty: null.
  void append_chunk(std::size_t index, const Json& delta, std::string_view finish_reason,
                    std::string& out);

  bool logprobs_;
  bool ignore_eos_;
  std::string id_;
  std::int64_t created_;
  std::string chunk_begin_;  // what all chunks begin with
  std::vector<Choice> choices_;
};

}  // namespace mistral::server
