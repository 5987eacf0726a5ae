// Reads tokenizer.json and the files beside it.
#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

#include "core/error.h"
#include "core/log.h"
#include "core/mapped_file.h"
#include "text/tokenizer/hf_tokenizer.h"

namespace mistral::text {
namespace {

constexpr std::size_t kDeepest = 64;

// Builds a tree of everything but the model's vocabulary and merges, which go into flat lists:
// they are nearly all of the file.
class TokenizerSax final : public nlohmann::json_sax<JsonValue> {
 public:
  JsonValue tree;
  ModelLists lists;

  bool null() override { return value(nullptr); }
  bool boolean(bool v) override { return value(v); }
  bool number_integer(number_integer_t v) override {
    return in_lists() ? list_number(v, static_cast<double>(v)) : value(v);
  }
  bool number_unsigned(number_unsigned_t v) override {
    if (!in_lists()) return value(v);
    const bool fits = v <= 0x7FFFFFFFU;
    return list_number(fits ? static_cast<std::int64_t>(v) : -1, static_cast<double>(v));
  }
  bool number_float(number_float_t v, const string_t& /*text*/) override {
    return in_lists() ? list_number(-1, v) : value(v);
  }
  bool string(string_t& v) override { return in_lists() ? list_string(v) : value(v); }
  bool binary(binary_t& /*v*/) override { return false; }

  bool start_object(std::size_t /*size*/) override {
    if (mode_ == Mode::kVocabulary && list_depth_ == 0) {
      map_ = true;
      ++list_depth_;
      return true;
    }
    if (in_lists()) return unexpected("an object");
    return open(JsonValue::object());
  }
  bool key(string_t& v) override {
    if (in_lists()) {
      lists.vocabulary.push_back({v, -1, 0});
      return true;
    }
    key_ = v;
    if (stack_.size() == 2 && stack_names_.back() == "model") {
      if (v == "vocab") mode_ = Mode::kVocabulary;
      if (v == "merges") mode_ = Mode::kMerges;
    }
    return true;
  }
  bool end_object() override { return in_lists() ? close_list() : close(); }

  bool start_array(std::size_t /*size*/) override {
    if (!in_lists()) return open(JsonValue::array());
    if (list_depth_ == 0) {
      lists.scored = lists.scored || mode_ == Mode::kVocabulary;
    } else if (list_depth_ > 1 || map_) {
      return unexpected("a list");
    } else {
      items_ = 0;
      if (mode_ == Mode::kVocabulary) {
        lists.vocabulary.emplace_back();
      } else {
        lists.merges.emplace_back();
      }
    }
    ++list_depth_;
    return true;
  }
  bool end_array() override {
    if (!in_lists()) return close();
    if (list_depth_ == 2 && items_ != 2) return unexpected("a list that is not a pair");
    return close_list();
  }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& error) override {
    throw make_error(ErrorKind::kInvalidFile, "not JSON at byte {}: {}", position, error.what());
  }

 private:
  enum class Mode { kTree, kVocabulary, kMerges };
  [[nodiscard]] bool in_lists() const { return mode_ != Mode::kTree; }

  [[nodiscard]] std::string list_name() const {
    return mode_ == Mode::kVocabulary ? fmt::format("model.vocab entry {}", lists.vocabulary.size())
                                      : fmt::format("model.merges entry {}", lists.merges.size());
  }
  bool unexpected(std::string_view what) const {
    throw make_error(ErrorKind::kInvalidFile, "{}: unexpected {}", list_name(), what);
  }

  bool list_string(string_t& v) {
    if (mode_ == Mode::kVocabulary) {
      if (map_ || list_depth_ != 2 || items_ != 0) return unexpected("string");
      lists.vocabulary.back().text = v;
      ++items_;
      return true;
    }
    if (list_depth_ == 1) {
      lists.merges.push_back({v, {}, true});
    } else if (list_depth_ == 2 && items_ < 2) {
      (items_ == 0 ? lists.merges.back().left : lists.merges.back().right) = v;
      ++items_;
    } else {
      return unexpected("string");
    }
    return true;
  }
  bool list_number(std::int64_t integer, double number) {
    if (mode_ != Mode::kVocabulary || list_depth_ == 0) return unexpected("number");
    if (map_) {
      lists.vocabulary.back().id = integer;
      return true;
    }
    if (list_depth_ != 2 || items_ != 1) return unexpected("number");
    lists.vocabulary.back().score = number;
    ++items_;
    return true;
  }
  bool close_list() {
    if (--list_depth_ == 0) {
      mode_ = Mode::kTree;
      map_ = false;
    }
    return true;
  }

  template <typename T>
  bool value(T&& v) {
    if (in_lists()) {
      if (list_depth_ > 0) return unexpected("value");
      mode_ = Mode::kTree;  // "merges": null
    }
    put(JsonValue(std::forward<T>(v)));
    return true;
  }
  JsonValue& put(JsonValue v) {
    if (stack_.empty()) return tree = std::move(v);
    JsonValue& parent = *stack_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(v));
      return parent.back();
    }
    return parent[key_] = std::move(v);
  }
  bool open(JsonValue v) {
    if (stack_.size() >= kDeepest) {
      throw make_error(ErrorKind::kInvalidFile, "nested deeper than {} levels", kDeepest);
    }
    JsonValue& placed = put(std::move(v));
    stack_.push_back(&placed);
    stack_names_.push_back(key_);
    return true;
  }
  bool close() {
    stack_.pop_back();
    stack_names_.pop_back();
    return true;
  }

  std::vector<JsonValue*> stack_;
  std::vector<std::string> stack_names_;
  std::string key_;
  Mode mode_ = Mode::kTree;
  std::size_t list_depth_ = 0;
  std::size_t items_ = 0;
  bool map_ = false;
};

std::vector<AddedToken> read_added_tokens(const JsonValue& tree, const Vocabulary& vocabulary) {
  std::vector<AddedToken> tokens;
  const JsonReader root(tree, "");
  if (root.find("added_tokens") == nullptr) return tokens;
  const std::size_t limit = vocabulary.size() + 1'000'000;
  for (const JsonValue& entry : root.require_array("added_tokens")) {
    const JsonReader reader(entry, json_path("added_tokens", tokens.size()));
    AddedToken token;
    token.content = reader.require_string("content");
    if (token.content.empty()) continue;
    token.special = reader.boolean("special", false);
    token.single_word = reader.boolean("single_word", false);
    token.lstrip = reader.boolean("lstrip", false);
    token.rstrip = reader.boolean("rstrip", false);
    token.normalized = reader.boolean("normalized", !token.special);
    token.id = reader.require_integer("id");
    // The model's own id comes first, as its tokens are what was trained.
    if (const auto id = vocabulary.find(token.content)) token.id = *id;
    if (static_cast<std::size_t>(token.id) > limit) {
      throw make_error(ErrorKind::kInvalidFile, "{}: {} is far behind the {} ids of the model",
                       reader.path("id"), token.id, vocabulary.size());
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

// A file beside tokenizer.json; empty when it is not there. Damage is a warning: the tokenizer
// itself is complete without it.
std::optional<JsonValue> read_companion(const std::filesystem::path& path) {
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

// "bos_token": "<s>" or {"content": "<s>", …}
std::optional<TokenId> named_token(const HfTokenizer& tokenizer, const JsonValue& json,
                                   std::string_view key) {
  const auto entry = json.find(key);
  if (entry == json.end()) return std::nullopt;
  const JsonValue* text = &*entry;
  if (text->is_object()) {
    const auto content = text->find("content");
    if (content == text->end()) return std::nullopt;
    text = &*content;
  }
  return text->is_string() ? tokenizer.find(text->get<std::string>()) : std::nullopt;
}

}  // namespace

std::unique_ptr<HfTokenizer> HfTokenizer::parse(std::string_view json) {
  TokenizerSax sax;
  JsonValue::sax_parse(json.begin(), json.end(), &sax);
  const JsonReader root(sax.tree, "");
  Parts parts;
  parts.model = make_token_model(root.require("model"), sax.lists);
  sax.lists = {};
  const auto part = [&](std::string_view key) { return root.find(key); };
  if (const JsonValue* value = part("normalizer")) {
    parts.normalizer = make_normalizer(*value, "normalizer");
  }
  if (const JsonValue* value = part("pre_tokenizer")) {
    parts.pre_tokenizer = make_pre_tokenizer(*value, "pre_tokenizer");
  }
  if (const JsonValue* value = part("post_processor")) {
    parts.post_processor = make_post_processor(*value, "post_processor");
  }
  if (const JsonValue* value = part("decoder")) parts.decoder = make_decoder(*value, "decoder");
  parts.added_tokens = read_added_tokens(sax.tree, parts.model->vocabulary());
  return std::make_unique<HfTokenizer>(std::move(parts));
}

std::unique_ptr<Tokenizer> load_tokenizer_json(const std::filesystem::path& path) {
  std::unique_ptr<HfTokenizer> tokenizer;
  try {
    const MappedFile file(path);
    const std::span<const std::byte> bytes = file.bytes();
    tokenizer = HfTokenizer::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  } catch (Error& error) {
    throw Error(error.add_context(path.string()));
  }
  HfTokenizer::SpecialTokens special;
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    const auto json = read_companion(path.parent_path() / name);
    if (!json) continue;
    const auto take = [&](std::optional<TokenId>& id, std::string_view key) {
      if (!id) id = named_token(*tokenizer, *json, key);
    };
    take(special.bos, "bos_token");
    take(special.eos, "eos_token");
    take(special.unk, "unk_token");
    take(special.pad, "pad_token");
  }
  tokenizer->set_special_tokens(special);
  return tokenizer;
}

}  // namespace mistral::text
