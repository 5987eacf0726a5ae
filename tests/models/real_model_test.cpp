// The four real small models against float32 references, to the bars of golden/real/README.md.
#include <cstdlib>

#include "models/golden_case.h"

namespace mistral::test {
namespace {

std::filesystem::path cached_model(const std::string& name) {
  const auto variable = [](const char* key) -> std::filesystem::path {
    const char* value = std::getenv(key);
    return value == nullptr ? "" : value;
  };
  std::filesystem::path cache = variable("MISTRAL_CACHE_DIR");
  if (cache.empty()) {
    const std::filesystem::path base = variable("XDG_CACHE_HOME");
    cache = (base.empty() ? variable("HOME") / ".cache" : base) / "mistral.cpp";
  }
  return cache / "models" / (name + ".gguf");
}

std::vector<double> log_softmax(const std::vector<float>& row) {
  const double most = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const float x : row) sum += std::exp(static_cast<double>(x) - most);
  std::vector<double> result;
  for (const float x : row) result.push_back(static_cast<double>(x) - most - std::log(sum));
  return result;
}

struct Scores {
  double positions = 0;
  double mean_abs = 0;
  double kl = 0;
  double clear = 0;
  double clear_agree = 0;
};

class RealModel : public testing::TestWithParam<std::string> {};

TEST_P(RealModel, CloseToTheReference) {
  const std::string name = GetParam();
  const auto file = cached_model(name);
  if (!std::filesystem::exists(file)) {
    ASSERT_EQ(std::getenv("CI"), nullptr)
        << file << " is missing; run scripts/fetch-model " << name;
    GTEST_SKIP() << file << " is not there; scripts/fetch-model fetches it";
  }
  const auto golden = golden_dir() / "real";
  const Json peer = read_json(golden / "llama.cpp.json").at(name);
  const auto expected = formats::SafetensorsFile::open({golden / (name + ".safetensors")});
  const Expected tensors(golden / (name + ".safetensors"));
  ModelRunner runner(models::locate(file), ThreadPool::default_size());

  Scores scores;
  for (int text = 0; tensors.has("input_ids." + std::to_string(text)); ++text) {
    const std::string suffix = "." + std::to_string(text);
    const Logits logits = runner.prefill({tensors.ids("input_ids" + suffix)})[0];
    const Logits reference = tensors.rows("top_logprobs" + suffix);
    const TensorView& top = expected->require("top_ids" + suffix).view;
    const std::size_t width = reference[0].size();
    // Position 0 is left out: a lone first token is an attention sink.
    for (std::size_t t = 1; t < logits.size(); ++t) {
      const std::vector<double> ours = log_softmax(logits[t]);
      double mean = 0;
      std::int32_t first = 0;
      for (std::size_t i = 0; i < width; ++i) {
        std::int32_t id = 0;
        std::memcpy(&id, top.data.data() + (t * width + i) * 4, 4);
        if (i == 0) first = id;
        const double want = static_cast<double>(reference[t][i]);
        const double got = ours[static_cast<std::size_t>(id)];
        mean += std::abs(want - got) / static_cast<double>(width);
        scores.kl += std::exp(want) * (want - got);
      }
      scores.mean_abs += mean;
      scores.positions += 1;
      if (reference[t][0] - reference[t][1] >= 0.3F) {
        scores.clear += 1;
        scores.clear_agree += argmax(logits[t]) == first ? 1 : 0;
      }
    }
  }
  ASSERT_GT(scores.positions, 50);
  const double mean_abs = scores.mean_abs / scores.positions;
  const double kl = scores.kl / scores.positions;
  const double clear = scores.clear_agree / scores.clear;
  std::printf(
      "%s: mean_abs_dlogprob %.4f (llama.cpp %.4f), kl_top32 %.5f (%.5f), top1_clear %.4f (%.4f)\n",
      name.c_str(), mean_abs, peer.at("mean_abs_dlogprob").get<double>(), kl,
      peer.at("kl_top32").get<double>(), clear, peer.at("top1_clear").get<double>());
  EXPECT_LE(mean_abs, 1.1 * peer.at("mean_abs_dlogprob").get<double>());
  EXPECT_LE(kl, 1.6 * peer.at("kl_top32").get<double>());
  EXPECT_GE(clear, std::min(0.985, peer.at("top1_clear").get<double>()));
}

INSTANTIATE_TEST_SUITE_P(Models, RealModel,
                         testing::Values("smollm2-135m", "gemma3-270m", "qwen2.5-coder-0.5b",
                                         "qwen2.5-coder-1.5b"),
                         [](const auto& model) {
                           std::string name = model.param;
                           std::replace_if(
                               name.begin(), name.end(),
                               [](char c) { return c == '.' || c == '-'; }, '_');
                           return name;
                         });

}  // namespace
}  // namespace mistral::test
