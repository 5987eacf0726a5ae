#include "cli/chat_options.h"

#include <filesystem>

#include "cli/input.h"
#include "core/error.h"

namespace mistral::cli {

namespace {

const std::string kGroup = "Chat";

Json parse_object(const std::string& text, const char* option) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object()) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "{}: expected a JSON object, for example '{{\"enable_thinking\": false}}'",
                     option);
  }
  return json;
}

// A list of tools, or an object with one: {"tools": [...]}.
Json read_tools(const std::string& path) {
  Json json = Json::parse(read_text(path), nullptr, false);
  if (json.is_object() && json.contains("tools")) json = Json(json["tools"]);
  const bool objects = json.is_array() && std::all_of(json.begin(), json.end(),
                                                      [](const Json& t) { return t.is_object(); });
  if (!objects) {
    throw make_error(ErrorKind::kInvalidFile,
                     "--tools: '{}': expected a JSON list of tools (objects with \"type\" and "
                     "\"function\")",
                     path);
  }
  return json;
}

}  // namespace

void TextSourceOptions::add_options(CLI::App& app) {
  app.add_option("--chat-template", chat_template_,
                 "in place of the model's: the name of a common format (chatml, llama2, llama3, "
                 "mistral, phi3, vicuna, gemma, zephyr, alpaca), a file (.jinja, or .json as "
                 "tokenizer_config.json), or the template itself")
      ->type_name("NAME|FILE|TEXT")
      ->group(kGroup);
  app.add_option("--jinja-explicit", jinja_file_, "a template file; goes before --chat-template")
      ->type_name("FILE")
      ->group(kGroup);
  app.add_option("--tokenizer-json", tokenizer_json_,
                 "a tokenizer.json or tokenizer.model in place of the model's")
      ->type_name("FILE")
      ->group(kGroup);
}

models::TextOptions TextSourceOptions::resolve(models::TextOptions selected) const {
  const auto check = [](const char* option, const std::filesystem::path& path) {
    std::error_code ignored;
    if (path.empty() || std::filesystem::exists(path, ignored)) return;
    throw make_error(ErrorKind::kNotFound, "{}: '{}': no such file or folder", option,
                     path.string());
  };
  check("--jinja-explicit", jinja_file_);
  check("--tokenizer-json", tokenizer_json_);
  check("--tok-model-id", selected.tokenizer_folder);
  selected.chat_template = chat_template_;
  selected.jinja_file = jinja_file_;
  if (!tokenizer_json_.empty()) selected.tokenizer_json = tokenizer_json_;
  return selected;
}

void ChatOptions::add_options(CLI::App& app) {
  app.add_option("--tools", tools_,
                 "tools that the model may call: a JSON list, as in the OpenAI API")
      ->type_name("FILE")
      ->group(kGroup);
  app.add_option("--enable-thinking", enable_thinking_,
                 "whether the model reasons first, where its template knows enable_thinking")
      ->type_name("true|false")
      ->group(kGroup);
  app.add_option("--chat-template-kwargs", template_kwargs_,
                 "further variables of the template, as a JSON object")
      ->type_name("JSON")
      ->group(kGroup);
}

void ChatOptions::apply(Json& extra) const {
  if (!extra.is_object()) extra = Json::object();
  if (!template_kwargs_.empty()) {
    const Json variables = parse_object(template_kwargs_, "--chat-template-kwargs");
    for (const auto& [key, value] : variables.items()) extra[key] = value;
  }
  if (enable_thinking_) extra["enable_thinking"] = *enable_thinking_;
  if (!tools_.empty()) extra["tools"] = read_tools(tools_);
}

}  // namespace mistral::cli
