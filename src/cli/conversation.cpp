#include "cli/conversation.h"

#include <utility>

namespace mistral::cli {

namespace {

constexpr std::string_view kFence = "\"\"\"";
constexpr std::string_view kBlank = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

}  // namespace

Json Conversation::messages() const {
  Json all = Json::array();
  if (!system_.empty()) all.push_back({{"role", "system"}, {"content", system_}});
  for (const Json& message : messages_) all.push_back(message);
  return all;
}

void Conversation::add(const char* role, std::string text) {
  Json message = Json::object();
  message["role"] = role;
  message["content"] = std::move(text);
  messages_.push_back(std::move(message));
}

void Conversation::add_assistant(std::string text, std::string reasoning) {
  add("assistant", std::move(text));
  if (!reasoning.empty()) messages_.back()["reasoning_content"] = std::move(reasoning);
}

std::optional<std::string> LineJoiner::push(std::string_view line) {
  if (!open() && line.starts_with(kFence)) {
    block_ = true;
    line.remove_prefix(kFence.size());
    if (line.empty()) return std::nullopt;
  }
  if (block_) {
    const bool closes = line.ends_with(kFence);
    if (closes) line.remove_suffix(kFence.size());
    // The line breaks next to the fences belong to the fences.
    if (!text_.empty() && !(closes && line.empty())) text_ += '\n';
    text_ += line;
    if (!closes) return std::nullopt;
    return finish();
  }
  if (continued_) text_ += '\n';
  continued_ = line.ends_with('\\');
  if (continued_) line.remove_suffix(1);
  text_ += line;
  if (continued_) return std::nullopt;
  return finish();
}

std::string LineJoiner::finish() {
  std::string text = std::move(text_);
  reset();
  return text;
}

void LineJoiner::reset() {
  text_.clear();
  continued_ = false;
  block_ = false;
}

ReplInput parse_input(std::string_view input) {
  const std::string_view text = trimmed(input);
  if (text.empty()) return {};
  if (text.front() != '\\') return {ReplInput::Kind::kMessage, std::string(text)};
  const std::size_t end = std::min(text.find_first_of(kBlank), text.size());
  const std::string_view name = text.substr(0, end);
  const std::string_view argument = trimmed(text.substr(end));
  if (name == "\\system") return {ReplInput::Kind::kSystem, std::string(argument)};
  if (argument.empty()) {
    if (name == "\\help") return {ReplInput::Kind::kHelp, ""};
    if (name == "\\clear") return {ReplInput::Kind::kClear, ""};
    if (name == "\\exit") return {ReplInput::Kind::kExit, ""};
  }
  return {ReplInput::Kind::kUnknown, std::string(name)};
}

}  // namespace mistral::cli
