#include "server/api/messages.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "server/api/error.h"
#include "server/api/json_body.h"

namespace mistral::server {
namespace {

bool mentions(std::string_view source, std::string_view word) {
  return source.find(fmt::format("'{}'", word)) != std::string_view::npos ||
         source.find(fmt::format("\"{}\"", word)) != std::string_view::npos;
}

bool asks_for_null(std::string_view source) {
  constexpr std::array kTests = {"content is none",       "content'] is none",
                                 "content\"] is none",    "content is not none",
                                 "content'] is not none", "content\"] is not none",
                                 "content == none",       "content'] == none"};
  return std::ranges::any_of(
      kTests, [&](const char* test) { return source.find(test) != std::string_view::npos; });
}

void check_part(const Json& part, const std::string& at) {
  if (!part.is_object()) {
    throw ApiError(at,
                   fmt::format("Invalid type for '{}': expected an object, but got {} instead.", at,
                               kind_of(part)),
                   "invalid_type");
  }
  const Fields fields(part, at + ".");
  const auto type = fields.string("type");
  if (!type) fields.missing("type");
  if (*type == "text") {
    if (!fields.string("text")) fields.missing("text");
    return;
  }
  if (*type == "refusal") {
    if (!fields.string("refusal")) fields.missing("refusal");
    return;
  }
  if (*type == "image_url" || *type == "image" || *type == "input_audio" || *type == "file" ||
      *type == "video_url" || *type == "audio_url") {
    throw ApiError(
        fields.path("type"),
        fmt::format("'{}' is '{}', but the model reads text only.", fields.path("type"), *type),
        "unsupported_content");
  }
  fields.wrong_value("type", "expected 'text'.");
}

// Checks the parts; parts that are a refusal become texts.
Json read_parts(const Json& parts, const std::string& at) {
  if (parts.empty()) throw ApiError(at, fmt::format("Invalid value for '{}': it is empty.", at));
  Json result = Json::array();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    check_part(parts[i], fmt::format("{}[{}]", at, i));
    Json part = parts[i];
    if (part["type"] == "refusal") part = {{"type", "text"}, {"text", part["refusal"]}};
    result.push_back(std::move(part));
  }
  return result;
}

void check_tool_calls(const Json& calls, const std::string& at) {
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const std::string here = fmt::format("{}[{}]", at, i);
    if (!calls[i].is_object()) {
      throw ApiError(here,
                     fmt::format("Invalid type for '{}': expected an object, but got {} instead.",
                                 here, kind_of(calls[i])),
                     "invalid_type");
    }
    const Fields call(calls[i], here + ".");
    (void)call.string("id");
    (void)call.word("type", {"function"});
    const Json* function = call.object("function");
    if (function == nullptr) call.missing("function");
    const Fields inside(*function, here + ".function.");
    if (!inside.string("name")) inside.missing("name");
    const Json* arguments = inside.find("arguments");
    if (arguments != nullptr && !arguments->is_string() && !arguments->is_object()) {
      inside.wrong_type("arguments", "a string");
    }
  }
}

Json read_message(const Json& given, const std::string& at, std::string_view source) {
  if (!given.is_object()) {
    throw ApiError(at,
                   fmt::format("Invalid type for '{}': expected an object, but got {} instead.", at,
                               kind_of(given)),
                   "invalid_type");
  }
  const Fields fields(given, at + ".");
  auto role = fields.string("role");
  if (!role) fields.missing("role");
  constexpr std::array<std::string_view, 6> kRoles = {"system",    "developer", "user",
                                                      "assistant", "tool",      "function"};
  if (std::ranges::find(kRoles, *role) == kRoles.end() && !mentions(source, *role)) {
    fields.wrong_value("role", "expected 'system', 'developer', 'user', 'assistant' or 'tool'.");
  }
  if (*role == "developer" && !mentions(source, "developer")) *role = "system";
  (void)fields.string("name");
  (void)fields.string("tool_call_id");
  const Json* calls = fields.array("tool_calls");
  if (calls != nullptr) check_tool_calls(*calls, fields.path("tool_calls"));

  Json message = given;
  message["role"] = *role;
  const Json* content = fields.find("content");
  if (content == nullptr) {
    const bool may_miss = *role == "assistant" && given.contains("content");
    if (!may_miss && (*role != "assistant" || calls == nullptr)) fields.missing("content");
    message["content"] = asks_for_null(source) ? Json(nullptr) : Json("");
  } else if (content->is_array()) {
    message["content"] = read_parts(*content, fields.path("content"));
  } else if (!content->is_string()) {
    fields.wrong_type("content", "a string or an array of parts");
  }
  // Templates test whether there are calls by whether the key is there.
  if (calls == nullptr || calls->empty()) message.erase("tool_calls");
  return message;
}

}  // namespace

Json read_messages(const Fields& fields, std::string_view source) {
  const Json* given = fields.find("messages");
  if (given == nullptr) fields.missing("messages");
  if (given->is_string()) {
    return Json::array({{{"role", "user"}, {"content", *given}}});
  }
  if (!given->is_array()) fields.wrong_type("messages", "an array of messages");
  if (given->empty()) fields.wrong_value("messages", "expected at least one message.");
  Json messages = Json::array();
  for (std::size_t i = 0; i < given->size(); ++i) {
    messages.push_back(read_message((*given)[i], fmt::format("messages[{}]", i), source));
  }
  return messages;
}

Json with_parsed_arguments(Json messages) {
  for (Json& message : messages) {
    const auto calls = message.find("tool_calls");
    if (calls == message.end()) continue;
    for (Json& call : *calls) {
      Json& function = call["function"];
      const auto arguments = function.find("arguments");
      if (arguments == function.end() || !arguments->is_string()) continue;
      try {
        *arguments = parse_body(arguments->get_ref<const std::string&>());
      } catch (const ApiError&) {
        continue;  // what a model wrote need not be JSON: the template gets the text
      }
    }
  }
  return messages;
}

}  // namespace mistral::server
