#include "cli/input.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include "core/error.h"
#include "text/tokenizer/utf8.h"

namespace mistral::cli {

namespace {

struct CloseFile {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};

Json parse_json(const std::string& path) {
  try {
    return Json::parse(read_text(path));
  } catch (const Json::exception& error) {
    throw make_error(ErrorKind::kInvalidFile, "{} is not JSON: {}", display_name(path),
                     error.what());
  }
}

std::vector<TokenId> token_list(const Json& json, const std::string& where) {
  std::vector<TokenId> ids;
  ids.reserve(json.size());
  for (std::size_t i = 0; i < json.size(); ++i) {
    const Json& item = json[i];
    const bool fits = item.is_number_integer() &&
                      (!item.is_number_unsigned() ||
                       item.get<std::uint64_t>() <= std::numeric_limits<TokenId>::max()) &&
                      item.get<std::int64_t>() >= 0;
    if (!fits) {
      throw make_error(ErrorKind::kInvalidFile, "{}: expected a token id at index {}, found {}",
                       where, i, item.is_structured() ? item.type_name() : item.dump());
    }
    ids.push_back(item.get<TokenId>());
  }
  return ids;
}

const Json& ids_of(const Json& json, const std::string& where) {
  if (json.is_array()) return json;
  if (json.is_object()) {
    const auto found = json.find("input_ids");
    if (found != json.end() && found->is_array()) return *found;
  }
  throw make_error(ErrorKind::kInvalidFile,
                   "{}: expected {{\"input_ids\": [...]}} or a list of lists of token ids", where);
}

}  // namespace

std::string display_name(const std::string& path) {
  return path == "-" ? "standard input" : "'" + path + "'";
}

std::string read_bytes(const std::string& path, std::size_t max_bytes) {
  std::error_code ignored;
  if (path != "-" && std::filesystem::is_directory(path, ignored)) {
    throw make_error(ErrorKind::kInvalidArgument, "{} is a folder; expected a file",
                     display_name(path));
  }
  const std::unique_ptr<std::FILE, CloseFile> file(path == "-" ? stdin
                                                               : std::fopen(path.c_str(), "rb"));
  if (file == nullptr) {
    const int code = errno;
    throw make_error(ErrorKind::kNotFound, "cannot open {}: {}", display_name(path),
                     std::strerror(code));
  }
  std::string bytes;
  char buffer[1U << 16U];
  while (const std::size_t count = std::fread(buffer, 1, sizeof buffer, file.get())) {
    bytes.append(buffer, count);
    if (bytes.size() > max_bytes) {
      throw make_error(ErrorKind::kInvalidFile, "{} is longer than {} bytes", display_name(path),
                       max_bytes);
    }
  }
  if (std::ferror(file.get()) != 0) {
    const int code = errno;
    throw make_error(ErrorKind::kInvalidFile, "reading {}: {}", display_name(path),
                     std::strerror(code));
  }
  return bytes;
}

std::string read_text(const std::string& path) {
  return valid_utf8(read_bytes(path));
}

std::string valid_utf8(std::string_view text) {
  return text::utf8::repaired(text);
}

TokenLists read_tokens(const std::string& path) {
  const std::string where = display_name(path);
  const Json json = parse_json(path);
  const Json& ids = ids_of(json, where);
  TokenLists result;
  result.is_list = !ids.empty() && (ids[0].is_array() || ids[0].is_object());
  if (!result.is_list) {
    result.lists.push_back(token_list(ids, where));
    return result;
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::string item = fmt::format("{}, list {}", where, i);
    result.lists.push_back(token_list(ids_of(ids[i], item), item));
  }
  return result;
}

ChatInput read_chat(const std::string& path) {
  const std::string where = display_name(path);
  Json json = parse_json(path);
  ChatInput chat;
  chat.extra = Json::object();
  if (json.is_array()) {
    chat.messages = std::move(json);
  } else if (json.is_object() && json.contains("messages") && json["messages"].is_array()) {
    chat.messages = std::move(json["messages"]);
    for (const char* key : {"tools", "documents", "add_generation_prompt"}) {
      if (json.contains(key)) chat.extra[key] = json[key];
    }
    if (const auto kwargs = json.find("chat_template_kwargs");
        kwargs != json.end() && kwargs->is_object()) {
      for (const auto& [key, value] : kwargs->items()) chat.extra[key] = value;
    }
  } else {
    throw make_error(ErrorKind::kInvalidFile,
                     "{}: expected a list of messages or an object with \"messages\"", where);
  }
  if (chat.messages.empty()) {
    throw make_error(ErrorKind::kInvalidFile, "{}: the list of messages is empty", where);
  }
  for (std::size_t i = 0; i < chat.messages.size(); ++i) {
    const Json& message = chat.messages[i];
    if (!message.is_object() || !message.contains("role") || !message["role"].is_string()) {
      throw make_error(ErrorKind::kInvalidFile, "{}: message {} has no \"role\"", where, i);
    }
  }
  return chat;
}

void check_output_path(const std::filesystem::path& path) {
  std::error_code ignored;
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  if (!std::filesystem::is_directory(folder, ignored)) {
    throw make_error(ErrorKind::kNotFound, "cannot write '{}': no folder '{}'", path.string(),
                     folder.string());
  }
  if (std::filesystem::is_directory(path, ignored)) {
    throw make_error(ErrorKind::kInvalidArgument, "cannot write '{}': it is a folder",
                     path.string());
  }
}

}  // namespace mistral::cli
