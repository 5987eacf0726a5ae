// Reads tokenizer.json and the files beside it.
#include <algorithm>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "core/log.h"
#include "core/mapped_file.h"
#include "text/tokenizer/hf_tokenizer.h"
#include "text/tokenizer/json_events.h"
#include "text/tokenizer/vocabulary.h"

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
      lists.vocabulary.push_back({lists.keep(v), -1, 0});
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
      lists.has_merges = lists.has_merges || mode_ == Mode::kMerges;
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
      lists.vocabulary.back().text = lists.keep(v);
      ++items_;
      return true;
    }
    if (list_depth_ == 1) {
      lists.merges.push_back({lists.keep(v), {}, true});
    } else if (list_depth_ == 2 && items_ < 2) {
      (items_ == 0 ? lists.merges.back().left : lists.merges.back().right) = lists.keep(v);
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

// A repeated token keeps its first id and takes the last flags, as in the format's own library.
void repeat_token(AddedToken repeated, std::string_view source, std::size_t index,
                  AddedToken& first) {
  if (repeated.id != first.id) {
    log::warn("{}: added_tokens[{}]: \"{}\" has the id {} already; {} is ignored", source, index,
              first.content, first.id, repeated.id);
  }
  repeated.id = first.id;
  repeated.special = repeated.special || first.special;
  repeated.normalized = repeated.normalized && first.normalized;
  first = std::move(repeated);
}

std::vector<AddedToken> read_added_tokens(const JsonValue& tree, const Vocabulary& vocabulary,
                                          std::string_view source) {
  std::vector<AddedToken> tokens;
  const JsonReader root(tree, "");
  if (root.find("added_tokens") == nullptr) return tokens;
  const std::size_t limit = vocabulary.size() + kFreeIds;
  std::unordered_map<std::string, std::size_t> known;
  const JsonValue::array_t& entries = root.require_array("added_tokens");
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const JsonReader reader(entries[i], json_path("added_tokens", i));
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
    const auto [at, fresh] = known.emplace(token.content, tokens.size());
    if (fresh) {
      tokens.push_back(std::move(token));
    } else {
      repeat_token(std::move(token), source, i, tokens[at->second]);
    }
  }
  return tokens;
}

// Tokens of tokenizer_config.json: their flags win, and those that tokenizer.json lacks are added.
void merge_added_tokens(const TokenizerConfig& config, const Vocabulary& vocabulary,
                        std::string_view source, std::vector<AddedToken>& tokens) {
  std::unordered_map<std::string, std::size_t> known;
  std::unordered_set<TokenId> taken;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    known[tokens[i].content] = i;
    taken.insert(tokens[i].id);
  }
  const auto add = [&](AddedToken token) {
    known[token.content] = tokens.size();
    taken.insert(token.id);
    tokens.push_back(std::move(token));
  };
  for (AddedToken token : config.added_tokens) {
    if (const auto at = known.find(token.content); at != known.end()) {
      token.id = tokens[at->second].id;
      tokens[at->second] = std::move(token);
      continue;
    }
    if (const auto id = vocabulary.find(token.content)) {
      token.id = *id;
    } else if (vocabulary.contains(token.id) || taken.contains(token.id) ||
               static_cast<std::size_t>(token.id) > vocabulary.size() + kFreeIds) {
      log::warn("{}: the id {} that tokenizer_config.json gives to \"{}\" is not free; ignored",
                source, token.id, token.content);
      continue;
    }
    add(std::move(token));
  }
  // Special tokens that are only named count if the model knows them.
  for (const std::string& text : config.named_special) {
    if (known.contains(text)) continue;
    if (const auto id = vocabulary.find(text)) {
      AddedToken token;
      token.id = *id;
      token.content = text;
      token.special = true;
      token.normalized = false;
      add(std::move(token));
    }
  }
}

// Two tokens with one id: only the last one written can be read back.
void warn_of_shared_ids(const std::vector<AddedToken>& tokens, const Vocabulary& vocabulary,
                        std::string_view source) {
  std::unordered_map<TokenId, std::string_view> seen;
  for (const AddedToken& token : tokens) {
    const auto [at, fresh] = seen.emplace(token.id, token.content);
    std::string_view other = fresh ? vocabulary.text(token.id) : at->second;
    if (!other.empty() && other != token.content) {
      log::warn("{}: added_tokens: the id {} of \"{}\" is also the id of \"{}\"", source, token.id,
                token.content, other);
    }
  }
}

// The format's own library numbers such tokens anew, without the gap. The file's ids are those of
// the model's rows, so they stay.
void warn_of_gaps(const std::vector<AddedToken>& tokens, const Vocabulary& vocabulary,
                  std::string_view source) {
  std::map<TokenId, std::string_view> behind;  // the model's own ids
  for (const AddedToken& token : tokens) {
    if (static_cast<std::size_t>(token.id) >= vocabulary.size()) {
      behind.emplace(token.id, token.content);
    }
  }
  auto next = static_cast<TokenId>(vocabulary.size());
  for (const auto& [id, content] : behind) {
    if (id > next) {
      log::warn("{}: added_tokens: no token has an id from {} to {}, before {} of \"{}\"", source,
                next, id - 1, id, content);
    }
    next = id + 1;
  }
}

}  // namespace

std::unique_ptr<HfTokenizer> HfTokenizer::parse(std::string_view json,
                                                const TokenizerConfig& config,
                                                std::string_view source) {
  TokenizerSax sax;
  read_json_events(json, sax);
  const JsonReader root(sax.tree, "");
  Parts parts;
  parts.model = make_token_model(root.require("model"), sax.lists, source);
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
  const Vocabulary& vocabulary = parts.model->vocabulary();
  parts.added_tokens = read_added_tokens(sax.tree, vocabulary, source);
  merge_added_tokens(config, vocabulary, source, parts.added_tokens);
  warn_of_shared_ids(parts.added_tokens, vocabulary, source);
  warn_of_gaps(parts.added_tokens, vocabulary, source);

  auto tokenizer = std::make_unique<HfTokenizer>(std::move(parts));
  const auto id_of = [&](const std::optional<std::string>& text) {
    return text ? tokenizer->find(*text) : std::nullopt;
  };
  tokenizer->set_special_tokens(
      {id_of(config.bos), id_of(config.eos), id_of(config.unk), id_of(config.pad)});
  tokenizer->set_bos_eos(config.add_bos, config.add_eos);
  return tokenizer;
}

std::unique_ptr<Tokenizer> load_tokenizer_json(const std::filesystem::path& path) {
  try {
    const MappedFile file(path);
    const std::span<const std::byte> bytes = file.bytes();
    return HfTokenizer::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                              TokenizerConfig::read(path.parent_path()), path.string());
  } catch (Error& error) {
    throw Error(error.add_context(path.string()));
  }
}

}  // namespace mistral::text
