// `tokenize`: how the model sees a text or a chat. No weights are read.
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/chat_options.h"
#include "cli/command.h"
#include "cli/input.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/text_parts.h"
#include "core/error.h"
#include "engine/chat.h"

namespace mistral::cli {

namespace {

class TokenizeCommand final : public Command {
 public:
  void add_options(CLI::App& app) override {
    selector_.add_options(app, "TEXT", "the text");
    app.add_option("-p,--prompt", prompt_, "the text")->type_name("TEXT");
    app.add_option("--text", text_, "the file of the text; - is standard input, the default")
        ->type_name("FILE");
    app.add_option("--chat", chat_, "OpenAI messages (JSON): print the rendered prompt")
        ->type_name("FILE");
    app.add_flag("--no-special", no_special_, "add no special tokens (BOS, EOS) to a text");
    app.add_flag("--json", json_,
                 "print JSON: ids, pieces (as the vocabulary writes them), text "
                 "(decoded; with --chat the rendered prompt)");
    source_.add_options(app);
    chat_options_.add_options(app);
  }

  int execute() override {
    const std::vector<std::string> words = selector_.rest();
    const std::size_t inputs = words.size() + std::size_t{prompt_.has_value()} +
                               std::size_t{!text_.empty()} + std::size_t{!chat_.empty()};
    if (inputs > 1) throw UsageError("expected one of TEXT, --prompt, --text and --chat");
    const models::ModelPath path = selector_.locate();
    if (!chat_.empty()) return show_chat(path);
    if (chat_options_.given()) throw UsageError("options of the chat template need --chat");

    std::string text;
    if (prompt_) {
      text = valid_utf8(*prompt_);
    } else if (!words.empty()) {
      text = valid_utf8(words.front());
    } else {
      text = read_text(text_.empty() ? "-" : text_);
    }
    const models::LoadedModel model = load_text_parts(path, text_options());
    const std::vector<TokenId> ids = no_special_
                                         ? model.tokenizer->encode(text, {.add_special = false})
                                         : engine::prepare_text(model, text);
    if (json_) {
      show_json(*model.tokenizer, ids, model.tokenizer->decode(ids, false));
    } else {
      print(fmt::format("{}\n", fmt::join(ids, " ")));
    }
    return 0;
  }

 private:
  int show_chat(const models::ModelPath& path) const {
    ChatInput chat = read_chat(chat_);
    chat_options_.apply(chat.extra);
    const models::LoadedModel model = load_text_parts(path, text_options());
    const engine::PreparedPrompt prompt = engine::prepare_chat(model, chat.messages, chat.extra);
    if (json_) {
      show_json(*model.tokenizer, prompt.ids, prompt.text);
    } else {
      print(output_is_terminal() ? without_controls(prompt.text) + "\n" : prompt.text);
    }
    return 0;
  }

  [[nodiscard]] models::TextOptions text_options() const {
    return source_.resolve(selector_.text_options());
  }

  static void show_json(const text::Tokenizer& tokenizer, const std::vector<TokenId>& ids,
                        const std::string& text) {
    Json json;
    json["ids"] = ids;
    json["pieces"] = Json::array();
    for (const TokenId id : ids) json["pieces"].push_back(std::string(tokenizer.token(id)));
    json["text"] = text;
    print(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  }

  ModelSelector selector_;
  TextSourceOptions source_;
  ChatOptions chat_options_;
  std::optional<std::string> prompt_;
  std::string text_;
  std::string chat_;
  bool no_special_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_tokenize() {
  return std::make_unique<TokenizeCommand>();
}

}  // namespace mistral::cli
