#include "text/tokenizer/tokenizer_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <limits>

#include "core/log.h"
#include "text/tokenizer/json_reader.h"

namespace mistral::text {
namespace {

namespace fs = std::filesystem;

std::optional<JsonValue> read_object(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  JsonValue json = JsonValue::parse(std::istreambuf_iterator<char>(file),
                                    std::istreambuf_iterator<char>(), nullptr, false);
  if (json.is_discarded() || !json.is_object()) {
    log::warn("{}: not a JSON object; ignored", path.string());
    return std::nullopt;
  }
  return json;
}

// "<s>" or {"content": "<s>", …}
std::optional<std::string> token_text(const JsonValue& value) {
  const JsonValue* text = &value;
  if (value.is_object()) {
    const auto content = value.find("content");
    if (content == value.end()) return std::nullopt;
    text = &*content;
  }
  if (!text->is_string() || text->get_ref<const std::string&>().empty()) return std::nullopt;
  return text->get<std::string>();
}

void add_named(TokenizerConfig& config, std::string text) {
  auto& named = config.named_special;
  if (std::find(named.begin(), named.end(), text) == named.end()) named.push_back(std::move(text));
}

void read_named_tokens(const JsonValue& json, TokenizerConfig& config) {
  const auto take = [&](const char* key, std::optional<std::string>* target) {
    const auto entry = json.find(key);
    if (entry == json.end()) return;
    const std::optional<std::string> text = token_text(*entry);
    if (!text) return;
    if (target != nullptr && !*target) *target = text;
    add_named(config, *text);
  };
  take("bos_token", &config.bos);
  take("eos_token", &config.eos);
  take("unk_token", &config.unk);
  take("pad_token", &config.pad);
  for (const char* key : {"sep_token", "cls_token", "mask_token"}) take(key, nullptr);
  const auto more = json.find("additional_special_tokens");
  if (more == json.end() || !more->is_array()) return;
  for (const JsonValue& entry : *more) {
    if (const auto text = token_text(entry)) add_named(config, *text);
  }
}

std::optional<TokenId> parse_id(std::string_view text) {
  TokenId id = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id < 0) return std::nullopt;
  return id;
}

// {"32000": {"content": "<|end|>", "special": true, …}, …}
void read_added_tokens_decoder(const JsonValue& json, const fs::path& file,
                               TokenizerConfig& config) {
  const auto list = json.find("added_tokens_decoder");
  if (list == json.end() || !list->is_object()) return;
  for (const auto& [key, value] : list->items()) {
    const std::optional<TokenId> id = parse_id(key);
    const std::optional<std::string> content = token_text(value);
    if (!id || !content || !value.is_object()) {
      log::warn("{}: added_tokens_decoder.{}: not an id with a token; ignored", file.string(), key);
      continue;
    }
    const auto flag = [&entries = value](const char* name, bool fallback) {
      const auto entry = entries.find(name);
      return entry != entries.end() && entry->is_boolean() ? entry->get<bool>() : fallback;
    };
    AddedToken token;
    token.id = *id;
    token.content = *content;
    token.special = flag("special", false);
    token.single_word = flag("single_word", false);
    token.lstrip = flag("lstrip", false);
    token.rstrip = flag("rstrip", false);
    token.normalized = flag("normalized", !token.special);
    config.added_tokens.push_back(std::move(token));
  }
}

// added_tokens.json, the older form: {"<|end|>": 32000, …}
void read_added_tokens_file(const fs::path& path, TokenizerConfig& config) {
  const std::optional<JsonValue> json = read_object(path);
  if (!json) return;
  for (const auto& [content, value] : json->items()) {
    const bool fits = value.is_number_unsigned() &&
                      value.get<std::uint64_t>() <= std::numeric_limits<TokenId>::max();
    if (!fits || content.empty()) {
      log::warn("{}: \"{}\": not a token with an id; ignored", path.string(), content);
      continue;
    }
    const bool known =
        std::any_of(config.added_tokens.begin(), config.added_tokens.end(),
                    [&text = content](const AddedToken& token) { return token.content == text; });
    if (known) continue;
    AddedToken token;
    token.id = value.get<TokenId>();
    token.content = content;
    token.special = std::find(config.named_special.begin(), config.named_special.end(), content) !=
                    config.named_special.end();
    token.normalized = !token.special;
    config.added_tokens.push_back(std::move(token));
  }
}

// Classes of the Transformers library that add BOS unless told otherwise.
bool adds_bos_by_itself(std::string_view tokenizer_class) {
  constexpr std::array<std::string_view, 4> kClasses{"LlamaTokenizer", "CodeLlamaTokenizer",
                                                     "GemmaTokenizer", "CohereTokenizer"};
  return std::find(kClasses.begin(), kClasses.end(), tokenizer_class) != kClasses.end();
}

void read_flags(const JsonValue& json, TokenizerConfig& config) {
  const auto flag = [&](const char* key) -> std::optional<bool> {
    const auto entry = json.find(key);
    if (entry == json.end() || !entry->is_boolean()) return std::nullopt;
    return entry->get<bool>();
  };
  if (const auto name = json.find("tokenizer_class"); name != json.end() && name->is_string()) {
    config.tokenizer_class = name->get<std::string>();
    constexpr std::string_view kFast = "Fast";
    if (config.tokenizer_class.ends_with(kFast)) {
      config.tokenizer_class.resize(config.tokenizer_class.size() - kFast.size());
    }
  }
  config.add_bos = flag("add_bos_token");
  config.add_eos = flag("add_eos_token");
  if (adds_bos_by_itself(config.tokenizer_class)) {
    if (!config.add_bos) config.add_bos = true;
    if (!config.add_eos) config.add_eos = false;
  }
  config.legacy = flag("legacy").value_or(true);
}

}  // namespace

TokenizerConfig TokenizerConfig::read(const fs::path& folder) {
  TokenizerConfig config;
  const fs::path file = folder / "tokenizer_config.json";
  if (const std::optional<JsonValue> json = read_object(file)) {
    read_named_tokens(*json, config);
    read_added_tokens_decoder(*json, file, config);
    read_flags(*json, config);
  }
  if (const auto json = read_object(folder / "special_tokens_map.json")) {
    read_named_tokens(*json, config);
  }
  read_added_tokens_file(folder / "added_tokens.json", config);
  std::stable_sort(config.added_tokens.begin(), config.added_tokens.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return config;
}

}  // namespace mistral::text
