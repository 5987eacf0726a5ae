#include "benchmarks/random_model.h"

#include <cmath>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "formats/gguf.h"
#include "formats/open_weights.h"
#include "mistral/model.h"
#include "quant/dequantize.h"
#include "temporary_folder.h"

namespace mistral::benchmarks {
namespace {

RandomModelShape small_shape() {
  RandomModelShape shape;
  shape.layers = 2;
  shape.hidden = 256;
  shape.feed_forward = 512;
  shape.heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = 64;
  shape.vocab = 600;
  shape.context = 128;
  return shape;
}

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class RandomModelTest : public testing::TestWithParam<DType> {
 protected:
  [[nodiscard]] std::filesystem::path file() const { return folder_.path() / "model.gguf"; }
  test::TemporaryFolder folder_;
};

TEST_P(RandomModelTest, IsAModelThatAnswers) {
  write_random_model(file(), small_shape(), GetParam(), 1);
  Model model = Model::load({.path = file().string(), .threads = 1, .kv_cache_tokens = 128});
  EXPECT_EQ(model.info().vocab_size, 600);
  EXPECT_EQ(model.info().context_length, 128);
  const std::string text = "about \xC3\xA4ther, and more";
  EXPECT_EQ(model.detokenize(model.tokenize(text, false)), text);
  SamplingParams greedy;
  greedy.max_tokens = 4;
  greedy.ignore_eos = true;
  const Response response = model.complete(text, greedy);
  EXPECT_EQ(response.tokens.size(), 4) << response.error;
}

TEST_P(RandomModelTest, MatricesHaveTheTypeAndTheSpread) {
  write_random_model(file(), small_shape(), GetParam(), 1);
  const auto source = formats::GgufFile::open({file()});
  int matrices = 0;
  for (const formats::TensorInfo& tensor : source->tensors()) {
    if (tensor.view.shape.rank() != 2) continue;
    ++matrices;
    EXPECT_EQ(tensor.view.dtype, GetParam()) << tensor.name;
    const std::int64_t count = tensor.view.shape.elements();
    std::vector<float> values(static_cast<std::size_t>(count));
    quant::dequantize_row(tensor.view.dtype, tensor.view.data.data(), values.data(), count);
    double squares = 0;
    std::set<float> different;
    for (const float value : values) {
      squares += double{value} * double{value};
      different.insert(value);
    }
    EXPECT_NEAR(std::sqrt(squares / static_cast<double>(count)), 0.02, 0.004) << tensor.name;
    EXPECT_GT(different.size(), 100U) << tensor.name;
  }
  EXPECT_EQ(matrices, 1 + 2 * 7);
}

INSTANTIATE_TEST_SUITE_P(Types, RandomModelTest,
                         testing::Values(DType::kF32, DType::kF16, DType::kBF16, DType::kQ4_0,
                                         DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0,
                                         DType::kQ2_K, DType::kQ3_K, DType::kQ4_K, DType::kQ5_K,
                                         DType::kQ6_K),
                         [](const auto& type) { return std::string(name(type.param)); });

class RandomFolderTest : public testing::TestWithParam<DType> {};

TEST_P(RandomFolderTest, IsAModelThatAnswers) {
  const test::TemporaryFolder folder;
  RandomModelShape shape = small_shape();
  shape.separate_head = true;
  write_random_folder(folder.path() / "model", shape, GetParam(), 1, std::int64_t{1} << 20);
  const auto source = formats::open_weights(folder.path() / "model");
  EXPECT_GT(source->files().size(), 2U);
  EXPECT_EQ(source->tensors().size(), 3U + 2 * 9);
  for (const formats::TensorInfo& tensor : source->tensors()) {
    EXPECT_EQ(tensor.view.dtype, GetParam()) << tensor.name;
  }
  Model model = Model::load(
      {.path = (folder.path() / "model").string(), .threads = 1, .kv_cache_tokens = 128});
  EXPECT_EQ(model.info().vocab_size, 600);
  EXPECT_EQ(model.info().context_length, 128);
  const std::string text = "about \xC3\xA4ther, and more";
  EXPECT_EQ(model.detokenize(model.tokenize(text, false)), text);
  SamplingParams greedy;
  greedy.max_tokens = 4;
  greedy.ignore_eos = true;
  const Response response = model.complete(text, greedy);
  EXPECT_EQ(response.tokens.size(), 4) << response.error;
}

INSTANTIATE_TEST_SUITE_P(Types, RandomFolderTest,
                         testing::Values(DType::kF32, DType::kF16, DType::kBF16),
                         [](const auto& type) { return std::string(name(type.param)); });

TEST(RandomFolderFilesTest, ShardsKeepToTheirSize) {
  const test::TemporaryFolder folder;
  constexpr std::int64_t kMost = std::int64_t{1} << 20;
  write_random_folder(folder.path(), small_shape(), DType::kBF16, 1, kMost);
  int shards = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    if (entry.path().extension() != ".safetensors") continue;
    ++shards;
    constexpr std::int64_t kHeader = 4096;
    EXPECT_LE(static_cast<std::int64_t>(entry.file_size()), kMost + kHeader) << entry.path();
  }
  EXPECT_GT(shards, 2);
  EXPECT_EQ(formats::open_weights(folder.path())->find("lm_head.weight"), nullptr);
}

TEST(RandomFolderFilesTest, RefusesWhatCannotBe) {
  const test::TemporaryFolder folder;
  RandomModelShape experts = small_shape();
  experts.experts = 4;
  const auto path = folder.path() / "x";
  EXPECT_THROW(write_random_folder(path, experts, DType::kBF16, 1, 1 << 20), Error);
  EXPECT_THROW(write_random_folder(path, small_shape(), DType::kQ4_K, 1, 1 << 20), Error);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(RandomModelFileTest, TheHeadMayBeAMatrixOfItsOwn) {
  const test::TemporaryFolder folder;
  RandomModelShape shape = small_shape();
  shape.separate_head = true;
  write_random_model(folder.path() / "x.gguf", shape, DType::kQ4_K, 1);
  const auto source = formats::GgufFile::open({folder.path() / "x.gguf"});
  ASSERT_NE(source->find("output.weight"), nullptr);
  EXPECT_EQ(source->find("output.weight")->view.shape,
            source->find("token_embd.weight")->view.shape);
  Model model = Model::load(
      {.path = (folder.path() / "x.gguf").string(), .threads = 1, .kv_cache_tokens = 128});
  EXPECT_GT(model.info().parameters, 2 * shape.vocab * shape.hidden);
}

TEST(RandomModelFileTest, TheSeedDecides) {
  const test::TemporaryFolder folder;
  const auto make = [&](const char* name, std::uint64_t seed) {
    write_random_model(folder.path() / name, small_shape(), DType::kQ4_0, seed);
    return bytes_of(folder.path() / name);
  };
  const std::string first = make("a", 7);
  EXPECT_EQ(make("b", 7), first);
  EXPECT_NE(make("c", 8), first);
}

TEST(RandomModelFileTest, RefusesWhatCannotBe) {
  const test::TemporaryFolder folder;
  const auto refused = [&](auto change, DType type = DType::kQ4_K) {
    RandomModelShape shape = small_shape();
    change(shape);
    EXPECT_THROW(write_random_model(folder.path() / "x", shape, type, 1), Error);
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "x"));
  };
  refused([](RandomModelShape& shape) { shape.hidden = 128; });  // half a block
  refused([](RandomModelShape& shape) { shape.layers = 0; });
  refused([](RandomModelShape& shape) { shape.kv_heads = 3; });
  refused([](RandomModelShape& shape) { shape.head_dim = -64; });
  refused([](RandomModelShape& shape) { shape.vocab = 256; });
  refused([](RandomModelShape& shape) { shape.vocab = 100'000; });
  refused([](RandomModelShape&) {}, DType::kIQ2_XS);
  EXPECT_THROW(write_random_model(folder.path() / "missing" / "x", small_shape(), DType::kF32, 1),
               Error);
}

}  // namespace
}  // namespace mistral::benchmarks
