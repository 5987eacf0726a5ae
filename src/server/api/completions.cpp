#include "server/api/completions.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "server/api/completion_exchange.h"
#include "server/api/constraint.h"
#include "server/api/error.h"
#include "server/api/json_body.h"
#include "server/api/prompts.h"
#include "server/api/request_options.h"
#include "server/api/sampling_fields.h"

namespace mistral::server {
namespace {

constexpr std::int64_t kDefaultMaxTokens = 16;  // as OpenAI's API

// Collects the probabilities of the prompt's tokens while the engine computes it.
std::shared_ptr<PromptLogprobs> collect_prompt_logprobs(engine::Request& request,
                                                        std::int32_t top) {
  auto collected = std::make_shared<PromptLogprobs>();
  collected->ids = request.prompt;
  collected->tokens.resize(request.prompt.size());
  request.on_prompt_logits = [collected, top](std::int64_t position,
                                              std::span<const float> logits) {
    const auto next = static_cast<std::size_t>(position) + 1;
    if (next >= collected->ids.size() || collected->tokens[next]) return;
    collected->tokens[next] = logprobs_of(logits, collected->ids[next], top);
  };
  return collected;
}

void refuse_unsupported(const Fields& fields) {
  for (const char* name : {"tools", "tool_choice"}) {
    if (fields.has(name)) {
      fields.unsupported(name, "completions have no tools; use /v1/chat/completions.");
    }
  }
}

}  // namespace

Reply completions(const Service& service, const HttpRequest& http, std::shared_ptr<void> ticket) {
  const Json body = parse_body(http.body);
  const Fields fields(body);
  check_model_field(fields);
  refuse_unsupported(fields);
  const RequestOptions options = read_request_options(fields);

  engine::Request request;
  request.sampling = read_sampling(fields, default_sampling(service.model().default_sampling));
  if (!request.sampling.max_tokens) request.sampling.max_tokens = kDefaultMaxTokens;
  const bool echo = fields.boolean("echo").value_or(false);
  const bool only_echo = request.sampling.max_tokens == 0;
  if (only_echo) {
    if (!echo) fields.wrong_value("max_tokens", "0 needs 'echo' to be true.");
    request.sampling.max_tokens = 1;  // whose token is not told
    request.sampling.min_tokens = 0;
  }
  const auto best_of = static_cast<std::int32_t>(
      fields.integer("best_of", 1, kMostAnswers).value_or(options.answers));
  if (best_of < options.answers) fields.wrong_value("best_of", "it is less than 'n'.");
  if (best_of > options.answers && options.stream) {
    fields.wrong_value("best_of", "answers cannot be chosen while they are streamed.");
  }
  std::optional<std::int32_t> logprobs;
  if (const auto top = fields.integer("logprobs", 0, kMostTopLogprobs)) {
    logprobs = static_cast<std::int32_t>(*top);
    (void)service.tokenizer();
  }
  request.sampling.logprobs = logprobs.has_value() || best_of > options.answers;
  request.sampling.top_logprobs = logprobs.value_or(0);
  apply_constraint(service, fields, ToolSettings{}, request);
  const std::string suffix = fields.string("suffix").value_or("");

  const bool truncates = service.truncates(options.truncate);
  std::vector<PromptInput> prompts = read_prompts(service, fields, "prompt", echo, truncates);
  if (prompts.size() * static_cast<std::size_t>(best_of) > kMostAnswersInAll) {
    fields.wrong_value(best_of > options.answers ? "best_of" : "n",
                       fmt::format("{} answers to each of {} prompts, expected at most {} in all.",
                                   best_of, prompts.size(), kMostAnswersInAll));
  }
  CompletionExchange::CompletionSettings settings;
  settings.generation = {.stream = options.stream,
                         .include_usage = options.include_usage,
                         .ignore_eos = request.sampling.ignore_eos,
                         .request_id = http.id,
                         .ticket = std::move(ticket)};
  settings.answers = options.answers;
  settings.best_of = best_of;
  settings.suffix = suffix;
  settings.logprobs = logprobs;
  settings.only_echo = only_echo;

  std::vector<engine::RequestHandle> handles;
  for (PromptInput& prompt : prompts) {
    engine::Request one = request;
    service.seed(one.sampling);
    one.prompt = std::move(prompt.ids);
    if (truncates) service.truncate(one.prompt, one.sampling);
    CompletionExchange::Prompt told;
    if (echo) told.echo = std::move(prompt.text);
    if (echo && logprobs) told.logprobs = collect_prompt_logprobs(one, *logprobs);
    settings.prompts.push_back(std::move(told));
    for (engine::RequestHandle& handle : service.engine().submit(std::move(one), best_of)) {
      handles.push_back(std::move(handle));
    }
  }
  return std::make_unique<CompletionExchange>(service, std::move(settings), std::move(handles));
}

}  // namespace mistral::server
