// Legacy llama files of golden/quant/ggml: logits within the tolerance of the README there, with
// the tokenizer of the folder and with the vocabulary of the file.
#include "core/mapped_file.h"
#include "formats/ggml_bytes.h"
#include "formats/ggml_parser.h"
#include "golden_case.h"
#include "models/inspect.h"
#include "quant/dequantize.h"
#include "temporary_folder.h"
#include "text/tokenizer/tokenizer.h"

namespace mistral::test {
namespace {

// "model-Q4_0.bin" -> "Q4_0"
std::string key_of(const std::string& file) {
  return file.substr(6, file.size() - 6 - 4);
}

// The same model with its weights decoded to F32: written from what the parser read, so that only
// the arithmetic differs.
std::filesystem::path decoded_copy(const std::filesystem::path& source,
                                   const TemporaryFolder& folder) {
  const MappedFile mapped(source);
  const formats::ParsedGgml file = formats::parse_ggml(mapped.bytes());
  GgmlBytes out;
  for (const std::uint32_t field :
       {file.vocab_size, file.embedding, file.multiple, file.heads, file.layers, file.rotary, 0U}) {
    out.u32(field);
  }
  for (std::size_t i = 0; i < file.pieces.size(); ++i) out.piece(file.pieces[i], file.scores[i]);
  for (const formats::TensorInfo& tensor : file.tensors) {
    std::vector<float> values(static_cast<std::size_t>(tensor.view.shape.elements()));
    quant::dequantize_row(tensor.view.dtype, tensor.view.data.data(), values.data(),
                          tensor.view.shape.elements());
    std::vector<std::uint32_t> dims(tensor.view.shape.dims.rbegin(), tensor.view.shape.dims.rend());
    out.tensor(tensor.name, dims, 0, std::as_bytes(std::span(values)));
  }
  return folder.write("decoded.bin", out.bytes());
}

// Quantised weights are multiplied with activations of 8 bits, whose rounding the expected logits
// do not have. How much it may be stands with the same type of golden/quant/gguf/llama-quants.
double rounding_limit(const std::string& type) {
  const Json quants = read_json(golden_dir() / "quant/gguf/llama-quants/case.json");
  return quants.at("files")
      .at("model-" + type + ".gguf")
      .at("tolerance")
      .at("8-bit activations: rms at most");
}

TEST(GoldenGgml, Logits) {
  int ran = 0;
  for (const auto& folder : case_folders("quant/ggml")) {
    const Json description = read_json(folder / "case.json");
    const Expected expected(folder / "expected.safetensors");
    const std::int64_t gqa = description.at("gqa");
    for (const auto& [file, facts] : description.at("files").items()) {
      if (!std::filesystem::exists(folder / file)) continue;  // a reduced copy of the data
      SCOPED_TRACE((folder.filename() / file).string());
      const Logits truth = expected.rows(facts.at("truth").get<std::string>());
      const std::vector<std::vector<TokenId>> prompt = {expected.ids("input_ids")};
      const TemporaryFolder temporary;
      const auto exact = decoded_copy(folder / file, temporary);
      ModelRunner exact_runner(models::locate_ggml(temporary.path(), exact.filename(), gqa));
      const std::vector<Logits> logits = exact_runner.prefill(prompt);
      EXPECT_LE(difference(logits[0], truth).max_abs, description.at("atol").get<double>());
      const std::vector<TokenId> ids = expected.ids("greedy_" + key_of(file));
      EXPECT_EQ(exact_runner.greedy(logits, static_cast<int>(ids.size()))[0], ids);

      ModelRunner runner(models::locate_ggml(folder, file, gqa));
      const Difference d = difference(runner.prefill(prompt)[0], truth);
      if (facts.at("ftype").get<int>() < 2) {
        EXPECT_LE(d.max_abs, description.at("atol").get<double>());
      } else {
        EXPECT_LE(d.rms, rounding_limit(key_of(file)));
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
