// Runs a loaded model without the engine: sequences get their own consecutive blocks, prompts go in
// by chunks, several sequences ride in one batch.
#pragma once

#include <algorithm>
#include <filesystem>
#include <optional>
#include <vector>

#include "models/loader.h"

namespace mistral::test {

using Logits = std::vector<std::vector<float>>;  // a row per token

inline TokenId argmax(const std::vector<float>& row) {
  return static_cast<TokenId>(std::max_element(row.begin(), row.end()) - row.begin());
}

class ModelRunner {
 public:
  explicit ModelRunner(const models::ModelPath& path, int threads = 1,
                       models::ComputeDType dtype = models::ComputeDType::kAuto,
                       std::optional<ops::CacheDType> cache_dtype = std::nullopt)
      : ModelRunner(path, options_for(dtype, cache_dtype), threads) {}
  ModelRunner(const models::ModelPath& path, const models::LoadOptions& options, int threads = 1)
      : pool_(threads), loaded_(models::load(path, options, pool_)) {}

  models::LoadedModel& loaded() { return loaded_; }
  nn::SequenceModel& model() { return *loaded_.model; }

  // All sequences together, each `chunk` tokens at a time; returns every row's logits. Afterwards
  // the sequences can be continued.
  std::vector<Logits> prefill(const std::vector<std::vector<TokenId>>& prompts,
                              int chunk = 1 << 20) {
    positions_.assign(prompts.size(), 0);
    lengths_.clear();
    for (const auto& prompt : prompts) lengths_.push_back(static_cast<std::int32_t>(prompt.size()));
    std::vector<Logits> result(prompts.size());
    const std::int32_t most = model().max_batch_rows() / static_cast<std::int32_t>(prompts.size());
    chunk = std::min(chunk, most);
    for (bool more = true; more;) {
      more = false;
      std::vector<std::vector<TokenId>> rows(prompts.size());
      for (std::size_t s = 0; s < prompts.size(); ++s) {
        const auto from = static_cast<std::size_t>(positions_[s]);
        const std::size_t count =
            std::min(prompts[s].size() - from, static_cast<std::size_t>(chunk));
        rows[s].assign(prompts[s].begin() + static_cast<std::ptrdiff_t>(from),
                       prompts[s].begin() + static_cast<std::ptrdiff_t>(from + count));
        more = more || from + count < prompts[s].size();
      }
      std::vector<Logits> step_logits = step(rows);
      for (std::size_t s = 0; s < prompts.size(); ++s) {
        for (auto& row : step_logits[s]) result[s].push_back(std::move(row));
      }
    }
    return result;
  }

  // Continues after prefill() with the most likely tokens.
  std::vector<std::vector<TokenId>> greedy(const std::vector<Logits>& prefilled, int count) {
    std::vector<std::vector<TokenId>> ids;
    for (const Logits& logits : prefilled) ids.push_back({argmax(logits.back())});
    for (int i = 1; i < count; ++i) {
      std::vector<std::vector<TokenId>> rows;
      for (const auto& list : ids) rows.push_back({list.back()});
      const std::vector<Logits> logits = step(rows);
      for (std::size_t s = 0; s < ids.size(); ++s) ids[s].push_back(argmax(logits[s].back()));
    }
    return ids;
  }

 private:
  static models::LoadOptions options_for(models::ComputeDType dtype,
                                         std::optional<ops::CacheDType> cache_dtype) {
    models::LoadOptions options;
    options.dtype = dtype;
    options.kv_cache_dtype = cache_dtype;
    options.kv_cache_bytes = std::int64_t{1} << 30;
    options.max_memory = std::int64_t{1} << 40;  // next to nothing of this cache is filled
    return options;
  }
  std::vector<Logits> step(const std::vector<std::vector<TokenId>>& rows) {
    nn::Batch batch;
    std::vector<std::size_t> owner;
    for (std::size_t s = 0; s < rows.size(); ++s) {
      if (rows[s].empty()) continue;
      nn::BatchSequence sequence;
      sequence.first_row = batch.rows();
      sequence.row_count = static_cast<std::int32_t>(rows[s].size());
      sequence.first_position = positions_[s];
      sequence.rope_length = lengths_[s];
      positions_[s] += sequence.row_count;
      // Block b of sequence s is s * blocks + b, in every group.
      const std::int32_t size = model().block_size();
      const std::int32_t blocks = 4096 / size;
      for (std::size_t g = 0; g < model().cache_groups().size(); ++g) {
        std::vector<nn::BlockId> table;
        for (std::int32_t b = 0; b * size < positions_[s]; ++b) {
          table.push_back(static_cast<std::int32_t>(s) * blocks + b);
        }
        sequence.block_tables.push_back(std::move(table));
      }
      for (const TokenId id : rows[s]) {
        batch.logit_rows.push_back(batch.rows());
        batch.tokens.push_back(id);
        owner.push_back(s);
      }
      batch.sequences.push_back(std::move(sequence));
    }
    const auto vocab = static_cast<std::size_t>(model().vocab_size());
    std::vector<float> logits(owner.size() * vocab);
    model().forward(batch, logits);
    std::vector<Logits> result(rows.size());
    for (std::size_t i = 0; i < owner.size(); ++i) {
      const auto row = logits.begin() + static_cast<std::ptrdiff_t>(i * vocab);
      result[owner[i]].emplace_back(row, row + static_cast<std::ptrdiff_t>(vocab));
    }
    return result;
  }

  ThreadPool pool_;
  models::LoadedModel loaded_;
  std::vector<std::int32_t> positions_;
  std::vector<std::int32_t> lengths_;
};

}  // namespace mistral::test
