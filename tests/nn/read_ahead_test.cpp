#include "nn/read_ahead.h"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/thread_pool.h"
#include "nn/weight_loader.h"
#include "ops/reference/reference_backend.h"

namespace mistral::nn {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

// Writes down which parts of its tensors are asked for and given back.
class RecordingSource final : public formats::WeightSource {
 public:
  void add(const std::string& name, std::vector<std::int64_t> dims, bool scattered = false) {
    formats::TensorInfo tensor{name, {DType::kU8, Shape{std::move(dims)}, {}}, 0, scattered};
    data_.emplace_back(byte_size(tensor.view));
    if (!scattered) tensor.view.data = data_.back();
    tensors_.push_back(std::move(tensor));
  }
  [[nodiscard]] std::span<const formats::TensorInfo> tensors() const override { return tensors_; }
  [[nodiscard]] const formats::TensorInfo* find(std::string_view name) const override {
    for (const auto& tensor : tensors_) {
      if (tensor.name == name) return &tensor;
    }
    return nullptr;
  }
  [[nodiscard]] const std::vector<std::filesystem::path>& files() const override { return files_; }
  void release(const formats::TensorInfo&) const override {}
  void prefetch(const formats::TensorInfo& part) const override { note(part, asked_); }
  void populate(const formats::TensorInfo& /*part*/) const override {}
  void forget(const formats::TensorInfo& part) const override { note(part, forgotten_); }
  // What was asked for since the last call: "tensor+offset" and bytes.
  [[nodiscard]] std::vector<std::pair<std::string, std::size_t>> asked() const {
    const std::lock_guard lock(mutex_);
    return std::exchange(asked_, {});
  }
  // As asked(), once another thread has asked `count` times.
  [[nodiscard]] std::vector<std::pair<std::string, std::size_t>> asked_soon(
      std::size_t count) const {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(60), [&] { return asked_.size() >= count; });
    return std::exchange(asked_, {});
  }
  [[nodiscard]] std::vector<std::pair<std::string, std::size_t>> forgotten() const {
    const std::lock_guard lock(mutex_);
    return std::exchange(forgotten_, {});
  }
  [[nodiscard]] std::vector<const formats::TensorInfo*> order(
      const std::vector<std::string>& names) const {
    std::vector<const formats::TensorInfo*> result;
    for (const std::string& name : names) result.push_back(&require(name));
    return result;
  }

 private:
  void note(const formats::TensorInfo& part,
            std::vector<std::pair<std::string, std::size_t>>& parts) const {
    const std::lock_guard lock(mutex_);
    for (const auto& tensor : tensors_) {
      const std::byte* begin = tensor.view.data.data();
      if (part.view.data.data() >= begin &&
          part.view.data.data() + part.view.data.size() <= begin + tensor.view.data.size()) {
        parts.emplace_back(fmt::format("{}+{}", tensor.name, part.view.data.data() - begin),
                           part.view.data.size());
      }
    }
    changed_.notify_all();
  }

  std::deque<std::vector<std::byte>> data_;
  std::vector<formats::TensorInfo> tensors_;
  std::vector<std::filesystem::path> files_ = {"file"};
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable std::vector<std::pair<std::string, std::size_t>> asked_;
  mutable std::vector<std::pair<std::string, std::size_t>> forgotten_;
};

class ReadAheadTest : public testing::Test {
 protected:
  ReadAheadTest() {
    source_.add("a", {100});
    source_.add("b", {30});
    source_.add("c", {200});
    source_.add("collected", {50}, true);
  }
  void follow(ReadAhead& ahead, std::uint64_t taken) const {
    while (const auto step = ahead.next(taken)) {
      step->forget ? source_.forget(step->part) : source_.prefetch(step->part);
    }
  }
  RecordingSource source_;
};

TEST_F(ReadAheadTest, AsksInTheOrderOfUseAndNoFurtherThanTheWindow) {
  ReadAhead ahead(source_.order({"c", "a", "b"}), ReadAhead::Behind::kKeep, 120);
  follow(ahead, 0);
  EXPECT_THAT(source_.asked(), ElementsAre(Pair("c+0", 120)));
  follow(ahead, 120);
  EXPECT_THAT(source_.asked(), ElementsAre(Pair("c+120", 80)));
  follow(ahead, 180);
  EXPECT_THAT(source_.asked(), ElementsAre(Pair("a+0", 100)));
  follow(ahead, 180);
  EXPECT_THAT(source_.asked(), IsEmpty());
  follow(ahead, 300);
  EXPECT_THAT(source_.asked(), ElementsAre(Pair("b+0", 30)));
  follow(ahead, 400);
  EXPECT_THAT(source_.asked(), IsEmpty());
  EXPECT_THAT(source_.forgotten(), IsEmpty());
}

TEST_F(ReadAheadTest, ReadsOnceWhatIsTakenInParts) {
  ReadAhead ahead(source_.order({"a", "b", "a", "b", "a"}), ReadAhead::Behind::kKeep, 1000);
  follow(ahead, 0);
  EXPECT_THAT(source_.asked(), ElementsAre(Pair("a+0", 100), Pair("b+0", 30)));
}

TEST_F(ReadAheadTest, CountsCollectedTensorsWithoutReadingThem) {
  ReadAhead ahead(source_.order({"collected", "b", "a"}), ReadAhead::Behind::kKeep, 80);
  follow(ahead, 0);
  EXPECT_THAT(source_.asked(), ElementsAre(Pair("b+0", 30)));
  follow(ahead, 50);
  EXPECT_THAT(source_.asked(), IsEmpty()) << "smaller than a piece";
  follow(ahead, 100);
  EXPECT_THAT(source_.asked(), ElementsAre(Pair("a+0", 80), Pair("a+80", 20)));
}

TEST_F(ReadAheadTest, ForgetsWhatWasTakenAndNoMore) {
  ReadAhead ahead(source_.order({"c", "collected", "a"}), ReadAhead::Behind::kForget, 40);
  follow(ahead, 0);
  EXPECT_THAT(source_.forgotten(), IsEmpty());
  follow(ahead, 39);
  EXPECT_THAT(source_.forgotten(), IsEmpty()) << "smaller than a piece";
  follow(ahead, 150);
  EXPECT_THAT(source_.forgotten(),
              ElementsAre(Pair("c+0", 40), Pair("c+40", 40), Pair("c+80", 40)));
  follow(ahead, 250);
  EXPECT_THAT(source_.forgotten(), ElementsAre(Pair("c+120", 40), Pair("c+160", 40)));
  follow(ahead, 350);
  EXPECT_THAT(source_.forgotten(),
              ElementsAre(Pair("a+0", 40), Pair("a+40", 40), Pair("a+80", 20)));
}

TEST_F(ReadAheadTest, AsksForLargeTensorsInPieces) {
  constexpr std::size_t kPiece = ReadAhead::kPiece;
  source_.add("large", {static_cast<std::int64_t>(2 * kPiece + 5)});
  ReadAhead ahead(source_.order({"a", "large", "b"}), ReadAhead::Behind::kForget);
  follow(ahead, 0);
  EXPECT_THAT(source_.asked(),
              ElementsAre(Pair("a+0", 100), Pair("large+0", kPiece),
                          Pair(fmt::format("large+{}", kPiece), kPiece),
                          Pair(fmt::format("large+{}", 2 * kPiece), 5), Pair("b+0", 30)));
  follow(ahead, 100 + kPiece + 5);
  EXPECT_THAT(source_.forgotten(), ElementsAre(Pair("a+0", 100), Pair("large+0", kPiece)));
}

TEST_F(ReadAheadTest, LeavesOutWhatWasTakenBefore) {
  ReadAhead ahead(source_.order({"c", "a", "b"}), ReadAhead::Behind::kForget, 120);
  follow(ahead, 305);
  EXPECT_THAT(source_.asked(), ElementsAre(Pair("b+0", 30)));
}

// The loader that only checks tells the order, the one that loads follows it.
TEST_F(ReadAheadTest, TheLoaderAsksForWhatTheCheckerSaw) {
  ThreadPool pool(1);
  ops::reference::ReferenceBackend backend(pool);
  WeightLoader checker(source_, nullptr, DType::kCount, nullptr);
  WeightLoader loader(source_, &backend, DType::kCount, nullptr);
  const auto take = [](WeightLoader& from) {
    (void)from.bytes("b", {30}, 0);
    (void)from.bytes("c", {200}, 7);
  };
  take(checker);
  EXPECT_THAT(source_.asked(), IsEmpty());
  loader.read_ahead(checker.order(), ReadAhead::Behind::kKeep);
  EXPECT_THAT(source_.asked_soon(2), UnorderedElementsAre(Pair("b+0", 30), Pair("c+0", 200)));
  take(loader);
  EXPECT_THAT(source_.asked(), IsEmpty());
}

}  // namespace
}  // namespace mistral::nn
