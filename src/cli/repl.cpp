#include "cli/repl.h"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "cli/answer.h"
#include "cli/conversation.h"
#include "cli/input.h"
#include "cli/line_editor.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/log.h"
#include "engine/chat.h"

namespace mistral::cli {

namespace {

constexpr const char* kPrompt = "> ";
constexpr const char* kContinuationPrompt = ". ";

constexpr std::string_view kHelp =
    "  \\help          this text\n"
    "  \\system TEXT   set the system prompt; without TEXT: remove it\n"
    "  \\clear         forget the conversation, keep the system prompt\n"
    "  \\exit          leave (also Ctrl-D, or Ctrl-C on an empty line)\n"
    "  \\ at the end of a line continues it on the next; \"\"\" opens and closes several lines.\n"
    "  Ctrl-C stops an answer.\n";

class Repl {
 public:
  Repl(Session& session, const ReplOptions& options)
      : session_(session), options_(options), editor_(default_history_file()) {
    conversation_.set_system(options.system);
  }

  int run() {
    print_error(fmt::format("{} ({}), context of {} tokens\n", one_line(session_.model().name),
                            one_line(session_.model().architecture), session_.context_length()));
    if (!options_.use_template) {
      print_error("Each input is continued as it stands, without a chat template.\n");
    }
    print_error(kHelp);
    while (std::optional<std::string> input = read_input()) {
      const ReplInput parsed = parse_input(*input);
      if (parsed.kind == ReplInput::Kind::kExit) return 0;
      if (parsed.kind != ReplInput::Kind::kEmpty) editor_.remember(*input);
      handle(parsed);
    }
    print_error("\n");
    return 0;
  }

 private:
  // None: the user leaves.
  std::optional<std::string> read_input() {
    LineJoiner joiner;
    while (true) {
      const Line line = editor_.read(joiner.open() ? kContinuationPrompt : kPrompt);
      if (line.status == LineStatus::kLine) {
        if (std::optional<std::string> input = joiner.push(line.text)) return valid_utf8(*input);
      } else if (joiner.open() && line.status == LineStatus::kInterrupt) {
        joiner.reset();
        print_error("\n");
      } else {
        return std::nullopt;
      }
    }
  }

  void handle(const ReplInput& input) {
    switch (input.kind) {
      case ReplInput::Kind::kHelp:
        print_error(kHelp);
        break;
      case ReplInput::Kind::kClear:
        conversation_.clear();
        print_error("The conversation is forgotten.\n");
        break;
      case ReplInput::Kind::kSystem:
        set_system(input.text);
        break;
      case ReplInput::Kind::kUnknown:
        print_error(fmt::format("error: unknown command {}; \\help lists the commands\n",
                                without_controls(input.text)));
        break;
      case ReplInput::Kind::kMessage:
        answer(input.text);
        break;
      case ReplInput::Kind::kExit:
      case ReplInput::Kind::kEmpty:
        break;
    }
  }

  void set_system(const std::string& text) {
    if (!options_.use_template) {
      print_error("error: without a chat template there is no system prompt\n");
      return;
    }
    conversation_.set_system(text);
    print_error(text.empty() ? "The system prompt is removed.\n" : "The system prompt is set.\n");
  }

  std::vector<TokenId> prepare(const std::string& message,
                               std::optional<text::ReasoningStyle>& style) {
    if (!options_.use_template) return engine::prepare_text(session_.model(), message);
    engine::PreparedPrompt prompt =
        engine::prepare_chat(session_.model(), conversation_.messages(), options_.variables);
    style = engine::reasoning_style(session_.model(), prompt);
    return std::move(prompt.ids);
  }

  void answer(const std::string& message) {
    conversation_.add_user(message);
    try {
      std::optional<text::ReasoningStyle> style;
      std::vector<TokenId> prompt = prepare(message, style);
      engine::Request request = session_.request(std::move(prompt), options_.sampling);
      Answer answer = stream_answer(session_.engine(), std::move(request), style);
      print("\n");
      flush_output();
      report(answer);
      conversation_.add_assistant(std::move(answer.text), std::move(answer.reasoning));
    } catch (const Error& error) {
      // A closed standard output comes back with the next write; then there is no use in going on.
      conversation_.drop_last();
      print_error(fmt::format("error: {}\n", one_line(error.what())));
      flush_output();
    }
  }

  void report(const Answer& answer) const {
    const Usage& usage = answer.finish.usage;
    const double seconds = usage.prompt_seconds + usage.completion_seconds;
    if (options_.throughput && seconds > 0) {
      log::info("Average T/s: {:.2f}", static_cast<double>(usage.completion_tokens) / seconds);
    }
    std::string note;
    if (answer.finish.reason == FinishReason::kLength) note = "; cut: length limit";
    if (answer.finish.reason == FinishReason::kCancelled) note = "; stopped";
    print_error(fmt::format("[{}{}]\n", describe_speed(usage), note));
  }

  Session& session_;
  const ReplOptions& options_;
  LineEditor editor_;
  Conversation conversation_;
};

}  // namespace

int run_repl(Session& session, const ReplOptions& options) {
  return Repl(session, options).run();
}

}  // namespace mistral::cli
