// Tensors whose elements are scattered over a file (PyTorch's strides) come out of every member of
// the loader as those that stand one after another.
#include "nn/weight_loader.h"

#include <cstring>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"
#include "ops/ops.h"
#include "ops/reference/reference_backend.h"

namespace mistral::nn {
namespace {

using testing::ElementsAreArray;

// Each tensor twice: "NAME" in place, and "NAME.scattered", which only read() gives.
class TwoForms final : public formats::WeightSource {
 public:
  TwoForms() {
    add("matrix", DType::kF32, {6, 4});
    add("experts", DType::kF32, {3, 2, 4});
    add("more_experts", DType::kF32, {3, 2, 4});
    add("vector", DType::kF32, {8});
    add("codes", DType::kU8, {3, 16});
    add("scales", DType::kU8, {3, 4});
  }

  [[nodiscard]] std::span<const formats::TensorInfo> tensors() const override { return tensors_; }
  [[nodiscard]] const formats::TensorInfo* find(std::string_view name) const override {
    for (const auto& tensor : tensors_) {
      if (tensor.name == name) return &tensor;
    }
    return nullptr;
  }
  [[nodiscard]] const std::vector<std::filesystem::path>& files() const override { return files_; }
  [[nodiscard]] formats::ReadTensor read(const formats::TensorInfo& tensor) const override {
    if (!tensor.scattered) return WeightSource::read(tensor);
    ++collected_;
    formats::ReadTensor out{tensor.view, data_.at(tensor.name)};
    out.view.data = out.collected;
    return out;
  }
  void release(const formats::TensorInfo& tensor) const override {
    // What was collected is no part of a mapping, which an address outside of it would harm.
    EXPECT_FALSE(tensor.scattered) << tensor.name;
    released_.insert(tensor.name);
  }
  void forget(const formats::TensorInfo& tensor) const override {
    EXPECT_FALSE(tensor.scattered) << tensor.name;
    forgotten_.insert(tensor.name);
  }
  void prefetch(const formats::TensorInfo& tensor) const override {
    EXPECT_FALSE(tensor.scattered) << tensor.name;
  }
  void populate(const formats::TensorInfo& tensor) const override {
    EXPECT_FALSE(tensor.scattered) << tensor.name;
    populated_[tensor.name] += tensor.view.data.size();
  }
  void forget_calls() {
    released_.clear();
    populated_.clear();
  }
  [[nodiscard]] const std::set<std::string>& forgotten() const { return forgotten_; }
  [[nodiscard]] const std::set<std::string>& released() const { return released_; }
  [[nodiscard]] const std::map<std::string, std::size_t>& populated() const { return populated_; }
  // A tensor whose numbers nobody reads.
  void claim(const std::string& name, DType dtype, std::vector<std::int64_t> dims) {
    tensors_.push_back({name, {dtype, Shape{std::move(dims)}, {}}, 0, true});
  }
  [[nodiscard]] int collected() const { return collected_; }

 private:
  void add(const std::string& name, DType dtype, std::vector<std::int64_t> dims) {
    formats::TensorInfo tensor{name, {dtype, Shape{std::move(dims)}, {}}, 0, false};
    const auto count = static_cast<std::size_t>(tensor.view.shape.elements());
    std::vector<std::byte>& data = data_[name];
    data.resize(byte_size(tensor.view));
    for (std::size_t i = 0; i < count; ++i) {
      const auto value = static_cast<float>(i + 10 * tensors_.size());
      if (dtype == DType::kF32) {
        std::memcpy(data.data() + i * sizeof value, &value, sizeof value);
      } else {
        data[i] = static_cast<std::byte>(i);
      }
    }
    data_[name + ".scattered"] = data;
    tensor.view.data = data;
    tensors_.push_back(tensor);
    tensor.name += ".scattered";
    tensor.view.data = {};
    tensor.scattered = true;
    tensors_.push_back(tensor);
  }

  std::map<std::string, std::vector<std::byte>> data_;
  std::vector<formats::TensorInfo> tensors_;
  std::vector<std::filesystem::path> files_ = {"file"};
  mutable int collected_ = 0;
  mutable std::set<std::string> released_;
  mutable std::set<std::string> forgotten_;
  mutable std::map<std::string, std::size_t> populated_;  // bytes
};

std::vector<float> numbers(const std::shared_ptr<const ops::Weight>& weight) {
  const auto columns = static_cast<std::size_t>(weight->in());
  std::vector<float> out(static_cast<std::size_t>(weight->out()) * columns);
  for (std::int64_t row = 0; row < weight->out(); ++row) {
    weight->dequantize_row(row, out.data() + static_cast<std::size_t>(row) * columns);
  }
  return out;
}

class WeightLoaderTest : public testing::Test {
 protected:
  ThreadPool pool_{1};
  ops::reference::ReferenceBackend backend_{pool_};
  TwoForms source_;
  WeightLoader loader_{source_, &backend_, DType::kCount, {}};
  WeightLoader checker_{source_, nullptr, DType::kCount, {}};
};

TEST_F(WeightLoaderTest, MatricesOfScatteredTensors) {
  const auto same = [&](auto take) {
    const std::vector<float> plain = numbers(take(loader_, ""));
    EXPECT_FALSE(plain.empty());
    EXPECT_THAT(numbers(take(loader_, ".scattered")), ElementsAreArray(plain));
    EXPECT_EQ(take(checker_, ".scattered"), nullptr);
  };
  same([](WeightLoader& loader, const std::string& form) {
    return loader.matrix("matrix" + form, 6, 4);
  });
  same([](WeightLoader& loader, const std::string& form) {
    return loader.exact_matrix("matrix" + form, 6, 4);
  });
  for (const std::vector<RowRange>& rows :
       {std::vector<RowRange>{{2, 3}}, std::vector<RowRange>{{4, 2}, {0, 1}}}) {
    same([&](WeightLoader& loader, const std::string& form) {
      return loader.matrix_rows("matrix" + form, 6, 4, rows);
    });
  }
  for (std::int64_t expert = 0; expert < 3; ++expert) {
    same([&](WeightLoader& loader, const std::string& form) {
      return loader.slab("experts" + form, 3, expert, 2, 4);
    });
  }
}

TEST_F(WeightLoaderTest, NumbersOfScatteredTensors) {
  EXPECT_THAT(loader_.vector("vector.scattered", 8, 1.0F),
              ElementsAreArray(loader_.vector("vector", 8, 1.0F)));
  EXPECT_THAT(loader_.values("experts.scattered", {3, 2, 4}),
              ElementsAreArray(loader_.values("experts", {3, 2, 4})));
  for (std::int64_t expert = 0; expert < 3; ++expert) {
    EXPECT_THAT(loader_.part("experts.scattered", {3, 2, 4}, expert),
                ElementsAreArray(loader_.part("experts", {3, 2, 4}, expert)));
  }
  EXPECT_TRUE(checker_.values("experts.scattered", {3, 2, 4}).empty());
}

TEST_F(WeightLoaderTest, BytesOfAPairOfScatteredTensors) {
  for (std::int64_t expert = 0; expert < 3; ++expert) {
    const auto codes = loader_.bytes("codes.scattered", {3, 16}, expert);
    const auto scales = loader_.bytes("scales.scattered", {3, 4}, expert);
    EXPECT_THAT(codes, ElementsAreArray(loader_.bytes("codes", {3, 16}, expert)));
    EXPECT_THAT(scales, ElementsAreArray(loader_.bytes("scales", {3, 4}, expert)));
  }
  EXPECT_TRUE(checker_.bytes("codes.scattered", {3, 16}, 0).empty());
}

TEST_F(WeightLoaderTest, MatricesStayInTheFileWhereTheKernelsCanReadThemThere) {
  const auto backend = ops::make_cpu_backend(pool_, std::nullopt);
  std::uint64_t told = 0;
  WeightLoader loader(source_, backend.get(), DType::kCount,
                      [&](std::uint64_t done, std::uint64_t) { told = done; });
  const std::uint64_t copied = loader.copied_bytes();
  const auto keeper = std::make_shared<int>();
  loader.keep_in_file(keeper);
  // In place: 24 numbers of each of three tensors, and a vector of 8.
  EXPECT_EQ(loader.copied_bytes(), copied - (3 * 24 + 8) * sizeof(float));

  const auto matrix = loader.matrix("matrix", 6, 4);
  EXPECT_EQ(told, 24 * sizeof(float));
  const auto expert = loader.slab("experts", 3, 1, 2, 4);
  loader.release("experts");
  EXPECT_THAT(numbers(matrix), ElementsAreArray(numbers(loader_.matrix("matrix", 6, 4))));
  EXPECT_THAT(numbers(expert), ElementsAreArray(numbers(loader_.slab("experts", 3, 1, 2, 4))));
  EXPECT_EQ(keeper.use_count(), 4);  // ours, the loader's and those of two matrices
  auto packing = loader.finish(ReadAhead::Behind::kForget);
  ASSERT_NE(packing, nullptr);
  packing->finish();
  EXPECT_THAT(source_.released(), testing::ElementsAre("experts", "matrix"));
  EXPECT_THAT(source_.forgotten(), testing::ElementsAre("experts", "matrix"));
  EXPECT_THAT(numbers(matrix), ElementsAreArray(numbers(loader_.matrix("matrix", 6, 4))));
  EXPECT_THAT(numbers(expert), ElementsAreArray(numbers(loader_.slab("experts", 3, 1, 2, 4))));
  EXPECT_THAT(source_.populated(),
              testing::ElementsAre(testing::Pair("experts", 8 * sizeof(float)),
                                   testing::Pair("matrix", 24 * sizeof(float))));

  packing.reset();

  // Copied: what is scattered, gathered, or asked for as another type.
  source_.forget_calls();
  const std::vector<RowRange> rows = {{4, 2}, {0, 1}};
  EXPECT_THAT(numbers(loader.matrix("matrix.scattered", 6, 4)), ElementsAreArray(numbers(matrix)));
  EXPECT_THAT(numbers(loader.matrix_rows("matrix", 6, 4, rows)),
              ElementsAreArray(numbers(loader_.matrix_rows("matrix", 6, 4, rows))));
  EXPECT_EQ(keeper.use_count(), 4);
  WeightLoader smaller(source_, backend.get(), DType::kBF16, {});
  smaller.keep_in_file(keeper);
  (void)smaller.matrix("matrix", 6, 4);
  EXPECT_THAT(source_.populated(), testing::IsEmpty());
  EXPECT_THAT(source_.released(), testing::ElementsAre("matrix"));
}

// A file may repeat one element as often as it likes.
TEST_F(WeightLoaderTest, SizesBeyondAnyMachine) {
  constexpr std::int64_t kLarge = std::int64_t{1} << 30;
  source_.claim("large", DType::kBF16, {kLarge, kLarge / 2});
  source_.claim("half", DType::kBF16, {kLarge, kLarge / 4096});
  source_.claim("long", DType::kBF16, {kLarge * kLarge});
  const auto expect_refusal = [](auto take) {
    const Error error = test::error_of(take);
    EXPECT_EQ(error.kind(), ErrorKind::kResource);
    EXPECT_THAT(error.what(), testing::HasSubstr("more memory than any machine has"));
  };
  expect_refusal([&] { return checker_.matrix("large", kLarge, kLarge / 2); });
  expect_refusal([&] { return checker_.exact_matrix("large", kLarge, kLarge / 2); });
  expect_refusal([&] { return checker_.vector("long", kLarge * kLarge); });
  const RowRange all{0, kLarge * kLarge};
  expect_refusal([&] { return checker_.vector_parts("long", kLarge * kLarge, {&all, 1}); });
  EXPECT_EQ(checker_.counted_bytes(), 0U);
  (void)checker_.matrix("half", kLarge, kLarge / 4096);
  EXPECT_EQ(checker_.counted_bytes(), std::uint64_t{1} << 49);
  (void)checker_.matrix("half", kLarge, kLarge / 4096);
  expect_refusal([&] { return checker_.matrix("half", kLarge, kLarge / 4096); });
}

// Parts of a vector in their order; counted is what is kept.
TEST_F(WeightLoaderTest, PartsOfVectorsAndRows) {
  const std::vector<RowRange> parts = {{5, 2}, {0, 1}};
  const std::vector<float> all = loader_.vector("vector", 8);
  const std::uint64_t before = loader_.counted_bytes();
  EXPECT_THAT(loader_.vector_parts("vector", 8, parts),
              testing::ElementsAre(all[5], all[6], all[0]));
  EXPECT_EQ(loader_.counted_bytes() - before, 3 * sizeof(float));
  EXPECT_TRUE(checker_.vector_parts("vector", 8, parts).empty());
  EXPECT_EQ(checker_.counted_bytes(), 3 * sizeof(float));
  const std::vector<float> matrix = loader_.values("matrix", {6, 4});
  EXPECT_THAT(loader_.rows("matrix", {6, 4}, {2, 3}),
              ElementsAreArray(matrix.begin() + 8, matrix.begin() + 20));
  EXPECT_TRUE(checker_.rows("matrix", {6, 4}, {2, 3}).empty());
  EXPECT_EQ(checker_.counted_bytes(), 3 * sizeof(float));
}

// Experts are taken in turns from two tensors, each of which is collected once.
TEST_F(WeightLoaderTest, CollectsAPairOnce) {
  for (std::int64_t expert = 0; expert < 3; ++expert) {
    (void)loader_.slab("experts.scattered", 3, expert, 2, 4);
    (void)loader_.part("more_experts.scattered", {3, 2, 4}, expert);
  }
  EXPECT_EQ(source_.collected(), 2);
  loader_.release("experts.scattered");
  (void)loader_.slab("experts.scattered", 3, 0, 2, 4);
  EXPECT_EQ(source_.collected(), 3);
  (void)checker_.matrix("matrix.scattered", 6, 4);
  EXPECT_EQ(source_.collected(), 3);
}

}  // namespace
}  // namespace mistral::nn
