// What turns a decoder into a model that one can talk to: tokenizer, chat template, end tokens,
// recommended sampling.
#include <algorithm>
#include <fstream>
#include <sstream>

#include "core/error.h"
#include "core/log.h"
#include "core/mapped_file.h"
#include "models/description.h"

namespace mistral::models {
namespace {

namespace fs = std::filesystem;

// Tokens that end an answer in the chat formats of common models, when they are special tokens of
// the vocabulary.
constexpr std::string_view kTurnEnds[] = {"<|im_end|>", "<end_of_turn>", "<|eot_id|>",
                                          "<|eom_id|>", "<|end|>",       "<|endoftext|>"};

void add_end_token(std::vector<TokenId>& ends, std::optional<std::int64_t> id) {
  if (!id || *id < 0 || *id > std::numeric_limits<TokenId>::max()) return;
  const auto token = static_cast<TokenId>(*id);
  if (std::find(ends.begin(), ends.end(), token) == ends.end()) ends.push_back(token);
}

std::string read_text(const fs::path& file) {
  const MappedFile mapped(file);
  const auto bytes = mapped.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The template of a folder: chat_template.jinja, chat_template.json, or tokenizer_config.json (a
// text, or a list of named ones of which "default" counts).
std::optional<std::string> folder_template(const fs::path& folder) {
  if (const fs::path file = folder / "chat_template.jinja"; fs::exists(file))
    return read_text(file);
  for (const char* name : {"chat_template.json", "tokenizer_config.json"}) {
    if (!fs::exists(folder / name)) continue;
    const Config config = Config::read(folder / name);
    if (const auto list = config.named_strings("chat_template", "name", "template")) {
      for (const auto& [key, text] : *list) {
        if (key == "default") return text;
      }
      if (!list->empty()) return list->front().second;
      continue;
    }
    if (const auto text = config.string("chat_template")) return text;
  }
  return std::nullopt;
}

void load_template(const ModelPath& path, const Description& description, LoadedModel& model) {
  try {
    std::optional<std::string> source;
    if (description.gguf) {
      if (const auto text = description.gguf->metadata().string("tokenizer.chat_template")) {
        source = std::string(*text);
      }
    } else {
      source = folder_template(path.folder);
    }
    if (source) model.chat_template = text::ChatTemplate::compile(*source);
  } catch (const Error& error) {
    model.chat_template_problem = fmt::format("the chat template cannot be used: {}", error.what());
    log::warn("{}", model.chat_template_problem);
  }
}

void load_tokenizer(const ModelPath& path, const Description& description, LoadedModel& model) {
  try {
    if (description.gguf) {
      model.tokenizer = text::load_gguf_tokenizer(description.gguf->metadata());
    } else if (const fs::path file = path.folder / "tokenizer.json"; fs::exists(file)) {
      model.tokenizer = text::load_tokenizer_json(file);
    } else {
      model.tokenizer_problem =
          fmt::format("{}: no tokenizer.json in this folder", path.folder.string());
    }
  } catch (const Error& error) {
    model.tokenizer_problem = error.what();
    log::warn("the tokenizer cannot be used: {}", error.what());
  }
}

void load_end_tokens(const ModelPath& path, const Description& description, LoadedModel& model) {
  if (model.tokenizer) {
    add_end_token(model.end_tokens, model.tokenizer->eos());
    for (const std::string_view text : kTurnEnds) {
      const auto id = model.tokenizer->find(text);
      if (id && model.tokenizer->is_special(*id)) add_end_token(model.end_tokens, *id);
    }
  }
  if (description.gguf) {
    for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                            "tokenizer.ggml.eom_token_id"}) {
      add_end_token(model.end_tokens, description.gguf->metadata().integer(key));
    }
  }
  for (const char* name : {"config.json", "generation_config.json"}) {
    if (description.gguf || !fs::exists(path.folder / name)) continue;
    for (const std::int64_t id : Config::read(path.folder / name).integers("eos_token_id")) {
      add_end_token(model.end_tokens, id);
    }
  }
  std::erase_if(model.end_tokens, [&](TokenId id) { return id >= description.spec.vocab_size; });
}

// generation_config.json; its values count only where it says that the model samples.
void load_sampling(const ModelPath& path, const Description& description, LoadedModel& model) {
  const fs::path file = path.folder / "generation_config.json";
  if (description.gguf || !fs::exists(file)) return;
  const Config config = Config::read(file);
  SamplingParams& sampling = model.default_sampling;
  if (!config.boolean("do_sample").value_or(config.has("temperature"))) return;
  sampling.temperature = config.number("temperature").value_or(1.0);
  if (const auto k = config.integer("top_k")) {
    sampling.top_k = static_cast<std::int32_t>(std::clamp<std::int64_t>(*k, 0, 1 << 30));
  }
  sampling.top_p = config.number("top_p");
  sampling.min_p = config.number("min_p");
}

}  // namespace

void load_text_side(const ModelPath& path, const Description& description, LoadedModel& model) {
  load_tokenizer(path, description, model);
  load_template(path, description, model);
  load_end_tokens(path, description, model);
  try {
    load_sampling(path, description, model);
  } catch (const Error& error) {
    log::warn("recommended sampling settings are ignored: {}", error.what());
  }
}

}  // namespace mistral::models
