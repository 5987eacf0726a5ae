// Legacy llama files of golden/quant/ggml: logits within the tolerance of the README there, with
// the tokenizer of the folder and with the vocabulary of the file.
#include "golden_case.h"
#include "models/inspect.h"
#include "text/tokenizer/tokenizer.h"

namespace mistral::test {
namespace {

// "model-Q4_0.bin" -> "Q4_0"
std::string key_of(const std::string& file) {
  return file.substr(6, file.size() - 6 - 4);
}

TEST(GoldenGgml, Logits) {
  int ran = 0;
  for (const auto& folder : case_folders("quant/ggml")) {
    const Json description = read_json(folder / "case.json");
    const Expected expected(folder / "expected.safetensors");
    for (const auto& [file, facts] : description.at("files").items()) {
      if (!std::filesystem::exists(folder / file)) continue;  // a reduced copy of the data
      SCOPED_TRACE((folder.filename() / file).string());
      ModelRunner runner(models::locate_ggml(folder, file, description.at("gqa")));
      const std::vector<Logits> logits = runner.prefill({expected.ids("input_ids")});
      const Difference d =
          difference(logits[0], expected.rows(facts.at("truth").get<std::string>()));
      EXPECT_LE(d.max_abs, description.at("atol").get<double>());
      const std::vector<TokenId> ids = expected.ids("greedy_" + key_of(file));
      if (facts.at("greedy_min_gap").get<double>() > 0.05) {
        EXPECT_EQ(runner.greedy(logits, static_cast<int>(ids.size()))[0], ids);
      }
      ++ran;
    }
  }
  EXPECT_GE(ran, 3);
}

// Found by its first bytes, without a selector.
TEST(GoldenGgml, IsLocatedAndDescribed) {
  int ran = 0;
  for (const auto& folder : case_folders("quant/ggml")) {
    if (read_json(folder / "case.json").at("gqa") != 1) continue;
    const models::ModelFacts facts = models::inspect(models::locate(folder / "model-F16.bin"));
    EXPECT_EQ(facts.kind, "ggml");
    EXPECT_EQ(facts.architecture, "llama");
    EXPECT_EQ(facts.context_length, 4096);
    EXPECT_EQ(facts.name, "model-F16");
    ++ran;
  }
  EXPECT_GE(ran, 1);
}

// Nothing but the user knows the factor: a wrong one shows in the shapes.
TEST(GoldenGgml, AWrongFactorIsRefused) {
  const auto folder = golden_dir() / "quant/ggml/llama-ggjt3-gqa2";
  try {
    (void)models::inspect(models::locate_ggml(folder, "model-F32.bin", 1));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("attn_k"), std::string::npos) << error.what();
  }
}

TEST(GoldenGgml, TheVocabularyOfTheFileIsThatOfTheFolder) {
  const auto folder = golden_dir() / "quant/ggml/llama-ggjt3";
  const auto path = models::locate_ggml(folder, "model-F16.bin", 1);
  ThreadPool pool(1);
  models::LoadOptions options;
  options.kv_cache_bytes = std::int64_t{1} << 24;
  const models::LoadedModel own = models::load(path, options, pool);
  options.text.tokenizer_folder = folder;
  const models::LoadedModel other = models::load(path, options, pool);
  ASSERT_NE(own.tokenizer, nullptr) << own.tokenizer_problem;
  ASSERT_NE(other.tokenizer, nullptr) << other.tokenizer_problem;
  EXPECT_EQ(own.tokenizer->vocab_size(), other.tokenizer->vocab_size());
  EXPECT_EQ(own.end_tokens, other.end_tokens);
  for (const char* text : {"Hello, world!", " leading and  double  blanks ",
                           "the whale and the sea", "caf\xc3\xa9 \xf0\x9f\x90\x8b 3.14", "\n\tx"}) {
    const auto ids = own.tokenizer->encode(text, {});
    EXPECT_EQ(ids, other.tokenizer->encode(text, {})) << text;
    EXPECT_EQ(own.tokenizer->decode(ids, true), other.tokenizer->decode(ids, true)) << text;
  }
}

TEST(GoldenGgml, MalformedFilesAreRejected) {
  const auto folder = golden_dir() / "quant/ggml/malformed";
  const Json list = read_json(folder.parent_path() / "malformed.json");
  int rejected = 0;
  for (const auto& [file, facts] : list.items()) {
    SCOPED_TRACE(file);
    try {
      (void)models::inspect(models::locate_ggml(folder, file, 1));
      ADD_FAILURE() << "accepted: " << facts.at("defect").get<std::string>();
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
      EXPECT_NE(message.find(file), std::string::npos) << message;
      ++rejected;
    }
  }
  EXPECT_GE(rejected, 8);
}

}  // namespace
}  // namespace mistral::test
