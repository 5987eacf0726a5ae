#include "server/api/chat.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "engine/chat.h"
#include "server/api/chat_exchange.h"
#include "server/api/constraint.h"
#include "server/api/error.h"
#include "server/api/json_body.h"
#include "server/api/messages.h"
#include "server/api/request_options.h"
#include "server/api/sampling_fields.h"
#include "server/api/tool_constraint.h"
#include "server/api/tools.h"
#include "text/tool_calls/tool_call_format.h"

namespace mistral::server {
namespace {

const text::ChatTemplate* template_of(const models::LoadedModel& model, bool with_tools) {
  if (with_tools) return tool_template(model);
  return model.chat_template ? &*model.chat_template : nullptr;
}

// What the template is told besides the messages.
Json read_variables(const Fields& fields, const ToolSettings& tools) {
  Json variables = Json::object();
  if (const Json* given = fields.object("chat_template_kwargs")) variables = *given;
  if (const auto thinking = fields.boolean("enable_thinking")) {
    variables["enable_thinking"] = *thinking;
  }
  if (const auto effort = fields.string("reasoning_effort")) {
    variables["reasoning_effort"] = *effort;
  }
  if (const Json* documents = fields.array("documents")) variables["documents"] = *documents;
  if (!tools.tools.empty()) variables["tools"] = tools.tools;
  return variables;
}

engine::PreparedPrompt render(const models::LoadedModel& model, const Json& messages,
                              const Json& variables) {
  try {
    return engine::prepare_chat(model, with_parsed_arguments(messages), variables);
  } catch (const Error& error) {
    // Some templates want the arguments of calls as texts.
    const bool calls = std::ranges::any_of(
        messages, [](const Json& message) { return message.contains("tool_calls"); });
    if (calls) {
      try {
        return engine::prepare_chat(model, messages, variables);
      } catch (const Error&) {
        // The first failure says more.
      }
    }
    const char* const code =
        error.kind() == ErrorKind::kUnsupported ? "unsupported_model" : "invalid_messages";
    const auto* raised = dynamic_cast<const text::TemplateError*>(&error);
    const bool refused =
        raised != nullptr && raised->template_kind() == text::TemplateErrorKind::kRaise;
    throw ApiError("messages", refused ? raised->message() : error.what(), code);
  }
}

engine::PreparedPrompt prepare(const Service& service, const Fields& fields,
                               const ToolSettings& tools, bool truncates) {
  const models::LoadedModel& model = service.model();
  const text::ChatTemplate* chat_template = template_of(model, !tools.tools.empty());
  const Json* messages = fields.find("messages");
  if (chat_template == nullptr && messages != nullptr && messages->is_string()) {
    const auto text = messages->get<std::string>();
    if (!truncates) service.check_text_size(text.size(), "messages");
    return {.text = text, .ids = engine::prepare_text(model, text)};
  }
  const Json checked =
      read_messages(fields, chat_template == nullptr ? "" : chat_template->source());
  std::size_t bytes = 0;
  for (const Json& message : checked) {
    const auto content = message.find("content");
    if (content == message.end()) continue;
    if (content->is_string()) bytes += content->get_ref<const std::string&>().size();
    if (!content->is_array()) continue;
    for (const Json& part : *content) bytes += part["text"].get_ref<const std::string&>().size();
  }
  if (!truncates) service.check_text_size(bytes, "messages");
  return render(model, checked, read_variables(fields, tools));
}

void refuse_unsupported(const Fields& fields) {
  if (const Json* modalities = fields.array("modalities")) {
    for (const Json& modality : *modalities) {
      if (modality != "text") fields.unsupported("modalities", "the model writes text only.");
    }
  }
  if (fields.has("audio")) fields.unsupported("audio", "the model writes text only.");
  if (fields.has("web_search_options")) {
    fields.unsupported("web_search_options", "there is no web search.");
  }
}

}  // namespace

Reply chat_completions(const Service& service, const HttpRequest& http,
                       std::shared_ptr<void> ticket) {
  const Json body = parse_body(http.body);
  const Fields fields(body);
  check_model_field(fields);
  refuse_unsupported(fields);
  const RequestOptions options = read_request_options(fields);
  const ToolSettings tools = read_tools(fields);

  engine::Request request;
  request.sampling = read_sampling(fields, default_sampling(service.model().default_sampling));
  if (request.sampling.max_tokens == 0) {
    fields.wrong_value("max_tokens", "expected at least 1.");
  }
  const bool logprobs = fields.boolean("logprobs").value_or(false);
  const auto top = fields.integer("top_logprobs", 0, kMostTopLogprobs);
  if (top && !logprobs) fields.wrong_value("top_logprobs", "it needs 'logprobs' to be true.");
  request.sampling.logprobs = logprobs;
  request.sampling.top_logprobs = static_cast<std::int32_t>(top.value_or(0));
  if (logprobs) (void)service.tokenizer();
  text::ToolCallParser::Accepts accepts;
  if (tools.may_call && !tools.must_call) accepts = strict_check(service, tools);
  request.shows_tool_marks = tools.may_call;
  apply_constraint(service, fields, tools, request);
  service.seed(request.sampling);

  const bool truncates = service.truncates(options.truncate);
  engine::PreparedPrompt prompt = prepare(service, fields, tools, truncates);
  const text::ReasoningStyle style = engine::reasoning_style(service.model(), prompt);
  ChatExchange::ChatSettings settings;
  if (tools.may_call) {
    const text::ChatTemplate* used = template_of(service.model(), true);
    const text::ToolCallFormat& format = text::tool_call_format(
        used == nullptr ? std::string_view() : used->source(), service.model().tokenizer.get());
    settings.calls.tools = std::make_shared<const text::ToolSet>(text::tool_set(tools.tools));
    settings.calls.name_first = format.name_first;
    if (!tools.parallel) settings.calls.limits.calls = 1;
    settings.calls.accepts = std::move(accepts);
  }
  if (truncates) service.truncate(prompt.ids, request.sampling);
  request.prompt = std::move(prompt.ids);
  const bool ignore_eos = request.sampling.ignore_eos;
  std::vector<engine::RequestHandle> handles;
  try {
    handles = service.engine().submit(std::move(request), options.answers);
  } catch (const Error& error) {
    ApiError told = to_api_error(error, http.id);
    if (told.param() != "prompt") throw told;
    throw ApiError("messages", told.what(), told.code());
  }
  settings.generation = {.stream = options.stream,
                         .include_usage = options.include_usage,
                         .ignore_eos = ignore_eos,
                         .request_id = http.id,
                         .ticket = std::move(ticket)};
  settings.style = style;
  settings.logprobs = logprobs;
  return std::make_unique<ChatExchange>(service, std::move(settings), std::move(handles));
}

}  // namespace mistral::server
