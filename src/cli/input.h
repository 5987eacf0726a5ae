// Input files of the commands. Every function throws Error that names the file and what was
// expected in it; "-" is standard input.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "mistral/types.h"

namespace mistral::cli {

// Longer files are refused while they are read.
inline constexpr std::size_t kMaxFileBytes = std::size_t{1} << 30U;
[[nodiscard]] std::string read_bytes(const std::string& path,
                                     std::size_t max_bytes = kMaxFileBytes);
// How messages call the file: its path in quotes, or "standard input".
[[nodiscard]] std::string display_name(const std::string& path);
// As read_bytes(), with each invalid UTF-8 sequence replaced by U+FFFD.
[[nodiscard]] std::string read_text(const std::string& path);
[[nodiscard]] std::string valid_utf8(std::string_view text);

struct TokenLists {
  std::vector<std::vector<TokenId>> lists;
  bool is_list = false;  // the file holds a list of lists, even if of one
};
// {"input_ids": IDS}, IDS or [{"input_ids": […]}, …], where IDS is a list of ids or of such lists.
[[nodiscard]] TokenLists read_tokens(const std::string& path);

struct ChatInput {
  Json messages;  // a list of objects
  Json extra;     // further variables of the template: tools, documents, …
};
// A list of messages, or a chat completion request of the OpenAI API: the fields that a template
// knows are handed to it, as are those in "chat_template_kwargs".
[[nodiscard]] ChatInput read_chat(const std::string& path);

// Refuses a path whose folder does not exist or that is a folder, before anything is computed.
void check_output_path(const std::filesystem::path& path);

}  // namespace mistral::cli
