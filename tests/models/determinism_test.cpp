// A row's logits are the same bits alone, in a batch, in chunks, and on any number of threads.
#include "models/golden_case.h"

namespace mistral::test {
namespace {

// Eight prompts of different lengths over the model's vocabulary.
std::vector<std::vector<TokenId>> prompts(int vocab) {
  std::vector<std::vector<TokenId>> result;
  unsigned state = 12345;
  for (const int length : {70, 1, 33, 7, 64, 65, 2, 48}) {
    std::vector<TokenId> prompt;
    for (int i = 0; i < length; ++i) {
      state = state * 1664525U + 1013904223U;
      prompt.push_back(static_cast<TokenId>((state >> 8) % static_cast<unsigned>(vocab)));
    }
    result.push_back(std::move(prompt));
  }
  return result;
}

void check(const models::ModelPath& path, std::optional<ops::CacheDType> cache_dtype = {}) {
  std::vector<Logits> reference;
  for (const int threads : {1, 2, 3}) {
    ModelRunner runner(path, threads, models::ComputeDType::kAuto, cache_dtype);
    const auto all = prompts(runner.model().vocab_size());
    if (reference.empty()) {
      for (const auto& prompt : all) reference.push_back(runner.prefill({prompt})[0]);
    }
    for (const int chunk : {1 << 20, 64, 7, 1}) {
      const std::vector<Logits> together = runner.prefill(all, chunk);
      for (std::size_t i = 0; i < all.size(); ++i) {
        EXPECT_TRUE(identical(together[i], reference[i]))
            << "prompt " << i << ", chunks of " << chunk << ", " << threads << " threads";
      }
    }
  }
}

TEST(Determinism, EveryWeightType) {
  int ran = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(golden_dir() / "quant/gguf/llama-quants")) {
    if (entry.path().extension() != ".gguf") continue;
    SCOPED_TRACE(entry.path().filename().string());
    check(models::locate(entry.path()));
    ++ran;
  }
  EXPECT_GE(ran, 2);
}

// Every case: alone, in a mixed batch of four, and in chunks of 1, 5 and 64.
TEST(Determinism, EveryFamily) {
  int ran = 0;
  for (const auto& folder : case_folders("text")) {
    if (folder.filename().string().starts_with("format-")) continue;
    SCOPED_TRACE(folder.filename().string());
    std::vector<Logits> reference;
    for (const int threads : {1, 2}) {
      ModelRunner runner(models::locate(folder), threads);
      auto all = prompts(runner.model().vocab_size());
      all.resize(4);
      all.push_back(Expected(folder / "expected.safetensors").ids("input_ids"));
      all.erase(all.begin() + 1);
      if (reference.empty()) {
        for (const auto& prompt : all) reference.push_back(runner.prefill({prompt})[0]);
      }
      for (const int chunk : {1 << 20, 64, 5, 1}) {
        const std::vector<Logits> together = runner.prefill(all, chunk);
        for (std::size_t i = 0; i < all.size(); ++i) {
          EXPECT_TRUE(identical(together[i], reference[i]))
              << "prompt " << i << ", chunks of " << chunk << ", " << threads << " threads";
        }
      }
    }
    ++ran;
  }
  EXPECT_GE(ran, 10);
}

TEST(Determinism, EveryCacheType) {
  const auto folder = golden_dir() / "text" / "gemma3-text";
  ASSERT_TRUE(std::filesystem::exists(folder)) << folder;
  for (const ops::CacheDType dtype : ops::kCacheDTypes) {
    SCOPED_TRACE(ops::name(dtype));
    check(models::locate(folder), dtype);
  }
}

}  // namespace
}  // namespace mistral::test
