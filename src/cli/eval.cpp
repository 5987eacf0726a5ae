// `eval`: the numbers behind the answers, for checks from outside. Its options and outputs are a
// stable contract (README.md).
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/chat_options.h"
#include "cli/command.h"
#include "cli/constraint_options.h"
#include "cli/input.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/perplexity.h"
#include "cli/session.h"
#include "core/error.h"
#include "engine/chat.h"
#include "formats/safetensors.h"

namespace mistral::cli {

namespace {

constexpr std::int64_t kPerplexityWindow = 512;
constexpr std::size_t kMaxConcurrent = 256;

// One prompt on its way through the engine.
struct Evaluation {
  std::vector<TokenId> input;
  // [input, vocab] when asked for; shared with the engine, which may still write to it while a
  // failed evaluation is being taken down.
  std::shared_ptr<std::vector<float>> logits = std::make_shared<std::vector<float>>();
  std::vector<TokenId> greedy;
  std::optional<engine::RequestHandle> handle;
};

// Owns what the written tensors borrow.
class TensorFile {
 public:
  void add_ids(const std::string& name, const std::vector<TokenId>& ids) {
    const std::vector<std::int64_t>& wide = ids_.emplace_back(ids.begin(), ids.end());
    add(name, DType::kI64, {{static_cast<std::int64_t>(wide.size())}},
        std::as_bytes(std::span(wide)));
  }
  void add_rows(const std::string& name, std::int64_t columns, std::span<const float> values) {
    add(name, DType::kF32, {{static_cast<std::int64_t>(values.size()) / columns, columns}},
        std::as_bytes(values));
  }
  void write(const std::string& path) const { formats::write_safetensors(path, tensors_); }

 private:
  void add(const std::string& name, DType dtype, Shape shape, std::span<const std::byte> data) {
    tensors_.push_back({name, {dtype, std::move(shape), data}});
  }

  std::vector<std::vector<std::int64_t>> ids_;
  std::vector<formats::NamedTensor> tensors_;
};

class EvalCommand final : public Command {
 public:
  void add_options(CLI::App& app) override {
    selector_.add_options(app);
    selector_.add_draft_options(app);
    const std::string input = "Input (one of these; - is standard input)";
    app.add_option("--tokens", tokens_,
                   "JSON {\"input_ids\": [...]}, or a list of lists, which run together")
        ->type_name("FILE")
        ->group(input);
    app.add_option("--text", text_, "text, tokenised with special tokens")
        ->type_name("FILE")
        ->group(input);
    app.add_option("--chat", chat_, "OpenAI messages (JSON), rendered by the chat template")
        ->type_name("FILE")
        ->group(input);
    const std::string output = "Output";
    app.add_option("--logits", logits_,
                   "write input_ids [T] i64 and logits [T,V] f32 to this safetensors file; for a "
                   "list the names end in .0, .1, ...")
        ->type_name("FILE")
        ->group(output);
    app.add_option("--greedy", greedy_,
                   "add greedy_ids [N] i64, end tokens ignored; without --logits as JSON lines "
                   "(default without --logits and --perplexity: 1)")
        ->check(CLI::Range(1, 1 << 24))
        ->type_name("N")
        ->group(output);
    app.add_flag("--perplexity", perplexity_,
                 "print one JSON line: perplexity over the second halves of full windows of --ctx "
                 "tokens (default 512), and the number of tokens scored")
        ->group(output);
    source_.add_options(app);
    chat_options_.add_options(app);
    constraint_.add_options(app);
    runtime_.add_options(app);
    add_context_option(app, context_,
                       "longest sequence (default: the model's); with --perplexity the window");
  }

  int execute() override {
    check_usage();
    if (!logits_.empty()) check_output_path(logits_);
    constraint_read_ = constraint_.read();
    if (perplexity_ && constraint_read_) {
      throw UsageError("--perplexity does not go with a constraint");
    }
    const models::ModelPath path = selector_.locate();
    runtime_.take_over(selector_);
    if (perplexity_) return run_perplexity(path);

    TokenLists input;
    if (!tokens_.empty()) input = read_tokens(tokens_);
    engine::EngineOptions engine_options = runtime_.engine_options(
        static_cast<std::int64_t>(std::min(input.lists.size(), kMaxConcurrent)));
    engine_options.max_queued =
        std::max(engine_options.max_queued, static_cast<std::int32_t>(input.lists.size()));
    const Document document = read_document();
    if (!logits_.empty()) runtime_.expect_all_logits();
    Session session(path, runtime_, context_, engine_options, text_options(), selector_.draft());
    if (tokens_.empty()) input.lists.push_back(tokenize(session, document));
    write_results(evaluate(session, std::move(input.lists)), input.is_list, session.vocab_size());
    return 0;
  }

 private:
  // What --text or --chat names, read before the model so that a wrong name is told at once.
  struct Document {
    std::string text;
    ChatInput chat;
  };

  void check_usage() const {
    (void)selector_.rest();
    const int inputs = int{!tokens_.empty()} + int{!text_.empty()} + int{!chat_.empty()};
    if (inputs != 1) throw UsageError("expected exactly one of --tokens, --text and --chat");
    if (perplexity_ && (!logits_.empty() || greedy_ > 0)) {
      throw UsageError("--perplexity does not go with --logits and --greedy");
    }
    if (chat_.empty() && chat_options_.given()) {
      throw UsageError("options of the chat template need --chat");
    }
    if (perplexity_ && !chat_.empty()) throw UsageError("--perplexity needs --text or --tokens");
  }

  [[nodiscard]] models::TextOptions text_options() const {
    return source_.resolve(selector_.text_options());
  }

  [[nodiscard]] Document read_document() const {
    Document document;
    if (!text_.empty()) document.text = read_text(text_);
    if (!chat_.empty()) {
      document.chat = read_chat(chat_);
      chat_options_.apply(document.chat.extra);
    }
    return document;
  }

  [[nodiscard]] std::vector<TokenId> tokenize(const Session& session,
                                              const Document& document) const {
    (void)session.tokenizer();
    if (!chat_.empty()) {
      return engine::prepare_chat(session.model(), document.chat.messages, document.chat.extra).ids;
    }
    return engine::prepare_text(session.model(), document.text);
  }

  int run_perplexity(const models::ModelPath& path) {
    TokenLists input;
    if (!tokens_.empty()) input = read_tokens(tokens_);
    if (input.is_list) {
      throw make_error(ErrorKind::kInvalidArgument, "--perplexity takes one list of tokens");
    }
    const Document document = read_document();
    runtime_.expect_all_logits();
    Session session(path, runtime_, 0, runtime_.engine_options(), text_options());
    const std::vector<TokenId> tokens =
        tokens_.empty() ? tokenize(session, document) : std::move(input.lists.front());
    const Perplexity result =
        measure_perplexity(session, tokens, context_ > 0 ? context_ : kPerplexityWindow);
    Json line;
    line["perplexity"] = result.perplexity;
    line["tokens"] = result.tokens;
    print(line.dump() + "\n");
    return 0;
  }

  std::vector<Evaluation> evaluate(Session& session, std::vector<std::vector<TokenId>> lists) {
    const std::int64_t greedy = greedy_ > 0 || !logits_.empty() ? greedy_ : 1;
    std::vector<Evaluation> evaluations(lists.size());
    for (std::size_t i = 0; i < lists.size(); ++i) {
      Evaluation& evaluation = evaluations[i];
      evaluation.input = std::move(lists[i]);
      SamplingParams sampling;
      sampling.temperature = 0.0;
      sampling.ignore_eos = true;
      sampling.max_tokens = std::max<std::int64_t>(greedy, 1);
      sampling.constraint = constraint_read_;
      engine::Request request = session.request(evaluation.input, sampling);
      // A prompt that is too long is refused below, before memory is taken for it.
      const auto length = static_cast<std::int64_t>(evaluation.input.size());
      if (!logits_.empty() && length <= session.context_length()) {
        const auto vocab = static_cast<std::size_t>(session.vocab_size());
        evaluation.logits->resize(evaluation.input.size() * vocab);
        request.on_prompt_logits = [rows = evaluation.logits, vocab](std::int64_t position,
                                                                     std::span<const float> row) {
          std::ranges::copy(row, rows->begin() + position * static_cast<std::ptrdiff_t>(vocab));
        };
      }
      try {
        evaluation.handle = session.engine().submit(std::move(request));
      } catch (Error& error) {
        if (lists.size() > 1) error.add_context(fmt::format("list {}", i));
        throw;
      }
    }
    for (Evaluation& evaluation : evaluations) {
      collect(evaluation, greedy, session.context_length(), constraint_read_.has_value());
    }
    return evaluations;
  }

  static void collect(Evaluation& evaluation, std::int64_t greedy, std::int64_t context,
                      bool constrained) {
    while (true) {
      engine::Event event = evaluation.handle->next();
      if (const auto* token = std::get_if<engine::TokenEvent>(&event)) {
        evaluation.greedy.push_back(token->token);
        continue;
      }
      const auto& finish = std::get<engine::FinishEvent>(event);
      if (finish.reason == FinishReason::kError) {
        throw make_error(ErrorKind::kInternal, "the model failed: {}", finish.error);
      }
      break;
    }
    // A constraint may end the answer.
    if (!constrained && static_cast<std::int64_t>(evaluation.greedy.size()) < greedy) {
      throw make_error(ErrorKind::kInvalidArgument,
                       "{} prompt tokens and {} greedy tokens do not fit the context of {} tokens",
                       evaluation.input.size(), greedy, context);
    }
  }

  void write_results(const std::vector<Evaluation>& evaluations, bool is_list,
                     std::int64_t vocab) const {
    if (logits_.empty()) {
      for (const Evaluation& evaluation : evaluations) {
        Json line;
        line["greedy_ids"] = evaluation.greedy;
        print(line.dump() + "\n");
      }
      return;
    }
    TensorFile file;
    for (std::size_t i = 0; i < evaluations.size(); ++i) {
      const std::string suffix = is_list ? fmt::format(".{}", i) : "";
      file.add_ids("input_ids" + suffix, evaluations[i].input);
      file.add_rows("logits" + suffix, vocab, *evaluations[i].logits);
      if (greedy_ > 0) file.add_ids("greedy_ids" + suffix, evaluations[i].greedy);
    }
    file.write(logits_);
  }

  ModelSelector selector_;
  TextSourceOptions source_;
  ChatOptions chat_options_;
  RuntimeOptions runtime_;
  ConstraintOptions constraint_;
  std::optional<Constraint> constraint_read_;
  std::string tokens_;
  std::string text_;
  std::string chat_;
  std::string logits_;
  std::int64_t greedy_ = 0;
  bool perplexity_ = false;
  std::int64_t context_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_eval() {
  return std::make_unique<EvalCommand>();
}

}  // namespace mistral::cli
