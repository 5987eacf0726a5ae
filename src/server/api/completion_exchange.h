// The answer to a completion, as one object or as chunks.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/api/generation_exchange.h"
#include "server/api/logprobs.h"

namespace mistral::server {

// The probabilities of a prompt's own tokens. Written on the engine's thread before the first token
// of the answer is sent, read afterwards.
struct PromptLogprobs {
  std::vector<TokenId> ids;
  std::vector<std::optional<TokenLogprobs>> tokens;  // of each; none: not computed
};

class CompletionExchange final : public GenerationExchange {
 public:
  struct Prompt {
    std::string echo;                                // what stands before the answer
    std::shared_ptr<const PromptLogprobs> logprobs;  // to be told with it; null: none
  };
  struct CompletionSettings {
    Settings generation;
    std::vector<Prompt> prompts;
    std::int32_t answers = 1;  // to each prompt, that are told
    std::int32_t best_of = 1;  // to each prompt, that are made
    std::string suffix;
    std::optional<std::int32_t> logprobs;  // alternatives
    bool only_echo = false;                // the answer itself is not wanted
  };
  // The handles are those of the first prompt, `best_of` of them, then those of the next.
  CompletionExchange(const Service& service, CompletionSettings settings,
                     std::vector<engine::RequestHandle> handles);

 protected:
  void on_token(std::size_t index, const engine::TokenEvent& token, std::string& out) override;
  void on_finish(std::size_t index, const engine::FinishEvent& end, std::string& out) override;
  [[nodiscard]] Json choices() override;

 private:
  struct Choice {
    std::string text;
    std::optional<CompletionLogprobs> logprobs;
    bool begun = false;
    double logprob_sum = 0;
    std::int64_t tokens = 0;
    std::string_view finish_reason;

    [[nodiscard]] double mean() const {
      return tokens > 0 ? logprob_sum / static_cast<double>(tokens) : 0;
    }
  };
  [[nodiscard]] const Prompt& prompt_of(std::size_t index) const {
    return settings_.prompts[index / static_cast<std::size_t>(settings_.best_of)];
  }
  void begin(std::size_t index);
  void flush(std::size_t index, std::string_view finish_reason, std::string& out);
  [[nodiscard]] std::vector<std::size_t> best(std::size_t prompt) const;

  CompletionSettings settings_;
  std::vector<Choice> choices_;
};

}  // namespace mistral::server
