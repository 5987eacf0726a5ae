#include "cli/interactive.h"

#include <iostream>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "cli/answer.h"
#include "cli/input.h"
#include "cli/line_editor.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/log.h"
#include "engine/chat.h"

namespace mistral::cli {

namespace {

constexpr int kExitError = 1;
constexpr const char* kPrompt = "> ";

constexpr std::string_view kHelp =
    "Welcome to interactive mode! Because this model is a text model, you can enter prompts and "
    "chat with the model.\n\n"
    "Commands:\n"
    "- `\\help`: Display this message.\n"
    "- `\\exit`: Quit interactive mode.\n"
    "- `\\system <system message here>`:\n"
    "    Add a system message to the chat without running the model.\n"
    "    Ex: `\\system Always respond as a pirate.`\n";

SamplingParams sampling() {
  SamplingParams params;
  params.temperature = 0.1;
  params.top_k = 32;
  params.top_p = 0.1;
  params.min_p = 0.05;
  params.frequency_penalty = 0.1;
  params.presence_penalty = 0.1;
  params.max_tokens = 4096;
  return params;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

class Interactive {
 public:
  Interactive(Session& session, bool throughput) : session_(session), throughput_(throughput) {
    if (input_is_terminal()) editor_.emplace(default_history_file());
  }

  int run() {
    const SamplingParams params = sampling();
    log::info(
        "temperature {}, top_k {}, top_p {}, min_p {}, frequency penalty {}, presence penalty {}, "
        "at most {} tokens",
        *params.temperature, *params.top_k, *params.top_p, *params.min_p, *params.frequency_penalty,
        *params.presence_penalty, *params.max_tokens);
    const std::string line(20, '=');
    print(fmt::format("{}\n\n{}{}\n", line, kHelp, line));
    while (const std::optional<std::string> input = read_line()) {
      const std::string text(trimmed(valid_utf8(*input)));
      if (text.empty()) continue;
      if (editor_) editor_->remember(text);
      if (text == "\\exit") return 0;
      if (text == "\\help") {
        print(fmt::format("{}\n\n{}{}\n", line, kHelp, line));
      } else if (text == "\\system" || text.starts_with("\\system ")) {
        add_system(trimmed(std::string_view(text).substr(std::string_view("\\system").size())));
      } else if (!answer(text)) {
        return kExitError;
      }
    }
    print("\n");
    return 0;
  }

 private:
  // None: the end of input, or Ctrl-C.
  std::optional<std::string> read_line() {
    if (editor_) {
      Line line = editor_->read(kPrompt);
      if (line.status != LineStatus::kLine) return std::nullopt;
      return std::move(line.text);
    }
    print(kPrompt);
    flush_output();
    std::string line;
    if (!std::getline(std::cin, line)) return std::nullopt;
    return line;
  }

  void add_system(std::string_view text) {
    if (text.empty()) {
      print("Error: expected a message behind \\system, as in `\\system Always answer briefly.`\n");
      return;
    }
    messages_.push_back({{"role", "system"}, {"content", text}});
    log::info("Set system message to `{}`.", one_line(text));
  }

  bool answer(const std::string& text) {
    messages_.push_back({{"role", "user"}, {"content", text}});
    try {
      engine::PreparedPrompt prompt = engine::prepare_chat(session_.model(), messages_);
      const text::ReasoningStyle style = engine::reasoning_style(session_.model(), prompt);
      engine::Request request;
      request.prompt = std::move(prompt.ids);
      request.sampling = sampling();
      Answer answer = stream_answer(session_.engine(), std::move(request), style);
      if (answer.finish.reason == FinishReason::kLength) print("...");
      print("\n");
      flush_output();
      const Usage& usage = answer.finish.usage;
      if (throughput_ && usage.completion_seconds > 0) {
        log::info("Average T/s: {:.2f}",
                  static_cast<double>(usage.completion_tokens - 1) / usage.completion_seconds);
      }
      messages_.push_back({{"role", "assistant"}, {"content", std::move(answer.text)}});
      return true;
    } catch (const Error& error) {
      log::error("{}", one_line(error.what()));
      return false;
    }
  }

  Session& session_;
  bool throughput_;
  std::optional<LineEditor> editor_;
  Json messages_ = Json::array();
};

}  // namespace

int run_interactive(Session& session, bool throughput) {
  return Interactive(session, throughput).run();
}

}  // namespace mistral::cli
