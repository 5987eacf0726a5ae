#include "engine/chat.h"

#include <algorithm>
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

const text::ChatTemplate& template_of(const models::LoadedModel& model, bool with_tools) {
  if (with_tools && model.tool_template) return *model.tool_template;
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

// Whether a template looks into contents that are lists of parts, by a test or a loop over them;
// others expect texts.
bool reads_parts(std::string_view source) {
  for (const char* test :
       {"content is string", "content'] is string", "content\"] is string", "content is not string",
        "content'] is not string", "content is mapping", "content is iterable",
        "content'] is iterable", "content is sequence", "content'] is sequence"}) {
    if (source.find(test) != std::string_view::npos) return true;
  }
  for (std::size_t begin = source.find("{%"); begin != std::string_view::npos;
       begin = source.find("{%", begin + 2)) {
    std::string_view tag = source.substr(begin + 2, source.find("%}", begin) - begin - 2);
    tag.remove_prefix(std::min(tag.find_first_not_of("-+ \n\t"), tag.size()));
    const std::size_t in = tag.find(" in ");
    if (tag.starts_with("for ") && in != std::string_view::npos &&
        tag.find("content", in) != std::string_view::npos) {
      return true;
    }
  }
  return false;
}

// Contents that are lists of text parts, as the texts themselves.
Json with_plain_contents(Json messages) {
  for (Json& message : messages) {
    const auto content = message.find("content");
    if (content == message.end() || !content->is_array()) continue;
    std::string text;
    bool only_text = true;
    for (const Json& part : *content) {
      const bool is_text = part.is_object() && part.contains("text") && part["text"].is_string();
      only_text = only_text && is_text;
      if (!is_text) continue;
      if (!text.empty()) text += '\n';
      text += part["text"].get<std::string>();
    }
    if (only_text) *content = text;
  }
  return messages;
}

std::string special_text(const text::Tokenizer& tokenizer, std::optional<TokenId> id) {
  return id ? std::string(tokenizer.token(*id)) : std::string();
}

}  // namespace

PreparedPrompt prepare_chat(const models::LoadedModel& model, const Json& messages,
                            const Json& extra) {
  if (!extra.is_null() && !extra.is_object()) {
    throw Error(ErrorKind::kInvalidArgument, "template variables: expected an object");
  }
  const auto tools = extra.is_object() ? extra.find("tools") : extra.end();
  const bool with_tools = extra.is_object() && tools != extra.end() && !tools->empty();
  const text::ChatTemplate& chat_template = template_of(model, with_tools);
  const text::Tokenizer& tokenizer = tokenizer_of(model);
  check_messages(messages);

  Json context = Json::object();
  context["messages"] =
      reads_parts(chat_template.source()) ? messages : with_plain_contents(messages);
  context["add_generation_prompt"] = true;
  context["tools"] = nullptr;
  context["documents"] = nullptr;
  const std::pair<const char*, std::optional<TokenId>> special[] = {
      {"bos_token", tokenizer.bos()},
      {"eos_token", tokenizer.eos()},
      {"unk_token", tokenizer.unk()},
      {"pad_token", tokenizer.pad()},
  };
  for (const auto& [name, id] : special) {
    if (id) context[name] = special_text(tokenizer, id);
  }
  for (const auto& [name, text] : model.template_tokens) context[name] = text;
  if (extra.is_object()) {
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

text::ReasoningStyle reasoning_style(const models::LoadedModel& model,
                                     const PreparedPrompt& prompt) {
  return text::reasoning_style(model.chat_template ? model.chat_template->source() : "",
                               prompt.text);
}

std::vector<TokenId> prepare_text(const models::LoadedModel& model, std::string_view text) {
  return tokenizer_of(model).encode(text, {.add_special = true, .parse_special = true});
}

}  // namespace mistral::engine
