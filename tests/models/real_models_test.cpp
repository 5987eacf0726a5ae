// Real small models against float32 references of their exactly decoded weights (golden/real), held
// to the bars of the README there: near to what llama.cpp gets on the same data.
//
// The models are too large for the repository: scripts/fetch-model puts them into the cache folder.
#include <cstdlib>
#include <thread>

#include "golden_case.h"

namespace mistral::test {
namespace {

constexpr std::size_t kListed = 32;       // tokens of the reference at every position
constexpr double kClearLead = 0.3;        // nats between the reference's first and second token
constexpr double kMaxLogProbRatio = 1.1;  // of llama.cpp's error
constexpr double kMaxKlRatio = 1.6;       // it moves by half from one setting to another
constexpr double kMinTopClear = 0.985;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::filesystem::path models_folder() {
  if (const std::string cache = variable("MISTRAL_CACHE_DIR"); !cache.empty()) {
    return std::filesystem::path(cache) / "models";
  }
  const std::string base = variable("XDG_CACHE_HOME");
  return (base.empty() ? std::filesystem::path(variable("HOME")) / ".cache"
                       : std::filesystem::path(base)) /
         "mistral.cpp" / "models";
}

std::vector<std::string> reference_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(golden_dir() / "real")) {
    if (entry.path().extension() == ".safetensors") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

struct Distance {
  int positions = 0;
  double abs_sum = 0;  // of the mean |difference of log-probability| over the listed tokens
  double kl_sum = 0;
  int clear = 0;
  int clear_same = 0;
};

// Natural logarithm of the softmax's denominator.
double log_sum_exp(const std::vector<float>& row) {
  const double top = *std::ranges::max_element(row);
  double sum = 0;
  for (const float value : row) sum += std::exp(static_cast<double>(value) - top);
  return top + std::log(sum);
}

void add_text(Distance& distance, const Logits& logits,
              const std::vector<std::vector<std::int32_t>>& top_ids, const Logits& top_logprobs) {
  // A lone first token has huge activations and says nothing about the rest.
  for (std::size_t t = 1; t < logits.size(); ++t) {
    const double denominator = log_sum_exp(logits[t]);
    double abs_sum = 0;
    for (std::size_t k = 0; k < kListed; ++k) {
      const double reference = top_logprobs[t][k];
      const double actual =
          static_cast<double>(logits[t][static_cast<std::size_t>(top_ids[t][k])]) - denominator;
      abs_sum += std::abs(actual - reference);
      distance.kl_sum += std::exp(reference) * (reference - actual);
    }
    distance.abs_sum += abs_sum / kListed;
    ++distance.positions;
    if (top_logprobs[t][0] - top_logprobs[t][1] >= kClearLead) {
      ++distance.clear;
      distance.clear_same += static_cast<int>(argmax(logits[t]) == top_ids[t][0]);
    }
  }
}

Distance measure(ModelRunner& runner, const std::filesystem::path& file) {
  const auto reference = formats::SafetensorsFile::open({file});
  const Expected expected(file);
  Distance distance;
  for (int i = 0; expected.has(fmt::format("input_ids.{}", i)); ++i) {
    const std::vector<Logits> logits =
        runner.prefill({expected.ids(fmt::format("input_ids.{}", i))});
    const TensorView& ids = reference->require(fmt::format("top_ids.{}", i)).view;
    std::vector<std::vector<std::int32_t>> top_ids(logits[0].size(),
                                                   std::vector<std::int32_t>(kListed));
    EXPECT_EQ(ids.data.size(), top_ids.size() * kListed * sizeof(std::int32_t));
    for (std::size_t t = 0; t < top_ids.size(); ++t) {
      std::memcpy(top_ids[t].data(), ids.data.data() + t * kListed * sizeof(std::int32_t),
                  kListed * sizeof(std::int32_t));
    }
    add_text(distance, logits[0], top_ids, expected.rows(fmt::format("top_logprobs.{}", i)));
  }
  return distance;
}

class RealModel : public testing::TestWithParam<std::string> {};

TEST_P(RealModel, IsAsNearToTheReferenceAsLlamaCpp) {
  const std::filesystem::path path = models_folder() / (GetParam() + ".gguf");
  if (!std::filesystem::exists(path) && variable("CI") != "true") {
    GTEST_SKIP() << path << " is not there; scripts/fetch-model " << GetParam() << " fetches it";
  }
  const Json bar = read_json(golden_dir() / "real" / "llama.cpp.json").at(GetParam());

  ModelRunner runner(models::locate(path), static_cast<int>(std::thread::hardware_concurrency()));
  const Distance distance = measure(runner, golden_dir() / "real" / (GetParam() + ".safetensors"));

  ASSERT_EQ(distance.positions, bar.at("positions").get<int>());
  const double mean_abs = distance.abs_sum / distance.positions;
  const double kl = distance.kl_sum / distance.positions;
  const double clear = static_cast<double>(distance.clear_same) / distance.clear;
  fmt::print("{}: mean |dlogprob| {:.4f} (llama.cpp {:.4f}), KL {:.5f} ({:.5f}), clear {:.4f}\n",
             GetParam(), mean_abs, bar.at("mean_abs_dlogprob").get<double>(), kl,
             bar.at("kl_top32").get<double>(), clear);
  EXPECT_LE(mean_abs, kMaxLogProbRatio * bar.at("mean_abs_dlogprob").get<double>());
  EXPECT_LE(kl, kMaxKlRatio * bar.at("kl_top32").get<double>());
  EXPECT_GE(clear, std::min(kMinTopClear, bar.at("top1_clear").get<double>()));
}

INSTANTIATE_TEST_SUITE_P(Golden, RealModel, testing::ValuesIn(reference_names()),
                         [](const auto& model) {
                           std::string name = model.param;
                           std::ranges::replace_if(
                               name, [](char c) { return std::isalnum(c) == 0; }, '_');
                           return name;
                         });

TEST(RealModels, AllFourHaveReferences) {
  EXPECT_GE(reference_names().size(), 4U);
}

}  // namespace
}  // namespace mistral::test
