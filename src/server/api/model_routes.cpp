#include "server/api/model_routes.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/chat.h"
#include "server/api/error.h"
#include "server/api/json_body.h"
#include "server/api/logprobs.h"
#include "server/api/messages.h"
#include "server/api/prompts.h"

namespace mistral::server {
namespace {

Json model_json(const Service& service) {
  Json json = Json::object();
  json["id"] = service.id();
  json["object"] = "model";
  json["created"] = service.created();
  json["owned_by"] = "local";
  json["max_model_len"] = service.model().model->context_length();
  return json;
}

// "%2F" in a path is a slash of the id.
std::string decoded(std::string_view text) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 &&
        digit(text[i + 2]) >= 0) {
      result += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::vector<TokenId> encode(const Service& service, const Fields& fields) {
  const bool add_special =
      fields.boolean("add_special_tokens").value_or(fields.boolean("add_special").value_or(true));
  if (fields.has("messages")) {
    const models::LoadedModel& model = service.model();
    const std::string source =
        model.chat_template ? std::string(model.chat_template->source()) : "";
    const Json messages = read_messages(fields, source);
    Json variables = Json::object();
    if (const Json* given = fields.object("chat_template_kwargs")) variables = *given;
    if (const auto generation = fields.boolean("add_generation_prompt")) {
      variables["add_generation_prompt"] = *generation;
    }
    try {
      return engine::prepare_chat(model, with_parsed_arguments(messages), variables).ids;
    } catch (const Error& error) {
      throw ApiError("messages", error.what(), "invalid_messages");
    }
  }
  for (const char* name : {"prompt", "content", "text"}) {
    if (const auto text = fields.string(name)) {
      return service.tokenizer().encode(*text, {.add_special = add_special, .parse_special = true});
    }
  }
  fields.missing("prompt");
}

}  // namespace

HttpResponse list_models(const Service& service) {
  return json_response({{"object", "list"}, {"data", Json::array({model_json(service)})}});
}

HttpResponse get_model(const Service& service, std::string_view id) {
  if (decoded(id) == service.id()) return json_response(model_json(service));
  throw ApiError::of_status(404, "invalid_request_error", "model_not_found",
                            fmt::format("The model '{}' does not exist.", decoded(id)));
}

HttpResponse tokenize_text(const Service& service, const HttpRequest& request) {
  const Json body = parse_body(request.body);
  const Fields fields(body);
  check_model_field(fields);
  const bool texts = fields.boolean("return_token_strs").value_or(false);
  const std::vector<TokenId> ids = encode(service, fields);
  Json json = Json::object();
  json["tokens"] = ids;
  json["count"] = ids.size();
  json["max_model_len"] = service.model().model->context_length();
  if (texts) {
    Json list = Json::array();
    for (const TokenId id : ids) list.push_back(token_text(service.tokenizer(), id));
    json["token_strs"] = std::move(list);
  }
  return json_response(json);
}

HttpResponse detokenize_ids(const Service& service, const HttpRequest& request) {
  const Json body = parse_body(request.body);
  const Fields fields(body);
  check_model_field(fields);
  const Json* tokens = fields.array("tokens");
  if (tokens == nullptr) fields.missing("tokens");
  const bool skip_special = fields.boolean("skip_special_tokens").value_or(false);
  std::string text;
  if (!tokens->empty()) {
    if (!tokens->front().is_number()) fields.wrong_type("tokens", "an array of token ids");
    std::vector<PromptInput> prompts = read_prompts(service, fields, "tokens", false, false);
    text = service.tokenizer().decode(prompts.front().ids, skip_special);
  }
  Json json = Json::object();
  json["prompt"] = text;
  json["content"] = std::move(text);
  return json_response(json);
}

HttpResponse refuse_re_isq(const HttpRequest& request) {
  const Json body = parse_body(request.body);
  const Fields fields(body);
  constexpr std::array kTypes = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2K", "Q3K",
                                 "Q4K",  "Q5K",  "Q6K",  "Q8K",  "HQQ8", "HQQ4", "FP8"};
  const auto type = fields.string("ggml_type");
  if (!type) fields.missing("ggml_type");
  std::string upper = *type;
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  if (std::ranges::find(kTypes, upper) == kTypes.end()) {
    fields.wrong_value("ggml_type", fmt::format("ISQ type {} unknown, choose one of {}.", *type,
                                                fmt::join(kTypes, ", ")));
  }
  fields.unsupported("ggml_type", "this server does not quantise a model that is loaded.");
}

HttpResponse refuse_adapters(const HttpRequest& request) {
  const Json body = parse_body(request.body);
  const Fields fields(body);
  if (fields.array("adapter_names") == nullptr) fields.missing("adapter_names");
  (void)fields.strings("adapter_names");
  fields.unsupported("adapter_names", "the model has no adapters.");
}

}  // namespace mistral::server
