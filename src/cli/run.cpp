// `run`: chat in a terminal, or the answer to one prompt.
#include <optional>
#include <string>

#include <fmt/format.h>

#include "cli/answer.h"
#include "cli/chat_options.h"
#include "cli/command.h"
#include "cli/constraint_options.h"
#include "cli/conversation.h"
#include "cli/input.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/repl.h"
#include "cli/sampling_options.h"
#include "cli/session.h"
#include "core/error.h"
#include "core/log.h"
#include "engine/chat.h"

namespace mistral::cli {

namespace {

constexpr int kExitInterrupted = 130;

class RunCommand final : public Command {
 public:
  void add_options(CLI::App& app) override {
    selector_.add_options(app);
    selector_.add_draft_options(app);
    app.add_option("-p,--prompt", prompt_,
                   "answer this and leave; without it a standard input that is not a terminal is "
                   "the prompt, else a chat begins")
        ->type_name("TEXT");
    app.add_option("--system", system_, "system prompt")->type_name("TEXT");
    app.add_flag("--raw", raw_, "continue the text as it stands, without the chat template");
    source_.add_options(app);
    chat_options_.add_options(app);
    sampling_.add_options(app);
    constraint_.add_options(app);
    runtime_.add_options(app);
    add_context_option(app, context_, "longest conversation (default: the model's)");
  }

  int execute() override {
    const models::ModelPath path = selector_.locate();
    runtime_.take_over(selector_);
    std::optional<std::string> prompt;
    if (prompt_) {
      prompt = valid_utf8(*prompt_);
    } else if (!input_is_terminal()) {
      prompt = read_text("-");
      if (prompt->ends_with('\n')) prompt->pop_back();  // what `echo` adds
    }
    if (prompt && prompt->empty()) {
      throw make_error(ErrorKind::kInvalidArgument, "the prompt is empty");
    }
    std::optional<Constraint> constraint = constraint_.read();
    Json variables = Json::object();
    chat_options_.apply(variables);
    Session session(path, runtime_, context_, runtime_.engine_options(),
                    source_.resolve(selector_.text_options()), selector_.draft());
    (void)session.tokenizer();
    const bool use_template = decide_template(session.model());
    SamplingParams sampling = sampling_.resolve(session.model().default_sampling);
    sampling.constraint = std::move(constraint);
    if (prompt) return answer_once(session, *prompt, use_template, variables, sampling);
    return run_repl(session, {.system = valid_utf8(system_),
                              .use_template = use_template,
                              .variables = std::move(variables),
                              .sampling = sampling,
                              .throughput = runtime_.throughput()});
  }

 private:
  [[nodiscard]] bool decide_template(const models::LoadedModel& model) const {
    if (raw_) {
      if (!system_.empty()) throw UsageError("--system does not go with --raw");
      if (chat_options_.given() || source_.names_template()) {
        throw UsageError("options of the chat template do not go with --raw");
      }
      return false;
    }
    if (model.chat_template) return true;
    if (!model.chat_template_problem.empty()) {
      throw make_error(ErrorKind::kUnsupported, "{} (--raw continues text without it)",
                       model.chat_template_problem);
    }
    if (!system_.empty()) {
      throw make_error(ErrorKind::kInvalidArgument,
                       "--system: the model has no chat template, so there is no place for a "
                       "system prompt (--chat-template gives it one)");
    }
    if (chat_options_.given()) {
      throw make_error(ErrorKind::kInvalidArgument,
                       "the model has no chat template, so there is no place for tools and other "
                       "variables of one (--chat-template gives it one)");
    }
    return false;
  }

  [[nodiscard]] int answer_once(Session& session, const std::string& prompt, bool use_template,
                                const Json& variables, const SamplingParams& sampling) const {
    std::vector<TokenId> ids;
    std::optional<text::ReasoningStyle> style;
    if (use_template) {
      Conversation conversation;
      conversation.set_system(valid_utf8(system_));
      conversation.add_user(prompt);
      engine::PreparedPrompt prepared =
          engine::prepare_chat(session.model(), conversation.messages(), variables);
      style = engine::reasoning_style(session.model(), prepared);
      ids = std::move(prepared.ids);
    } else {
      ids = engine::prepare_text(session.model(), prompt);
    }
    const Answer answer =
        stream_answer(session.engine(), session.request(std::move(ids), sampling), style);
    print("\n");
    flush_output();
    print_error(describe_speed(answer.finish.usage) + "\n");
    return answer.finish.reason == FinishReason::kCancelled ? kExitInterrupted : 0;
  }

  ModelSelector selector_;
  TextSourceOptions source_;
  ChatOptions chat_options_;
  RuntimeOptions runtime_;
  SamplingOptions sampling_;
  ConstraintOptions constraint_;
  std::optional<std::string> prompt_;
  std::string system_;
  bool raw_ = false;
  std::int64_t context_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_run() {
  return std::make_unique<RunCommand>();
}

}  // namespace mistral::cli
