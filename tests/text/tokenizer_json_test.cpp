// tokenizer.json pipelines against the reference library: every folder of golden/tokenizer, and
// the prompts of golden/text.
#include <cstring>

#include <gtest/gtest.h>

#include "core/error.h"
#include "text/tokenizer/hf_tokenizer.h"
#include "tokenizer_cases.h"

namespace mistral::text {
namespace {

namespace fs = std::filesystem;
using test::read_json_lines;

fs::path tokenizer_file(const fs::path& folder) {
  const fs::path plain = folder / "tokenizer.json";
  return fs::exists(plain) ? plain : folder / "tokenizer.json.gz";
}

std::vector<fs::path> folders() {
  return test::golden_folders(
      "tokenizer", [](const fs::path& path) { return fs::exists(tokenizer_file(path)); });
}

std::unique_ptr<HfTokenizer> load(const fs::path& folder) {
  return HfTokenizer::parse(test::read_file(tokenizer_file(folder)));
}

void check_case(const HfTokenizer& tokenizer, const Json& expected) {
  const auto text = expected["text"].get<std::string>();
  SCOPED_TRACE(expected.dump());
  const EncodeOptions options{.add_special = expected["add_special_tokens"].get<bool>()};
  test::expect_encoding(expected, tokenizer.encode_full({text, {}}, {.encode = options}));
  const auto ids = expected["ids"].get<std::vector<TokenId>>();
  EXPECT_EQ(ids, tokenizer.encode(text, options));
  EXPECT_EQ(expected["decoded"], tokenizer.decode(ids, false));
  EXPECT_EQ(expected["decoded_skip_special"], tokenizer.decode(ids, true));
}

TEST(TokenizerJson, EncodesAndDecodesAsTheReference) {
  std::size_t cases = 0;
  for (const fs::path& folder : folders()) {
    SCOPED_TRACE(folder.filename());
    const auto tokenizer = load(folder);
    for (const Json& expected : read_json_lines(folder / "cases.jsonl")) {
      if (!expected.contains("text")) continue;
      check_case(*tokenizer, expected);
      ++cases;
    }
  }
  EXPECT_GT(cases, 0U);
}

TEST(TokenizerJson, EncodesPairs) {
  std::size_t cases = 0;
  for (const fs::path& folder : folders()) {
    const auto tokenizer = load(folder);
    for (const Json& expected : read_json_lines(folder / "pairs.jsonl")) {
      SCOPED_TRACE(folder.filename().string() + expected.dump());
      const auto first = expected["a"].get<std::string>();
      const auto second = expected["b"].get<std::string>();
      const EncodeOptions options{.add_special = expected["add_special_tokens"].get<bool>()};
      test::expect_encoding(expected, tokenizer->encode_full({first, second}, {.encode = options}));
      ++cases;
    }
  }
  EXPECT_GT(cases, 0U);
}

TEST(TokenizerJson, StreamsWholeCharacters) {
  std::size_t cases = 0;
  for (const fs::path& folder : folders()) {
    const auto tokenizer = load(folder);
    for (const Json& expected : read_json_lines(folder / "stream.jsonl")) {
      SCOPED_TRACE(folder.filename().string() + expected.dump());
      Detokenizer detokenizer(*tokenizer, expected["skip_special"].get<bool>());
      Json pieces = Json::array();
      std::string full;
      for (const TokenId id : expected["ids"]) {
        pieces.push_back(std::string(detokenizer.push(id)));
        full += pieces.back().get<std::string>();
      }
      full += detokenizer.finish();
      EXPECT_EQ(expected["full"], full);
      EXPECT_EQ(expected["pieces"], pieces);
      ++cases;
    }
  }
  EXPECT_GT(cases, 0U);
}

TruncationOptions read_truncation(const Json& json) {
  TruncationOptions options;
  options.direction = json["direction"] == "Left" ? TruncationOptions::Direction::kLeft
                                                  : TruncationOptions::Direction::kRight;
  options.strategy = json["strategy"] == "OnlyFirst" ? TruncationOptions::Strategy::kOnlyFirst
                     : json["strategy"] == "OnlySecond"
                         ? TruncationOptions::Strategy::kOnlySecond
                         : TruncationOptions::Strategy::kLongestFirst;
  options.max_length = json["max_length"].get<std::size_t>();
  options.stride = json["stride"].get<std::size_t>();
  return options;
}

PaddingOptions read_padding(const Json& json) {
  PaddingOptions options;
  options.direction = json["direction"] == "Left" ? PaddingOptions::Direction::kLeft
                                                  : PaddingOptions::Direction::kRight;
  if (json["strategy"].is_object()) options.length = json["strategy"]["Fixed"].get<std::size_t>();
  if (!json["pad_to_multiple_of"].is_null()) {
    options.multiple_of = json["pad_to_multiple_of"].get<std::size_t>();
  }
  options.id = json["pad_id"].get<TokenId>();
  options.type_id = json["pad_type_id"].get<std::uint32_t>();
  options.token = json["pad_token"].get<std::string>();
  return options;
}

void check_batch(const HfTokenizer& tokenizer, const Json& expected) {
  SCOPED_TRACE(expected.dump().substr(0, 2000));
  std::vector<std::pair<std::string, std::optional<std::string>>> texts;
  for (const Json& item : expected["batch"]) {
    if (item.is_array()) {
      texts.emplace_back(item[0].get<std::string>(), item[1].get<std::string>());
    } else {
      texts.emplace_back(item.get<std::string>(), std::nullopt);
    }
  }
  std::vector<HfTokenizer::Input> inputs;
  for (const auto& [first, second] : texts) {
    inputs.push_back({first, second ? std::optional<std::string_view>(*second) : std::nullopt});
  }
  std::optional<TruncationOptions> truncation;
  std::optional<PaddingOptions> padding;
  if (!expected["truncation"].is_null()) truncation = read_truncation(expected["truncation"]);
  if (!expected["padding"].is_null()) padding = read_padding(expected["padding"]);
  const HfTokenizer::FullOptions options{
      .encode = {.add_special = expected["add_special_tokens"].get<bool>()},
      .truncation = truncation ? &*truncation : nullptr,
      .padding = padding ? &*padding : nullptr};
  if (expected.contains("error")) {
    EXPECT_THROW(static_cast<void>(tokenizer.encode_batch(inputs, options)), Error);
    return;
  }
  const std::vector<Encoding> encodings = tokenizer.encode_batch(inputs, options);
  ASSERT_EQ(expected["encodings"].size(), encodings.size());
  for (std::size_t i = 0; i < encodings.size(); ++i) {
    test::expect_encoding(expected["encodings"][i], encodings[i]);
  }
}

TEST(TokenizerJson, TruncatesAndPadsBatches) {
  std::size_t cases = 0;
  for (const fs::path& folder : folders()) {
    const auto tokenizer = load(folder);
    for (const Json& expected : read_json_lines(folder / "cases.jsonl")) {
      if (!expected.contains("batch")) continue;
      check_batch(*tokenizer, expected);
      ++cases;
    }
  }
  EXPECT_GT(cases, 0U) << "no cases with truncation or padding";
}

// The tensor "input_ids" (I64) of a safetensors file.
std::vector<TokenId> read_input_ids(const fs::path& path) {
  const std::string file = test::read_file(path);
  std::uint64_t size = 0;
  std::vector<TokenId> ids;
  if (file.size() < sizeof size) return ids;
  std::memcpy(&size, file.data(), sizeof size);
  const Json header = Json::parse(file.substr(sizeof size, size));
  const auto entry = header.find("input_ids");
  if (entry == header.end()) return ids;
  const auto begin = sizeof size + size + (*entry)["data_offsets"][0].get<std::size_t>();
  const auto end = sizeof size + size + (*entry)["data_offsets"][1].get<std::size_t>();
  for (std::size_t at = begin; at < end; at += sizeof(std::int64_t)) {
    std::int64_t id = 0;
    std::memcpy(&id, file.data() + at, sizeof id);
    ids.push_back(static_cast<TokenId>(id));
  }
  return ids;
}

TEST(TokenizerJson, EncodesThePromptsOfTheTextModels) {
  std::size_t cases = 0;
  const auto has_text = [](const fs::path& path) {
    return fs::exists(path / "text.json") && fs::exists(path / "tokenizer.json");
  };
  for (const fs::path& folder : test::golden_folders("text", has_text)) {
    SCOPED_TRACE(folder.filename());
    const auto tokenizer = load_tokenizer_json(folder / "tokenizer.json");
    const Json text = Json::parse(test::read_file(folder / "text.json"));
    EXPECT_EQ(read_input_ids(folder / "expected.safetensors"),
              tokenizer->encode(text["prompt"].get<std::string>()));
    if (text.contains("chat")) {
      EXPECT_EQ(
          text["chat"]["ids"].get<std::vector<TokenId>>(),
          tokenizer->encode(text["chat"]["rendered"].get<std::string>(), {.add_special = false}));
    }
    const Json config = Json::parse(test::read_file(folder / "tokenizer_config.json"));
    const auto expect_token = [&](const char* key, std::optional<TokenId> id) {
      if (!config.contains(key) || config[key].is_null()) return;
      const Json& entry = config[key];
      const auto content = (entry.is_object() ? entry["content"] : entry).get<std::string>();
      ASSERT_TRUE(id) << key;
      EXPECT_EQ(content, tokenizer->token(*id)) << key;
    };
    expect_token("bos_token", tokenizer->bos());
    expect_token("eos_token", tokenizer->eos());
    ++cases;
  }
  EXPECT_GT(cases, 0U);
}

}  // namespace
}  // namespace mistral::text
