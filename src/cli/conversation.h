// What an interactive chat remembers, and how typed lines become input. Nothing here touches the
// terminal.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"

namespace mistral::cli {

class Conversation {
 public:
  // Replaces the system prompt; an empty text removes it. The messages stay.
  void set_system(std::string text) { system_ = std::move(text); }
  [[nodiscard]] const std::string& system() const { return system_; }
  void clear() { messages_ = Json::array(); }  // the system prompt stays
  void add_user(std::string text) { add("user", std::move(text)); }
  // Templates take `reasoning` from the field reasoning_content, where they want it at all.
  void add_assistant(std::string text, std::string reasoning = "");
  void drop_last() { messages_.erase(messages_.size() - 1); }

  // The messages as a chat template takes them, the system prompt first.
  [[nodiscard]] Json messages() const;

 private:
  void add(const char* role, std::string text);

  std::string system_;
  Json messages_ = Json::array();
};

// Joins lines to one input: a backslash at the end of a line continues it on the next; """ at the
// start of a line opens a block that """ at the end of a line closes.
class LineJoiner {
 public:
  // The whole input once `line` completes it.
  [[nodiscard]] std::optional<std::string> push(std::string_view line);
  [[nodiscard]] bool open() const { return continued_ || block_; }
  // The end of input: what has come so far.
  [[nodiscard]] std::string finish();
  void reset();

 private:
  std::string text_;
  bool continued_ = false;
  bool block_ = false;
};

struct ReplInput {
  enum class Kind { kMessage, kHelp, kSystem, kClear, kExit, kUnknown, kEmpty };
  Kind kind = Kind::kEmpty;
  std::string text;  // of the message or the system prompt; the unknown command's name
};
// A command begins with a backslash at the start of the input.
[[nodiscard]] ReplInput parse_input(std::string_view input);

}  // namespace mistral::cli
