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
    CallSettings calls;
    bool logprobs = false;
  };
  ChatExchange(const Service& service, ChatSettings settings,
               std::vector<engine::RequestHandle> handles);

 protected:
  void on_token(std::size_t index, const engine::TokenEvent& token, std::string& out) override;
  void on_finish(std::size_t index, const engine::FinishEvent& end, std::string& out) override;
  [[nodiscard]] Json choices() override;

 private:
  struct Choice {
    Choice(const text::ReasoningStyle& style, const CallSettings& calls) : splitter(style, calls) {}
    AnswerSplitter splitter;
    AnswerParts text;  // so far, when the answer is sent whole
    std::size_t calls_sent = 0;
    bool begun = false;
    bool thinks = false;
    Json logprobs = Json::array();  // so far; of a stream those not sent yet
    std::string_view finish_reason;
  };
  // OpenAI's form of call number `call` of a choice.
  [[nodiscard]] Json call_json(std::size_t index, std::size_t call,
                               const text::ToolCall& from) const;
  void put(std::size_t index, AnswerParts parts, std::string& out);
  // A chunk with the probabilities that have not been sent.
  void append_text(std::size_t index, const Json& delta, std::string& out);

  bool logprobs_;
  std::vector<Choice> choices_;
};

}  // namespace mistral::server
