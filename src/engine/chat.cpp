#include "engine/chat.h"

#include <optional>
#include <utility>

#include "core/error.h"

namespace mistral::engine {
namespace {

const text::Tokenizer& tokenizer_of(const models::LoadedModel& model) {
  if (model.tokenizer) return *model.tokenizer;
  throw make_error(ErrorKind::kUnsupported, "model {} has no tokenizer: {}", model.name,
                   model.tokenizer_problem.empty() ? "none was found beside its weights"
                                                   : model.tokenizer_problem);
}

const text::ChatTemplate& template_of(const models::LoadedModel& model) {
  if (model.chat_template) return *model.chat_template;
  if (!model.chat_template_problem.empty()) {
    throw make_error(ErrorKind::kUnsupported, "the chat template of model {} is not usable: {}",
                     model.name, model.chat_template_problem);
  }
  throw make_error(ErrorKind::kUnsupported,
                   "model {} has no chat template: it continues text, but does not chat",
                   model.name);
}

void check_messages(const Json& messages) {
  if (!messages.is_array() || messages.empty()) {
    throw Error(ErrorKind::kInvalidArgument,
                "messages: expected a list of at least one message with role and content");
  }
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Json& message = messages[i];
    const auto role = message.is_object() ? message.find("role") : message.end();
    if (!message.is_object() || role == message.end() || !role->is_string()) {
      throw make_error(ErrorKind::kInvalidArgument,
                       "messages[{}]: expected an object with the string 'role'", i);
    }
  }
}

std::string special_text(const text::Tokenizer& tokenizer, std::optional<TokenId> id) {
  return id ? std::string(tokenizer.token(*id)) : std::string();
}

}  // namespace

PreparedPrompt prepare_chat(const models::LoadedModel& model, const Json& messages,
                            const Json& extra) {
  const text::ChatTemplate& chat_template = template_of(model);
  const text::Tokenizer& tokenizer = tokenizer_of(model);
  check_messages(messages);

  Json context = Json::object();
  context["messages"] = messages;
  context["add_generation_prompt"] = true;
  const std::pair<const char*, std::optional<TokenId>> special[] = {
      {"bos_token", tokenizer.bos()},
      {"eos_token", tokenizer.eos()},
      {"unk_token", tokenizer.unk()},
      {"pad_token", tokenizer.pad()},
  };
  for (const auto& [name, id] : special) {
    if (id) context[name] = special_text(tokenizer, id);
  }
  if (!extra.is_null()) {
    if (!extra.is_object()) {
      throw Error(ErrorKind::kInvalidArgument, "template variables: expected an object");
    }
    for (const auto& [key, value] : extra.items()) context[key] = value;
  }

  PreparedPrompt prompt;
  try {
    prompt.text = chat_template.render(context);
  } catch (Error& error) {
    error.add_context("chat template of model " + model.name);
    throw;
  }

  // A template that speaks of the beginning-of-text token decides alone whether there is one.
  const std::string bos = special_text(tokenizer, tokenizer.bos());
  const bool template_decides = chat_template.source().find("bos_token") != std::string::npos ||
                                (!bos.empty() && prompt.text.starts_with(bos));
  prompt.ids =
      tokenizer.encode(prompt.text, {.add_special = !template_decides, .parse_special = true});
  // Tokenizers that close a text with the end token would end the answer before it begins.
  if (!template_decides && tokenizer.adds_eos() && !prompt.ids.empty() &&
      prompt.ids.back() == tokenizer.eos() &&
      !prompt.text.ends_with(special_text(tokenizer, tokenizer.eos()))) {
    prompt.ids.pop_back();
  }
  return prompt;
}

std::vector<TokenId> prepare_text(const models::LoadedModel& model, std::string_view text) {
  return tokenizer_of(model).encode(text, {.add_special = true, .parse_special = true});
}

}  // namespace mistral::engine
