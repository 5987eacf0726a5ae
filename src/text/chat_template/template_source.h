// Where a chat template comes from: files of a model's folder, a file or a name that the user
// gives. Texts only; ChatTemplate compiles them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.h"

namespace mistral::text {

struct TemplateSource {
  std::string text;                     // for chats without tools
  std::optional<std::string> tool_use;  // for chats with tools, when that is another one
  std::string origin;                   // for messages: a file, a name, "the command line"
  // Special tokens that a template file names besides: bos_token, eos_token, unk_token, pad_token.
  std::vector<std::pair<std::string, std::string>> tokens;
};

// What --chat-template means: the name of a known format, a file (.json as tokenizer_config.json,
// else Jinja), or the template itself. Throws Error that lists what was expected.
[[nodiscard]] TemplateSource template_from_argument(const std::string& argument);
// A file that holds Jinja, whatever its name. Throws Error.
[[nodiscard]] TemplateSource template_from_jinja_file(const std::filesystem::path& file);

// The template of a model's folder: processor_config.json, chat_template.jinja (and others in
// additional_chat_templates), chat_template.json, tokenizer_config.json, the first that has one.
// Throws Error naming the file when a template in it has an unknown form.
[[nodiscard]] std::optional<TemplateSource> template_from_folder(
    const std::filesystem::path& folder);

// The value of "chat_template": a text; a list of {"name": …, "template": …} or of {NAME: TEXT}; or
// an object {NAME: TEXT}. Of the names "default" and "tool_use" count. None for null.
[[nodiscard]] std::optional<TemplateSource> template_from_json(const Json& value,
                                                               const std::string& origin);

}  // namespace mistral::text
