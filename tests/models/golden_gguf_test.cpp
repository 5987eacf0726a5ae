// GGUF models of golden/quant/gguf: logits within the tolerance of the README there.
#include <sstream>

#include "formats/gguf.h"
#include "models/golden_case.h"
#include "models/inspect.h"

namespace mistral::test {
namespace {

// "model-Q4_K.gguf" -> "Q4_K"
std::string key_of(const std::string& file) {
  return file.substr(6, file.size() - 6 - 5);
}

// What a file is held to: exact arithmetic for F32 weights; for others activations may be rounded.
void check_logits(const Json& description, const std::string& file, const Json& facts,
                  const Logits& actual, const Expected& expected, const std::string& truth) {
  const Difference d = difference(actual, expected.rows(truth));
  const bool plain = facts.value("type", "") == "F32" || facts.value("type", "") == "F16" ||
                     truth == "logits_F16" || truth == "logits_BF16";
  if (plain) {
    EXPECT_LE(d.max_abs, 2e-3) << file;  // weights are decoded exactly, activations stay f32
  } else {
    ASSERT_TRUE(facts.contains("llamacpp_vs_truth")) << description.value("what", "");
    EXPECT_LE(d.rms, 1.6 * facts["llamacpp_vs_truth"]["rms"].get<double>()) << file;
  }
}

TEST(GoldenGguf, Logits) {
  int ran = 0;
  for (const auto& folder : case_folders("quant/gguf")) {
    const Json description = read_json(folder / "case.json");
    const Expected expected(folder / "expected.safetensors");
    for (const auto& [file, facts] : description.at("files").items()) {
      SCOPED_TRACE((folder.filename() / file).string());
      std::vector<std::string> names;
      std::istringstream list(file);
      for (std::string name; std::getline(list, name, '+');) names.push_back(name);
      if (!std::filesystem::exists(folder / names[0])) continue;
      try {
        ModelRunner runner(models::locate_gguf(folder, names));
        const std::vector<Logits> logits = runner.prefill({expected.ids("input_ids")});
        const std::string truth = facts.value("truth", "logits_" + key_of(file));
        check_logits(description, file, facts, logits[0], expected, truth);
        // Greedy ids are demanded where no step is close to a tie, for rounded activations well
        // above what these may change.
        const std::string greedy = truth == "logits" ? "greedy_ids" : "greedy_" + key_of(file);
        const double gap = facts.value("greedy_min_gap", description.value("greedy_min_gap", 0.0));
        const bool exact = truth == "logits";
        const double error = facts.contains("llamacpp_vs_truth")
                                 ? facts["llamacpp_vs_truth"]["max_abs"].get<double>()
                                 : 0.0;
        if (expected.has(greedy) && (exact || gap > std::max(0.05, error))) {
          const std::vector<TokenId> ids = expected.ids(greedy);
          EXPECT_EQ(runner.greedy(logits, static_cast<int>(ids.size()))[0], ids);
        }
        ++ran;
      } catch (const Error& error) {
        ADD_FAILURE() << error.what();
      }
    }
  }
  EXPECT_GE(ran, 10);
}

TEST(GoldenGguf, MalformedFilesAreRejected) {
  const auto folder = golden_dir() / "quant/gguf/malformed";
  const Json list = read_json(folder / "malformed.json");
  int rejected = 0;
  for (const auto& [file, facts] : list.at("files").items()) {
    SCOPED_TRACE(file);
    const bool loads = facts.at("must").get<std::string>() == "load";
    try {
      const models::ModelFacts model = models::inspect(models::locate(folder / file));
      EXPECT_TRUE(loads) << "accepted: " << facts.at("defect").get<std::string>();
      EXPECT_GT(model.parameters, 0);
    } catch (const Error& error) {
      EXPECT_FALSE(loads) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      ++rejected;
    }
  }
  EXPECT_GE(rejected, 20);
}

}  // namespace
}  // namespace mistral::test
