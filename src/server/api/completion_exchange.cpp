#include "server/api/completion_exchange.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "server/api/error.h"

namespace mistral::server {

CompletionExchange::CompletionExchange(const Service& service, CompletionSettings settings,
                                       std::vector<engine::RequestHandle> handles)
    : GenerationExchange(
          service,
          {.id = "cmpl", .object = "text_completion", .chunk = "text_completion", .part = "text"},
          settings.generation, std::move(handles)),
      settings_(std::move(settings)) {
  choices_.resize(answers());
  if (settings_.logprobs) {
    for (Choice& choice : choices_) {
      choice.logprobs.emplace(service.tokenizer(), *settings_.logprobs);
    }
  }
}

// The prompt stands before the answer.
void CompletionExchange::begin(std::size_t index) {
  Choice& choice = choices_[index];
  if (std::exchange(choice.begun, true)) return;
  const Prompt& prompt = prompt_of(index);
  choice.text += prompt.echo;
  if (!prompt.logprobs || !choice.logprobs) return;
  for (std::size_t i = 0; i < prompt.logprobs->ids.size(); ++i) {
    const auto& token = prompt.logprobs->tokens[i];
    choice.logprobs->add(prompt.logprobs->ids[i], token ? &*token : nullptr);
  }
}

void CompletionExchange::on_token(std::size_t index, const engine::TokenEvent& token,
                                  std::string& out) {
  begin(index);
  Choice& choice = choices_[index];
  if (!settings_.only_echo) {
    if (token.logprobs) {
      choice.logprob_sum += token.logprobs->chosen.logprob;
      ++choice.tokens;
      // Also of the token that ends the answer: clients that score prompts leave out the last one,
      // whatever it is.
      if (choice.logprobs) choice.logprobs->add(token.token, &*token.logprobs);
    }
    choice.text += token.text;
  }
  if (streams()) flush(index, "", out);
}

void CompletionExchange::on_finish(std::size_t index, const engine::FinishEvent& end,
                                   std::string& out) {
  begin(index);
  Usage took = end.usage;
  if (settings_.only_echo) took.completion_tokens = 0;
  usage().add(took, index % static_cast<std::size_t>(settings_.best_of) == 0);
  Choice& choice = choices_[index];
  if (!settings_.only_echo) choice.text += end.text;
  choice.text += settings_.suffix;
  choice.finish_reason = settings_.only_echo ? "length" : finish_text(end.reason);
  if (!streams()) return;
  flush(index, "", out);
  flush(index, choice.finish_reason, out);
}

// Sends what has come up to now, as a chunk; nothing, when there is nothing to say.
void CompletionExchange::flush(std::size_t index, std::string_view finish_reason,
                               std::string& out) {
  Choice& choice = choices_[index];
  const bool with_logprobs = choice.logprobs && !choice.logprobs->empty();
  if (choice.text.empty() && !with_logprobs && finish_reason.empty()) return;
  append_chunk(index, std::exchange(choice.text, {}),
               with_logprobs ? choice.logprobs->take() : Json(nullptr), finish_reason, out);
}

// The answers to a prompt that are told: the most with_logprobs ones by the mean of their tokens'
// logarithms, when more were made.
std::vector<std::size_t> CompletionExchange::best(std::size_t prompt) const {
  std::vector<std::size_t> indices;
  const auto made = static_cast<std::size_t>(settings_.best_of);
  for (std::size_t i = 0; i < made; ++i) indices.push_back(prompt * made + i);
  if (settings_.best_of > settings_.answers) {
    std::ranges::stable_sort(indices, [this](std::size_t a, std::size_t b) {
      return choices_[a].mean() > choices_[b].mean();
    });
    indices.resize(static_cast<std::size_t>(settings_.answers));
  }
  return indices;
}

Json CompletionExchange::choices() {
  Json choices = Json::array();
  for (std::size_t prompt = 0; prompt < settings_.prompts.size(); ++prompt) {
    for (const std::size_t index : best(prompt)) {
      Choice& choice = choices_[index];
      Json json = Json::object();
      json["index"] = choices.size();
      json["text"] = std::move(choice.text);
      json["logprobs"] = choice.logprobs ? choice.logprobs->take() : Json(nullptr);
      json["finish_reason"] = choice.finish_reason;
      choices.push_back(std::move(json));
    }
  }
  return choices;
}

}  // namespace mistral::server
