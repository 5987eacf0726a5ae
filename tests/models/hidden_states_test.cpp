// Last hidden states: the head turns them into the logits of the same rows, and logits do not
// depend on whether states are asked for.
#include <gtest/gtest.h>

#include "golden_case.h"
#include "nn/kv_cache.h"

namespace mistral {
namespace {

using test::Expected;
using test::Logits;

class HiddenStates : public testing::TestWithParam<const char*> {};

TEST_P(HiddenStates, AreWhatTheHeadReads) {
  const auto folder = test::golden_dir() / "text" / GetParam();
  ThreadPool pool(2);
  models::LoadOptions options;
  options.kv_cache_bytes = std::int64_t{1} << 26;
  options.logit_rows = 64;
  const models::LoadedModel loaded = models::load(models::locate(folder), options, pool);
  nn::SequenceModel& model = *loaded.model;
  const auto width = static_cast<std::size_t>(model.hidden_size());
  const auto vocab = static_cast<std::size_t>(model.vocab_size());

  nn::Batch batch;
  for (TokenId id = 0; id < 20; ++id) batch.tokens.push_back(3 + id * 7);
  const std::vector<std::vector<nn::BlockId>> tables(model.cache_groups().size(), {0});
  batch.sequences.push_back({.first_row = 0,
                             .row_count = 20,
                             .first_position = 0,
                             .rope_length = 20,
                             .block_tables = tables});
  batch.logit_rows = {1, 4, 5, 19};
  std::vector<float> alone(batch.logit_rows.size() * vocab);
  model.forward(batch, alone);

  batch.hidden_rows = {0, 1, 5, 7, 19};
  std::vector<float> logits(alone.size());
  std::vector<float> states(batch.hidden_rows.size() * width);
  model.forward(batch, logits, states);
  EXPECT_EQ(logits, alone);

  const Logits head = Expected(folder / "model.safetensors").rows("lm_head.weight");
  const std::pair<std::size_t, std::size_t> both[] = {{1, 0}, {2, 2}, {4, 3}};  // state, logits
  for (const auto& [state, row] : both) {
    for (std::size_t token = 0; token < vocab; ++token) {
      double sum = 0;
      for (std::size_t i = 0; i < width; ++i) {
        sum += static_cast<double>(states[state * width + i]) * head[token][i];
      }
      ASSERT_NEAR(sum, logits[row * vocab + token], 1e-4) << state << ' ' << token;
    }
  }

  batch.logit_rows.clear();
  std::vector<float> again(states.size());
  model.forward(batch, {}, again);
  EXPECT_EQ(again, states);
}

INSTANTIATE_TEST_SUITE_P(Models, HiddenStates, testing::Values("llama-plain", "llama-bias"));

}  // namespace
}  // namespace mistral
