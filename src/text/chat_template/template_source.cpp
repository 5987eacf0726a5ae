#include "text/chat_template/template_source.h"

#include <algorithm>

#include "core/error.h"
#include "core/mapped_file.h"
#include "text/chat_template/known_formats.h"

namespace mistral::text {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDefault = "default";
constexpr std::string_view kToolUse = "tool_use";

std::string read_text(const fs::path& file) {
  const MappedFile mapped(file);
  const auto bytes = mapped.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Json read_json(const fs::path& file) {
  Json json = Json::parse(read_text(file), nullptr, false);
  if (json.is_discarded() || !json.is_object()) {
    throw make_error(ErrorKind::kInvalidFile, "{}: expected a JSON object", file.string());
  }
  return json;
}

using NamedTexts = std::vector<std::pair<std::string, std::string>>;

void add_pairs(const Json& object, const std::string& origin, NamedTexts& out) {
  for (const auto& [name, text] : object.items()) {
    if (!text.is_string()) {
      throw make_error(ErrorKind::kInvalidFile, "{}: chat_template: \"{}\" is not a text", origin,
                       name);
    }
    out.emplace_back(name, text.get<std::string>());
  }
}

NamedTexts named_texts(const Json& value, const std::string& origin) {
  NamedTexts texts;
  if (value.is_object()) {
    add_pairs(value, origin, texts);
    return texts;
  }
  for (const Json& entry : value) {
    const auto is_text = [&](const char* key) {
      return entry.contains(key) && entry[key].is_string();
    };
    if (!entry.is_object()) {
      throw make_error(ErrorKind::kInvalidFile,
                       "{}: chat_template: expected a list of objects with \"name\" and "
                       "\"template\"",
                       origin);
    }
    if (is_text("name") && is_text("template")) {
      texts.emplace_back(entry["name"].get<std::string>(), entry["template"].get<std::string>());
    } else {
      add_pairs(entry, origin, texts);
    }
  }
  return texts;
}

TemplateSource choose(const NamedTexts& texts, const std::string& origin) {
  TemplateSource source;
  source.origin = origin;
  const auto find = [&](std::string_view name) {
    return std::find_if(texts.begin(), texts.end(),
                        [&](const auto& text) { return text.first == name; });
  };
  const auto standard = find(kDefault);
  const auto tool_use = find(kToolUse);
  if (tool_use != texts.end()) source.tool_use = tool_use->second;
  if (standard != texts.end()) {
    source.text = standard->second;
  } else if (tool_use != texts.end()) {
    source.text = tool_use->second;
  } else if (texts.size() == 1) {
    source.text = texts.front().second;
  } else {
    throw make_error(ErrorKind::kInvalidFile,
                     "{}: chat_template: a list of {} templates, but none is named \"{}\" or "
                     "\"{}\"",
                     origin, texts.size(), kDefault, kToolUse);
  }
  return source;
}

// "bos_token": "<s>" or {"content": "<s>"}.
void read_tokens(const Json& json, TemplateSource& source) {
  for (const char* key : {"bos_token", "eos_token", "unk_token", "pad_token"}) {
    const auto entry = json.find(key);
    if (entry == json.end()) continue;
    const Json* text = &*entry;
    if (text->is_object() && text->contains("content")) text = &(*text)["content"];
    if (text->is_string()) source.tokens.emplace_back(key, text->get<std::string>());
  }
}

// Templates of their own files: chat_template.jinja is the default one.
std::optional<TemplateSource> jinja_files(const fs::path& folder) {
  const fs::path standard = folder / "chat_template.jinja";
  const fs::path tools = folder / "additional_chat_templates" / "tool_use.jinja";
  std::error_code ignored;
  if (!fs::exists(standard, ignored)) return std::nullopt;
  TemplateSource source;
  source.text = read_text(standard);
  source.origin = standard.string();
  if (fs::exists(tools, ignored)) source.tool_use = read_text(tools);
  return source;
}

std::optional<TemplateSource> from_json_file(const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return std::nullopt;
  const Json json = read_json(file);
  const auto entry = json.find("chat_template");
  if (entry == json.end()) return std::nullopt;
  return template_from_json(*entry, file.string());
}

}  // namespace

std::optional<TemplateSource> template_from_json(const Json& value, const std::string& origin) {
  if (value.is_null()) return std::nullopt;
  if (value.is_string()) {
    TemplateSource source;
    source.text = value.get<std::string>();
    source.origin = origin;
    return source;
  }
  if (!value.is_structured()) {
    throw make_error(ErrorKind::kInvalidFile,
                     "{}: chat_template: expected a text or a list of templates, found {}", origin,
                     value.type_name());
  }
  const NamedTexts texts = named_texts(value, origin);
  if (texts.empty()) return std::nullopt;
  return choose(texts, origin);
}

TemplateSource template_from_jinja_file(const fs::path& file) {
  TemplateSource source;
  source.text = read_text(file);
  source.origin = file.string();
  return source;
}

TemplateSource template_from_argument(const std::string& argument) {
  std::vector<std::string_view> names;
  for (const KnownFormat& format : known_formats()) {
    if (format.name == argument) {
      TemplateSource source;
      source.text = std::string(format.source);
      source.origin = argument;
      return source;
    }
    names.push_back(format.name);
  }
  const bool literal =
      argument.find("{{") != std::string::npos || argument.find("{%") != std::string::npos;
  std::error_code error;
  if (!literal && fs::exists(argument, error)) {
    const fs::path file(argument);
    if (file.extension() != ".json") return template_from_jinja_file(file);
    const Json json = read_json(file);
    const auto entry = json.find("chat_template");
    std::optional<TemplateSource> source;
    if (entry != json.end()) source = template_from_json(*entry, argument);
    if (!source) {
      throw make_error(ErrorKind::kInvalidFile, "{}: no \"chat_template\" in this file", argument);
    }
    read_tokens(json, *source);
    return *source;
  }
  if (!literal) {
    throw make_error(ErrorKind::kNotFound,
                     "chat template '{}': no such file; expected a file, a template, or one of {}",
                     argument, fmt::join(names, ", "));
  }
  TemplateSource source;
  source.text = argument;
  source.origin = "the command line";
  return source;
}

std::optional<TemplateSource> template_from_folder(const fs::path& folder) {
  if (auto source = from_json_file(folder / "processor_config.json")) return source;
  if (auto source = jinja_files(folder)) return source;
  if (auto source = from_json_file(folder / "chat_template.json")) return source;
  return from_json_file(folder / "tokenizer_config.json");
}

}  // namespace mistral::text
