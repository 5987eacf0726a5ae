// The plan made before loading against what loading and running then take, for every reference
// model.
#include "models/memory_plan.h"

#include <limits>
#include <sstream>

#include <gmock/gmock.h>

#include "error_of.h"
#include "models/golden_case.h"
#include "models/inspect.h"
#include "nn/decoder.h"

namespace mistral::test {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kAnyMemory = std::int64_t{1} << 50;

struct PlannedModel {
  std::string name;
  models::ModelPath path;
  std::vector<TokenId> ids;
};

std::vector<PlannedModel> text_models() {
  std::vector<PlannedModel> found;
  for (const auto& folder : case_folders("text")) {
    const Expected expected(folder / "expected.safetensors");
    found.push_back(
        {folder.filename().string(), models::locate(folder), expected.ids("input_ids")});
  }
  return found;
}

std::vector<PlannedModel> quantized_models() {
  std::vector<PlannedModel> found;
  for (const char* area : {"quant/gguf", "quant/ggml"}) {
    for (const auto& folder : case_folders(area)) {
      const Json description = read_json(folder / "case.json");
      const Expected expected(folder / "expected.safetensors");
      for (const auto& [file, facts] : description.at("files").items()) {
        std::vector<std::string> names;
        std::istringstream list(file);
        for (std::string name; std::getline(list, name, '+');) names.push_back(name);
        if (!std::filesystem::exists(folder / names[0])) continue;
        const bool gguf = std::string(area) == "quant/gguf";
        found.push_back({(folder.filename() / file).string(),
                         gguf ? models::locate_gguf(folder, names)
                              : models::locate_ggml(folder, file, description.at("gqa")),
                         expected.ids("input_ids")});
      }
    }
  }
  return found;
}

// With buffers for just the steps and positions that `ids` need.
models::LoadOptions options_for(const std::vector<TokenId>& ids) {
  models::LoadOptions options;
  options.kv_cache_bytes = std::int64_t{1} << 28;
  options.context_length = static_cast<std::int64_t>(ids.size());
  options.max_batch_rows = static_cast<std::int32_t>(ids.size());
  options.logit_rows = options.max_batch_rows;
  options.max_memory = kAnyMemory;
  return options;
}

models::MemoryPlan plan_of(const models::ModelPath& path, const models::LoadOptions& options) {
  models::Description description = models::describe(path);
  return models::plan_memory(description, options);
}

// Loads, runs the ids in one step, and compares. `spare`: the part of the planned buffers that may
// be left, because not every matrix reads every form, and tables are not always filled.
void expect_as_planned(const PlannedModel& model, models::ComputeDType dtype, double spare) {
  models::LoadOptions options = options_for(model.ids);
  options.dtype = dtype;
  const models::MemoryPlan plan = plan_of(model.path, options);
  ModelRunner runner(model.path, options);
  const auto& decoder = dynamic_cast<const nn::Decoder&>(runner.model());
  EXPECT_EQ(plan.weights, decoder.weight_bytes());
  EXPECT_EQ(plan.cache, decoder.cache_bytes());
  std::int64_t block = 0;
  for (const nn::CacheGroup& group : decoder.cache_groups()) block += group.bytes_per_block;
  EXPECT_EQ(plan.cache_block, block);
  EXPECT_EQ(plan.block_size, decoder.block_size());

  const std::vector<Logits> logits = runner.prefill({model.ids});
  const std::uint64_t used =
      decoder.activation_bytes() + logits[0].size() * logits[0].front().size() * sizeof(float);
  EXPECT_LE(used, plan.buffers);
  EXPECT_GE(static_cast<double>(used), (1 - spare) * static_cast<double>(plan.buffers));
}

TEST(MemoryPlan, IsWhatFoldersTake) {
  int ran = 0;
  for (const PlannedModel& model : text_models()) {
    SCOPED_TRACE(model.name);
    for (const auto dtype : {models::ComputeDType::kAuto, models::ComputeDType::kF32,
                             models::ComputeDType::kF16, models::ComputeDType::kBF16}) {
      expect_as_planned(model, dtype, 0.1);
      ++ran;
    }
  }
  EXPECT_GE(ran, 40);
}

TEST(MemoryPlan, IsWhatGgufAndGgmlFilesTake) {
  int ran = 0;
  for (const PlannedModel& model : quantized_models()) {
    SCOPED_TRACE(model.name);
    expect_as_planned(model, models::ComputeDType::kAuto, 0.5);
    ++ran;
  }
  EXPECT_GE(ran, 10);
}

TEST(MemoryPlan, InspectingTellsTheSame) {
  for (const PlannedModel& model : text_models()) {
    SCOPED_TRACE(model.name);
    models::LoadOptions options = options_for(model.ids);
    const models::ModelFacts facts = models::inspect(model.path, options);
    options.kv_cache_tokens = options.context_length;
    const models::MemoryPlan plan = plan_of(model.path, options);
    EXPECT_EQ(facts.memory.weights, plan.weights);
    EXPECT_EQ(facts.memory.buffers, plan.buffers);
    EXPECT_EQ(facts.memory.cache, plan.cache);
  }
}

// A byte less than planned is refused, before any weight is taken; the whole is not.
TEST(MemoryPlan, ARefusalComesBeforeLoading) {
  auto models = text_models();
  for (PlannedModel& model : quantized_models()) models.push_back(std::move(model));
  for (const PlannedModel& model : models) {
    SCOPED_TRACE(model.name);
    models::LoadOptions options = options_for(model.ids);
    int progress = 0;
    options.on_progress = [&progress](std::uint64_t, std::uint64_t) { ++progress; };
    const models::MemoryPlan plan = plan_of(model.path, options);
    ThreadPool pool(1);
    options.max_memory = static_cast<std::int64_t>(plan.total()) - 1;
    const Error error = error_of([&] { return models::load(model.path, options, pool); });
    EXPECT_EQ(error.kind(), ErrorKind::kResource);
    EXPECT_THAT(error.what(), HasSubstr(models::memory_size(plan.weights)));
    EXPECT_THAT(error.what(), HasSubstr(models::memory_size(plan.buffers)));
    EXPECT_THAT(error.what(), HasSubstr(models::memory_size(plan.total())));
    EXPECT_EQ(progress, 0);
    options.max_memory = static_cast<std::int64_t>(plan.total());
    (void)models::load(model.path, options, pool);
    EXPECT_GT(progress, 0);
  }
}

class OneModelTest : public testing::Test {
 protected:
  void SetUp() override { options_.max_memory = kAnyMemory; }
  [[nodiscard]] models::MemoryPlan plan() const { return plan_of(path_, options_); }
  [[nodiscard]] Error refusal() const {
    return error_of([this] { return plan(); });
  }

  models::ModelPath path_ = models::locate(golden_dir() / "text/llama-plain");
  models::LoadOptions options_;
};

// What is left of a limit is the cache's; the system is left the larger part of its memory.
TEST_F(OneModelTest, CacheWithoutASize) {
  options_.max_memory = std::int64_t{1} << 30;
  const models::MemoryPlan given = plan();
  EXPECT_LE(given.total(), std::uint64_t{1} << 30);
  EXPECT_GT(given.total(), std::uint64_t{1} << 29);
  options_.max_memory = 1;
  EXPECT_EQ(plan().cache, plan().cache_block);
  options_.max_memory = 0;
  const models::MemoryPlan found = plan();
  EXPECT_FALSE(found.limit_given);
  EXPECT_LE(found.cache, found.limit / 4);
  EXPECT_GE(found.cache, found.cache_block);
}

TEST_F(OneModelTest, CacheByTheShareInUse) {
  options_.max_memory = std::int64_t{1} << 30;
  options_.memory_usage = 0.5;
  const models::MemoryPlan half = plan();
  EXPECT_LE(half.total(), std::uint64_t{1} << 29);
  EXPECT_GT(half.total(), (std::uint64_t{1} << 29) - (std::uint64_t{1} << 20));
  options_.kv_cache_tokens = 32;  // it goes before this
  EXPECT_EQ(plan().cache, half.cache);
  options_.memory_usage = 1e-5;
  EXPECT_THAT(std::string(refusal().what()), HasSubstr("not enough is left for a KV cache"));
}

TEST_F(OneModelTest, TheAdviceIsWhatHelps) {
  options_.max_memory = 1;
  const auto advice = [this] {
    return std::string(error_of([this] {
                         models::require_fit(plan(), "it");
                         return 0;
                       }).what());
  };
  EXPECT_THAT(advice(), HasSubstr("fewer bits"));
  options_.max_memory = std::int64_t{1} << 28;
  options_.kv_cache_tokens = std::int64_t{1} << 30;
  EXPECT_THAT(advice(), HasSubstr("smaller KV cache"));
  EXPECT_THAT(advice(), HasSubstr("256.0 MiB"));
}

TEST_F(OneModelTest, SizesThatCannotBeCounted) {
  options_.kv_cache_tokens = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(refusal().kind(), ErrorKind::kInvalidArgument);
  options_.kv_cache_tokens = 0;
  options_.kv_cache_bytes = 1;
  EXPECT_EQ(refusal().kind(), ErrorKind::kInvalidArgument);
  options_.kv_cache_bytes = 0;
  options_.context_length = (std::int64_t{1} << 28) + 1;
  EXPECT_THAT(refusal().what(), HasSubstr("268435457"));
}

TEST_F(OneModelTest, TheLargestSizesAreRefusedOrCounted) {
  options_.max_batch_rows = std::numeric_limits<std::int32_t>::max();
  options_.logit_rows = options_.max_batch_rows;
  options_.context_length = std::int64_t{1} << 28;
  options_.kv_cache_bytes = std::numeric_limits<std::int64_t>::max();
  const models::MemoryPlan large = plan();
  EXPECT_GT(large.buffers, std::uint64_t{1} << 40);
  EXPECT_GT(large.total(), std::uint64_t{1} << 63);
  EXPECT_EQ(error_of([&] {
              models::require_fit(large, "it");
              return 0;
            }).kind(),
            ErrorKind::kResource);
}

TEST_F(OneModelTest, NarrowerStorageTakesLess) {
  const auto weights = [this](models::ComputeDType dtype) {
    options_.dtype = dtype;
    return plan().weights;
  };
  EXPECT_LT(weights(models::ComputeDType::kBF16), weights(models::ComputeDType::kF32));
  options_.kv_cache_dtype = ops::CacheDType::kQ8;
  const std::int64_t narrow = plan().cache_block;
  options_.kv_cache_dtype = ops::CacheDType::kF32;
  EXPECT_LT(narrow, plan().cache_block);
}

}  // namespace
}  // namespace mistral::test
