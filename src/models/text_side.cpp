// What turns a decoder into a model that one can talk to: tokenizer, chat template, end tokens,
// recommended sampling.
#include <algorithm>

#include "core/error.h"
#include "core/log.h"
#include "models/description.h"
#include "text/chat_template/template_source.h"

namespace mistral::models {
namespace {

namespace fs = std::filesystem;

// Tokens that end an answer in the chat formats of common models, when they are special tokens of
// the vocabulary.
constexpr std::string_view kTurnEnds[] = {"<|im_end|>", "<end_of_turn>", "<|eot_id|>", "<|eom_id|>",
                                          "<|end|>",    "<|endoftext|>", "<|return|>", "<|call|>"};

// With channels (gpt-oss) <|end|> ends a message, of which an answer has several.
bool ends_turn(const text::Tokenizer& tokenizer, std::string_view text) {
  return text != "<|end|>" || !tokenizer.find("<|channel|>") || !tokenizer.find("<|return|>");
}

void add_end_token(std::vector<TokenId>& ends, std::optional<std::int64_t> id) {
  if (!id || *id < 0 || *id > std::numeric_limits<TokenId>::max()) return;
  const auto token = static_cast<TokenId>(*id);
  if (std::find(ends.begin(), ends.end(), token) == ends.end()) ends.push_back(token);
}

// A tokenizer and the file that it is from.
struct FoundTokenizer {
  std::unique_ptr<text::Tokenizer> tokenizer;
  std::string source;
};

FoundTokenizer read_tokenizer(const fs::path& file) {
  return {file.extension() == ".model" ? text::load_sentencepiece(file)
                                       : text::load_tokenizer_json(file),
          file.string()};
}

// The tokenizer file of a folder, the first that is there.
FoundTokenizer folder_tokenizer(const fs::path& folder) {
  std::error_code ignored;
  for (const char* name : {"tokenizer.json", "tokenizer.model", "spiece.model"}) {
    if (fs::exists(folder / name, ignored)) return read_tokenizer(folder / name);
  }
  return {};
}

// The tokenizer that the options name; null when they name none, or a folder without one for a
// GGUF or GGML model, which has its own.
FoundTokenizer chosen_tokenizer(const TextOptions& options, bool gguf) {
  if (!options.tokenizer_json.empty()) return read_tokenizer(options.tokenizer_json);
  if (options.tokenizer_folder.empty()) return {};
  if (FoundTokenizer found = folder_tokenizer(options.tokenizer_folder); found.tokenizer) {
    return found;
  }
  if (!gguf) {
    throw make_error(ErrorKind::kNotFound, "{}: neither tokenizer.json nor tokenizer.model there",
                     options.tokenizer_folder.string());
  }
  log::warn("{}: no tokenizer there; the model file's own is used",
            options.tokenizer_folder.string());
  return {};
}

// Rows of the embedding that have no token are padding. Tokens that have no row are worse: the
// model never learned them.
void check_vocabulary(const text::Tokenizer& tokenizer, std::string_view source,
                      std::int64_t rows) {
  const auto out_of_range = [&](std::size_t size) -> std::optional<TokenId> {
    for (auto id = static_cast<std::size_t>(rows); id < size; ++id) {
      const auto token = static_cast<TokenId>(id);
      if (!tokenizer.token(token).empty()) return token;
    }
    return std::nullopt;
  };
  if (rows <= 0) return;
  if (const auto id = out_of_range(tokenizer.trained_size())) {
    throw make_error(
        ErrorKind::kInvalidFile,
        "{}: the vocabulary has {} tokens, but the embedding only {} rows: there is none "
        "for token {} \"{}\"",
        source, tokenizer.trained_size(), rows, *id, tokenizer.token(*id));
  }
  if (const auto id = out_of_range(tokenizer.vocab_size())) {
    log::warn("{}: the embedding has {} rows: there is none for the added token {} \"{}\"", source,
              rows, *id, tokenizer.token(*id));
  }
  if (tokenizer.vocab_size() < static_cast<std::size_t>(rows) / 2) {
    log::warn("{}: the vocabulary has only {} tokens for the {} rows of the embedding", source,
              tokenizer.vocab_size(), rows);
  }
}

void load_tokenizer(const ModelPath& path, const Description& description,
                    const TextOptions& options, LoadedModel& model) {
  const bool chosen = !options.tokenizer_json.empty() || !options.tokenizer_folder.empty();
  try {
    FoundTokenizer found = chosen_tokenizer(options, description.gguf != nullptr);
    if (!found.tokenizer && description.gguf) {
      const std::string file = path.files.front().string();
      try {
        if (description.kind == "ggml" &&
            !description.gguf->metadata().contains("tokenizer.ggml.tokens")) {
          throw Error(ErrorKind::kUnsupported,
                      "the vocabulary in this file has no scores; name a tokenizer with -t");
        }
        found = {text::load_gguf_tokenizer(description.gguf->metadata()), file};
      } catch (Error& error) {
        throw Error(error.add_context(file));
      }
    } else if (!found.tokenizer) {
      found = folder_tokenizer(path.folder);
    }
    if (!found.tokenizer) {
      model.tokenizer_problem = fmt::format(
          "{}: neither tokenizer.json nor tokenizer.model in this folder", path.folder.string());
      return;
    }
    check_vocabulary(*found.tokenizer, found.source, description.spec.vocab_size);
    model.tokenizer = std::move(found.tokenizer);
  } catch (const Error& error) {
    if (chosen) throw;
    model.tokenizer_problem = error.what();
    log::warn("the tokenizer cannot be used: {}", error.what());
  }
}

std::optional<text::TemplateSource> gguf_template(const formats::GgufMetadata& gguf,
                                                  const std::string& origin) {
  const auto text = gguf.string("tokenizer.chat_template");
  if (!text) return std::nullopt;
  text::TemplateSource source;
  source.text = std::string(*text);
  source.origin = origin;
  if (const auto tools = gguf.string("tokenizer.chat_template.tool_use")) {
    source.tool_use = std::string(*tools);
  }
  return source;
}

std::optional<text::TemplateSource> find_template(const ModelPath& path,
                                                  const Description& description,
                                                  const TextOptions& options) {
  if (!options.jinja_file.empty()) return text::template_from_jinja_file(options.jinja_file);
  if (!options.chat_template.empty()) return text::template_from_argument(options.chat_template);
  if (!options.tokenizer_folder.empty()) {
    if (auto source = text::template_from_folder(options.tokenizer_folder)) return source;
  }
  if (description.gguf) {
    return gguf_template(description.gguf->metadata(), path.files.front().string());
  }
  return text::template_from_folder(path.folder);
}

text::ChatTemplate compile(const std::string& text, const std::string& origin) {
  try {
    return text::ChatTemplate::compile(text);
  } catch (Error& error) {
    throw Error(error.add_context(origin));
  }
}

void load_template(const ModelPath& path, const Description& description,
                   const TextOptions& options, LoadedModel& model) {
  const bool chosen = !options.jinja_file.empty() || !options.chat_template.empty();
  try {
    const std::optional<text::TemplateSource> source = find_template(path, description, options);
    if (!source) return;
    model.chat_template = compile(source->text, source->origin);
    if (source->tool_use && *source->tool_use != source->text) {
      model.tool_template = compile(*source->tool_use, source->origin + ", tool_use");
    }
    model.template_tokens = source->tokens;
  } catch (const Error& error) {
    model.chat_template.reset();
    if (chosen) throw;
    model.chat_template_problem = fmt::format("the chat template cannot be used: {}", error.what());
    log::warn("{}", model.chat_template_problem);
  }
}

void load_end_tokens(const ModelPath& path, const Description& description, LoadedModel& model) {
  if (model.tokenizer) {
    add_end_token(model.end_tokens, model.tokenizer->eos());
    for (const std::string_view text : kTurnEnds) {
      const auto id = model.tokenizer->find(text);
      if (id && model.tokenizer->is_special(*id) && ends_turn(*model.tokenizer, text))
        add_end_token(model.end_tokens, *id);
    }
    for (const auto& [name, text] : model.template_tokens) {
      if (name == "eos_token") add_end_token(model.end_tokens, model.tokenizer->find(text));
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
  sampling.typical_p = config.number("typical_p");
  sampling.repetition_penalty = config.number("repetition_penalty");
}

}  // namespace

void load_text_side(const ModelPath& path, const Description& description, LoadedModel& model,
                    const TextOptions& options) {
  load_tokenizer(path, description, options, model);
  load_template(path, description, options, model);
  load_end_tokens(path, description, model);
  try {
    load_sampling(path, description, model);
  } catch (const Error& error) {
    log::warn("recommended sampling settings are ignored: {}", error.what());
  }
}

}  // namespace mistral::models
