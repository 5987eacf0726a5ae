// SentencePiece model files against the SentencePiece library (data/sentencepiece/make_cases.py),
// and damaged ones.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/json.h"
#include "temporary_folder.h"
#include "text/tokenizer/tokenizer.h"

namespace mistral::text {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

fs::path data_folder() {
  const char* folder = std::getenv("MISTRAL_TEST_DATA");
  return fs::path(folder == nullptr ? "tests" : folder) / "text/data/sentencepiece";
}

// Another folder of the same form, for more cases than are kept here.
fs::path cases_folder() {
  const char* folder = std::getenv("MISTRAL_SENTENCEPIECE_CASES");
  return folder == nullptr ? data_folder() : fs::path(folder);
}

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

TEST(SentencePiece, EncodesAndDecodesAsTheLibrary) {
  std::size_t cases = 0;
  for (const auto& entry : fs::directory_iterator(cases_folder())) {
    const fs::path model = entry.path() / "tokenizer.model";
    if (!fs::exists(model)) continue;
    const auto tokenizer = load_sentencepiece(model);
    std::ifstream lines(entry.path() / "cases.jsonl");
    for (std::string line; std::getline(lines, line); ++cases) {
      SCOPED_TRACE(entry.path().string() + line);
      const Json expected = Json::parse(line);
      const auto ids = expected["ids"].get<std::vector<TokenId>>();
      ASSERT_EQ(ids, tokenizer->encode(expected["text"].get<std::string>(),
                                       {.add_special = false, .parse_special = false}));
      // The library prints its own sign for unknown text.
      if (std::count(ids.begin(), ids.end(), *tokenizer->unk()) > 0) continue;
      const std::string wanted = expected["decoded"].get<std::string>();
      ASSERT_EQ(wanted, tokenizer->decode(ids, true));
      std::string streamed;
      Detokenizer detokenizer(*tokenizer, true);
      for (const TokenId id : ids) streamed += detokenizer.push(id);
      streamed += detokenizer.finish();
      ASSERT_EQ(wanted, streamed);
    }
  }
  EXPECT_GT(cases, 500U);
}

TEST(SentencePiece, BrokenBytesAreReplacedOneByOne) {
  const auto tokenizer = load_sentencepiece(data_folder() / "bpe_bytes/tokenizer.model");
  const auto byte = [&](const char* piece) { return *tokenizer->find(piece); };
  const std::vector<TokenId> ids{byte("<0xE8>"), byte("<0xB7>"), byte("<0xC3>"),
                                 byte("<0xA9>"), byte("<0xF0>"), byte("<0x9F>")};
  EXPECT_EQ(tokenizer->decode(ids, true), "\xEF\xBF\xBD\xEF\xBF\xBDé\xEF\xBF\xBD\xEF\xBF\xBD");
}

class SentencePieceFolder : public ::testing::Test {
 protected:
  void SetUp() override { fs::copy_file(data_folder() / "bpe_symbols/tokenizer.model", model()); }
  [[nodiscard]] fs::path model() const { return folder_.path() / "tokenizer.model"; }

  test::TemporaryFolder folder_;
};

TEST_F(SentencePieceFolder, AddsBosAndFindsControlTokens) {
  const auto tokenizer = load_sentencepiece(model());
  ASSERT_TRUE(tokenizer->bos());
  EXPECT_EQ(tokenizer->token(*tokenizer->bos()), "<bos>");
  EXPECT_EQ(tokenizer->token(*tokenizer->eos()), "<eos>");
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_FALSE(tokenizer->adds_eos());
  const TokenId turn = *tokenizer->find("<turn>");
  EXPECT_THAT(tokenizer->encode("<turn>"), ElementsAre(*tokenizer->bos(), turn));
  EXPECT_TRUE(tokenizer->is_special(turn));
  EXPECT_GT(tokenizer->encode("<turn>", {.parse_special = false}).size(), 2U);
}

TEST_F(SentencePieceFolder, TakesTokensAndFlagsFromTheFilesBeside) {
  const auto size = static_cast<TokenId>(load_sentencepiece(model())->vocab_size());
  folder_.write("tokenizer_config.json",
                R"({"add_bos_token": false, "add_eos_token": true, "eos_token": "<|end|>",
                    "added_tokens_decoder": {"1": {"content": "<clash>"}}})");
  folder_.write("added_tokens.json",
                fmt::format(R"({{"<|end|>": {}, "<tool>": {}}})", size + 2, size));
  const auto tokenizer = load_sentencepiece(model());
  EXPECT_EQ(tokenizer->vocab_size(), static_cast<std::size_t>(size) + 3);
  EXPECT_EQ(tokenizer->eos(), size + 2);
  EXPECT_TRUE(tokenizer->is_special(size + 2));
  EXPECT_FALSE(tokenizer->is_special(size));
  EXPECT_EQ(tokenizer->token(size + 1), "");
  EXPECT_THAT(tokenizer->encode("<tool>"), ElementsAre(size, size + 2));
}

TEST(SentencePiece, ThePrefixOfLaterPartsDependsOnLegacy) {
  const test::TemporaryFolder folder;
  const fs::path model = folder.path() / "tokenizer.model";
  fs::copy_file(data_folder() / "bpe_bytes/tokenizer.model", model);
  const auto legacy = load_sentencepiece(model);
  EXPECT_EQ(legacy->decode(legacy->encode("a</s>b"), false), "<s> a</s> b");
  folder.write("tokenizer_config.json", R"({"legacy": false})");
  EXPECT_EQ(load_sentencepiece(model)->decode(legacy->encode("a"), false), "<s> a");
  EXPECT_EQ(load_sentencepiece(model)->decode(load_sentencepiece(model)->encode("a</s>b"), false),
            "<s> a</s>b");
}

std::string error_of(const std::string& bytes) {
  const test::TemporaryFolder folder;
  try {
    static_cast<void>(load_sentencepiece(folder.write("tokenizer.model", bytes)));
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string field(int number, std::string_view bytes) {
  std::string out(1, static_cast<char>(number << 3 | 2));
  out += static_cast<char>(bytes.size());
  out += bytes;
  return out;
}
std::string piece(std::string_view text, char type) {
  return field(1, field(1, text) + std::string("\x18") + type);
}

TEST(SentencePieceErrors, NameTheFileAndTheField) {
  const std::string unk = piece("<unk>", 2);
  EXPECT_EQ(error_of(unk + piece("a", 1)), "no error");
  EXPECT_THAT(error_of("\x0A\x7F"), HasSubstr("tokenizer.model"));
  EXPECT_THAT(error_of("\x0A\x7F"), HasSubstr("longer than the rest"));
  EXPECT_THAT(error_of("\x0B"), HasSubstr("unknown type"));
  EXPECT_THAT(error_of(std::string(12, '\xFF')), HasSubstr("ten bytes"));
  EXPECT_THAT(error_of(piece("a", 1)), HasSubstr("UNKNOWN, found 0"));
  EXPECT_THAT(error_of(unk + piece("a", 1) + piece("a", 1)), HasSubstr("pieces[2]: \"a\""));
  EXPECT_THAT(error_of(unk + piece("", 1)), HasSubstr("pieces[1]: the text is empty"));
  EXPECT_THAT(error_of(unk + piece("\xC3", 1)), HasSubstr("not UTF-8"));
  EXPECT_THAT(error_of(unk + piece("a", 9)), HasSubstr("pieces[1].type"));
  EXPECT_THAT(error_of(unk + field(2, std::string("\x98\x02\x01", 3))), HasSubstr("256"));
  EXPECT_THAT(error_of(unk + field(2, "\x18\x03")), HasSubstr("model_type"));
  EXPECT_THAT(error_of(unk + field(3, field(2, "xx"))), HasSubstr("character map"));
}

TEST(SentencePieceErrors, CutFilesNeverCrash) {
  const std::string whole = read(data_folder() / "bpe_unused/tokenizer.model");
  for (std::size_t size = 1; size < whole.size(); size += 1 + size / 16) {
    static_cast<void>(error_of(whole.substr(0, size)));
  }
}

TEST(SentencePiece, TimeIsNotQuadraticInTheText) {
  for (const char* name : {"bpe_bytes", "bpe_symbols", "bpe_unused", "unigram_bytes"}) {
    const auto tokenizer = load_sentencepiece(data_folder() / name / "tokenizer.model");
    EXPECT_FALSE(tokenizer->encode(std::string(1'000'000, 'a')).empty());
    static_cast<void>(tokenizer->encode(std::string(300'000, ' ')));
    static_cast<void>(tokenizer->encode(std::string(300'000, '\n')));
  }
}

}  // namespace
}  // namespace mistral::text
