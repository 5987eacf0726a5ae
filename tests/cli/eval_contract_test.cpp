// The contract of `eval`: names, shapes and types of what it writes, and that nothing but the
// input changes the numbers. How close they are to other implementations is tested with the models.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/golden_models.h"
#include "cli/program_runner.h"
#include "formats/safetensors.h"
#include "temporary_folder.h"

namespace mistral::test {
namespace {

using formats::SafetensorsFile;
using testing::FloatNear;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pointwise;

template <typename T>
std::vector<T> values(const SafetensorsFile& file, const std::string& name) {
  const formats::TensorInfo& tensor = file.require(name);
  std::vector<T> result(tensor.view.data.size() / sizeof(T));
  std::memcpy(result.data(), tensor.view.data.data(), tensor.view.data.size());
  return result;
}

std::string list_of(const std::vector<std::int64_t>& ids) {
  return Json(ids).dump();
}

// Greatest index of a row.
std::int64_t argmax(const std::vector<float>& logits, std::size_t row, std::size_t columns) {
  const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(row * columns);
  return std::max_element(begin, begin + static_cast<std::ptrdiff_t>(columns)) - begin;
}

// One Hugging Face folder and one GGUF file.
class EvalContractTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    const std::vector<GoldenModel> models = GetParam() == 0 ? folder_models() : gguf_models();
    ASSERT_FALSE(models.empty()) << "no reference model in " << golden_dir();
    model_ = models.front();
    const auto expected = SafetensorsFile::open({model_.folder / "expected.safetensors"});
    ids_ = values<std::int64_t>(*expected, "input_ids");
    ASSERT_GT(ids_.size(), 20);
    tokens_ = folder_.write("tokens.json", R"({"input_ids": )" + list_of(ids_) + "}");
  }

  // Runs `eval` and returns what it wrote.
  std::shared_ptr<const SafetensorsFile> logits(const std::vector<std::string>& arguments) {
    const std::string out = folder_.path() / ("out" + std::to_string(count_++) + ".safetensors");
    const Outcome outcome =
        run_program(join(join({"eval", "--logits", out}, model_.selector), arguments));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, IsEmpty());
    return SafetensorsFile::open({out});
  }

  TemporaryFolder folder_;
  GoldenModel model_;
  std::vector<std::int64_t> ids_;
  std::string tokens_;
  int count_ = 0;
};

TEST_P(EvalContractTest, WritesInputAndLogits) {
  const auto file = logits({"--tokens", tokens_});
  EXPECT_EQ(file->tensors().size(), 2);
  const auto& input = file->require("input_ids").view;
  EXPECT_EQ(input.dtype, DType::kI64);
  EXPECT_EQ(input.shape.dims, std::vector<std::int64_t>{static_cast<std::int64_t>(ids_.size())});
  EXPECT_EQ(values<std::int64_t>(*file, "input_ids"), ids_);
  const auto& rows = file->require("logits").view;
  EXPECT_EQ(rows.dtype, DType::kF32);
  ASSERT_EQ(rows.shape.rank(), 2);
  EXPECT_EQ(rows.shape[0], static_cast<std::int64_t>(ids_.size()));
  EXPECT_GT(rows.shape[1], 1);
  for (const float value : values<float>(*file, "logits")) ASSERT_TRUE(std::isfinite(value));
}

TEST_P(EvalContractTest, GreedyIdsFollowTheLogits) {
  const auto file = logits({"--tokens", tokens_, "--greedy", "6"});
  EXPECT_EQ(file->tensors().size(), 3);
  EXPECT_EQ(file->require("greedy_ids").view.dtype, DType::kI64);
  const auto greedy = values<std::int64_t>(*file, "greedy_ids");
  ASSERT_EQ(greedy.size(), 6);
  // The prompt and its continuation, fed as a prompt, predict the continuation.
  std::vector<std::int64_t> all = ids_;
  all.insert(all.end(), greedy.begin(), greedy.end());
  const auto again = logits({"--tokens", folder_.write("all.json", list_of(all))});
  const auto rows = values<float>(*again, "logits");
  for (std::size_t i = 0; i < greedy.size(); ++i) {
    EXPECT_EQ(argmax(rows, ids_.size() - 1 + i, rows.size() / all.size()), greedy[i]) << i;
  }
}

TEST_P(EvalContractTest, GreedyAloneIsAJsonLine) {
  const auto expected =
      values<std::int64_t>(*logits({"--tokens", tokens_, "--greedy", "4"}), "greedy_ids");
  const Outcome outcome =
      run_program(join({"eval", "--greedy", "4", "--tokens", tokens_}, model_.selector));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, Json({{"greedy_ids", expected}}).dump() + "\n");
}

TEST_P(EvalContractTest, ChunksAndThreadsChangeNothing) {
  const auto expected = values<float>(*logits({"--tokens", tokens_}), "logits");
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{"--prompt-batchsize", "1"},
        {"--prompt-batchsize", "7"},
        {"--prompt-batchsize=16"},
        {"--prompt-batchsize", "1000"},
        {"--threads", "1"},
        {"--threads", "2"},
        {"--threads=3", "--prompt-batchsize=5"},
        {"--pa-ctxt-len", "256"},
        {"--pa-gpu-mem", "64"}}) {
    const auto actual = values<float>(*logits(join({"--tokens", tokens_}, options)), "logits");
    ASSERT_EQ(actual.size(), expected.size());
    EXPECT_EQ(std::memcmp(actual.data(), expected.data(), expected.size() * sizeof(float)), 0)
        << options.front();
  }
}

// Attention goes over the cache block by block, so the order of its sums depends on the block size.
TEST_P(EvalContractTest, BlockSizeChangesOnlyRounding) {
  const auto expected = values<float>(*logits({"--tokens", tokens_}), "logits");
  for (const char* size : {"8", "16", "32"}) {
    const auto actual =
        values<float>(*logits({"--tokens", tokens_, "--pa-blk-size", size}), "logits");
    EXPECT_THAT(actual, Pointwise(FloatNear(1e-4F), expected)) << size;
  }
}

TEST_P(EvalContractTest, ListsRunTogetherAndChangeNothing) {
  std::vector<std::vector<std::int64_t>> lists;
  for (const std::size_t length : {ids_.size(), std::size_t{1}, std::size_t{5}}) {
    lists.emplace_back(ids_.begin(), ids_.begin() + static_cast<std::ptrdiff_t>(length));
  }
  const auto file = logits({"--tokens", folder_.write("lists.json", Json(lists).dump()), "--greedy",
                            "3", "--prompt-batchsize", "9"});
  EXPECT_EQ(file->tensors().size(), 9);
  for (std::size_t i = 0; i < lists.size(); ++i) {
    const auto alone =
        logits({"--tokens", folder_.write("one.json", list_of(lists[i])), "--greedy", "3"});
    const std::string suffix = "." + std::to_string(i);
    EXPECT_EQ(values<std::int64_t>(*file, "input_ids" + suffix), lists[i]);
    EXPECT_EQ(values<float>(*file, "logits" + suffix), values<float>(*alone, "logits"));
    EXPECT_EQ(values<std::int64_t>(*file, "greedy_ids" + suffix),
              values<std::int64_t>(*alone, "greedy_ids"));
  }
}

TEST_P(EvalContractTest, AListOfOneIsAList) {
  const auto file = logits({"--tokens", folder_.write("lists.json", "[[1, 2]]")});
  EXPECT_NE(file->find("input_ids.0"), nullptr);
  EXPECT_NE(file->find("logits.0"), nullptr);
  EXPECT_EQ(file->tensors().size(), 2);
}

TEST_P(EvalContractTest, SelectorsMeanTheSame) {
  const auto expected = values<float>(*logits({"--tokens", tokens_}), "logits");
  const std::string folder = model_.folder;
  std::vector<std::vector<std::string>> forms;
  if (GetParam() == 0) {
    forms = {{"-m", folder}, {"-m", folder, "plain"}, {"--model-id=" + folder, "plain"}};
  } else {
    forms = {{"-m", folder + "/model-F32.gguf"},
             {"-f", "model-F32.gguf", "gguf", "-m", folder},
             {"-m", folder, "-f", "model-F32.gguf"},
             {"--quantized-filename=model-F32.gguf", "--quantized-model-id", folder}};
  }
  for (const auto& form : forms) {
    const std::string out = folder_.path() / "form.safetensors";
    const Outcome outcome =
        run_program(join({"eval", "--tokens", tokens_, "--logits=" + out}, form));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(values<float>(*SafetensorsFile::open({out}), "logits"), expected);
  }
}

TEST_P(EvalContractTest, PerplexityIsThatOfTheSecondHalves) {
  // Two full windows of 8 and a rest that is not counted.
  constexpr std::size_t kWindow = 8;
  std::vector<std::int64_t> text(ids_.begin(), ids_.begin() + 2 * kWindow + 3);
  const Outcome outcome = run_program(join(
      {"eval", "--perplexity", "--ctx", "8", "--tokens", folder_.write("text.json", list_of(text))},
      model_.selector));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json line = Json::parse(outcome.out);
  EXPECT_EQ(line["tokens"], 2 * (kWindow - 1 - kWindow / 2));

  // The tokenizer adds BOS exactly if an empty text is not empty in tokens.
  const Outcome empty = run_program(join({"tokenize", "--json", "--prompt="}, model_.selector));
  ASSERT_EQ(empty.code, 0) << empty.err;
  const Json begin = Json::parse(empty.out)["ids"];
  double sum = 0;
  for (std::size_t w = 0; w < 2; ++w) {
    std::vector<std::int64_t> window(text.begin() + static_cast<std::ptrdiff_t>(w * kWindow),
                                     text.begin() + static_cast<std::ptrdiff_t>((w + 1) * kWindow));
    if (!begin.empty()) window.front() = begin.front().get<std::int64_t>();
    const auto file = logits({"--tokens", folder_.write("window.json", list_of(window))});
    const auto rows = values<float>(*file, "logits");
    const std::size_t vocab = rows.size() / kWindow;
    for (std::size_t j = kWindow / 2; j + 1 < kWindow; ++j) {
      double total = 0;
      for (std::size_t v = 0; v < vocab; ++v) total += std::exp(double{rows[j * vocab + v]});
      sum += std::log(total) - rows[j * vocab + static_cast<std::size_t>(window[j + 1])];
    }
  }
  const double expected = std::exp(sum / line["tokens"].get<double>());
  EXPECT_NEAR(line["perplexity"].get<double>(), expected, expected * 1e-6);
}

TEST_P(EvalContractTest, PerplexityNeedsAFullWindow) {
  const Outcome outcome = run_program(join(
      {"eval", "--perplexity", "--ctx", "64", "--tokens", folder_.write("text.json", "[1, 2, 3]")},
      model_.selector));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("3 tokens"));
  EXPECT_THAT(outcome.err, HasSubstr("64"));
}

INSTANTIATE_TEST_SUITE_P(Models, EvalContractTest, testing::Values(0, 1),
                         [](const auto& param) { return param.param == 0 ? "Folder" : "Gguf"; });

}  // namespace
}  // namespace mistral::test
