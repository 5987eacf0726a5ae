// Vocabularies of GGUF files against llama.cpp (golden/tokenizer/gguf) and the models of
// golden/quant/gguf.
#include <gtest/gtest.h>
#include <unistd.h>

#include "formats/gguf.h"
#include "text/tokenizer/tokenizer.h"
#include "tokenizer_cases.h"

namespace mistral::text {
namespace {

namespace fs = std::filesystem;

// Opens a GGUF file; a gzip file goes through a temporary copy.
std::unique_ptr<Tokenizer> load(const fs::path& path) {
  if (path.extension() != ".gz") {
    return load_gguf_tokenizer(formats::GgufFile::open({path})->metadata());
  }
  const fs::path copy =
      fs::temp_directory_path() / ("mistral_vocabulary_" + std::to_string(::getpid()) + ".gguf");
  std::ofstream(copy, std::ios::binary) << test::read_file(path);
  auto tokenizer = load_gguf_tokenizer(formats::GgufFile::open({copy})->metadata());
  fs::remove(copy);
  return tokenizer;
}

TEST(TokenizerGguf, EncodesAndDecodesAsTheReference) {
  const fs::path folder = test::golden_dir() / "tokenizer/gguf";
  const Json index = Json::parse(test::read_file(folder / "index.json"));
  std::size_t cases = 0;
  for (const auto& [name, entry] : index.items()) {
    const fs::path vocabulary = folder / entry["file"].get<std::string>();
    if (!fs::exists(vocabulary)) continue;  // whole models are not part of the data
    const auto tokenizer = load(vocabulary);
    EXPECT_EQ(entry["vocab"].get<std::size_t>(), tokenizer->vocab_size());
    for (const Json& expected : test::read_json_lines(folder / (name + ".cases.jsonl"))) {
      SCOPED_TRACE(name + expected.dump());
      const auto ids = expected["ids"].get<std::vector<TokenId>>();
      EXPECT_EQ(ids, tokenizer->encode(expected["text"].get<std::string>(),
                                       {.add_special = expected["add_special"].get<bool>(),
                                        .parse_special = expected["parse_special"].get<bool>()}));
      EXPECT_EQ(expected["detok"], tokenizer->decode(ids, false));
      ++cases;
    }
  }
  EXPECT_GT(cases, 0U);
}

// Texts in NAME.inp, separated by a line; ids in NAME.out, one line for each.
TEST(TokenizerGguf, PassesTheVocabularyTestsOfLlamaCpp) {
  constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";
  std::size_t cases = 0;
  for (const auto& entry : fs::directory_iterator(test::golden_dir() / "tokenizer/gguf")) {
    if (entry.path().extension() != ".inp") continue;
    fs::path vocabulary = entry.path();
    vocabulary.replace_extension();
    if (!fs::exists(vocabulary)) vocabulary += ".gz";
    fs::path answers = entry.path();
    answers.replace_extension(".out");
    ASSERT_TRUE(fs::exists(vocabulary)) << vocabulary;
    const auto tokenizer = load(vocabulary);
    std::ifstream out(answers);
    const std::string input = test::read_file(entry.path());
    for (std::size_t begin = 0; begin < input.size();) {
      const std::size_t end = std::min(input.find(kSeparator, begin), input.size());
      std::string line;
      if (!std::getline(out, line)) break;
      std::istringstream numbers(line);
      const std::vector<TokenId> ids{std::istream_iterator<TokenId>(numbers), {}};
      SCOPED_TRACE(vocabulary.string() + ": " + input.substr(begin, end - begin));
      EXPECT_EQ(ids, tokenizer->encode(input.substr(begin, end - begin),
                                       {.add_special = false, .parse_special = false}));
      begin = end + kSeparator.size();
      ++cases;
    }
  }
  EXPECT_GT(cases, 0U);
}

TEST(TokenizerGguf, EncodesTheTextsOfTheQuantisedModels) {
  std::size_t cases = 0;
  for (const fs::path& folder : test::golden_folders(
           "quant/gguf", [](const fs::path& path) { return fs::exists(path / "case.json"); })) {
    const Json description = Json::parse(test::read_file(folder / "case.json"));
    if (!description.contains("tokenizer_tests") || !description.contains("files")) continue;
    for (const auto& [name, file] : description["files"].items()) {
      if (!fs::exists(folder / name)) continue;
      const auto tokenizer = load(folder / name);
      for (const Json& expected : description["tokenizer_tests"]) {
        SCOPED_TRACE((folder / name).string() + expected.dump());
        EXPECT_EQ(expected["llamacpp"].get<std::vector<TokenId>>(),
                  tokenizer->encode(expected["text"].get<std::string>()));
        ++cases;
      }
      break;  // the files of a folder share the vocabulary
    }
  }
  EXPECT_GT(cases, 0U);
}

}  // namespace
}  // namespace mistral::text
