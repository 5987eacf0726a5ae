// A model and a tokenizer for tests of the engine.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "nn/sequence_model.h"
#include "text/tokenizer/tokenizer.h"

namespace mistral::engine {

// The next token is a function of all tokens that the sequence's cache shows through its block
// tables, group by group within the windows. So a wrong table, position or lost block gives another
// answer than next_token() computes from the plain history.
class FakeModel : public nn::SequenceModel {
 public:
  std::int32_t vocab = 300;
  std::int32_t context = 4096;
  std::int32_t rows = 64;
  std::int32_t block = 8;
  std::vector<nn::CacheGroup> groups = {{.window = 0, .bytes_per_block = 64},
                                        {.window = 21, .bytes_per_block = 32}};
  std::int64_t bytes = 1 << 20;
  std::int32_t last_id = 255;  // answers consist of ids 0 to last_id
  // Called before each step, on the engine's thread; may throw.
  std::function<void(const nn::Batch&)> on_step;
  // Called with each wanted row's logits.
  std::function<void(const nn::BatchSequence&, std::int64_t position, std::span<float>)> on_logits;
  std::atomic<int> steps{0};
  std::atomic<int> widest{0};       // sequences in a step
  std::atomic<int> most_logits{0};  // rows of logits in a step

  [[nodiscard]] std::int32_t vocab_size() const override { return vocab; }
  [[nodiscard]] std::int32_t context_length() const override { return context; }
  [[nodiscard]] std::int32_t max_batch_rows() const override { return rows; }
  [[nodiscard]] std::int32_t block_size() const override { return block; }
  [[nodiscard]] std::span<const nn::CacheGroup> cache_groups() const override { return groups; }
  [[nodiscard]] std::int64_t cache_bytes() const override { return bytes; }

  // What follows a history, by the plain rule.
  [[nodiscard]] TokenId next_token(std::span<const TokenId> history) const {
    std::uint64_t hash = 1;
    const auto length = static_cast<std::int64_t>(history.size());
    for (const nn::CacheGroup& group : groups) {
      const std::int64_t first =
          group.window > 0 ? std::max<std::int64_t>(0, length - group.window) : 0;
      for (std::int64_t p = first; p < length; ++p) {
        hash = mix(hash, p, history[static_cast<std::size_t>(p)]);
      }
    }
    return token_of(hash);
  }

  void forward(const nn::Batch& batch, std::span<float> logits) override {
    if (on_step) on_step(batch);
    ++steps;
    widest = std::max(widest.load(), static_cast<int>(batch.sequences.size()));
    most_logits = std::max(most_logits.load(), static_cast<int>(batch.logit_rows.size()));
    check(batch, logits.size());
    std::size_t next = 0;
    for (const nn::BatchSequence& sequence : batch.sequences) {
      for (std::int32_t r = 0; r < sequence.row_count; ++r) {
        const std::int64_t position = sequence.first_position + r;
        const TokenId token = batch.tokens[static_cast<std::size_t>(sequence.first_row + r)];
        for (std::size_t g = 0; g < groups.size(); ++g) slot(sequence, g, position) = token;
        if (next == batch.logit_rows.size() || batch.logit_rows[next] != sequence.first_row + r) {
          continue;
        }
        const std::span<float> row = logits.subspan(next++ * static_cast<std::size_t>(vocab),
                                                    static_cast<std::size_t>(vocab));
        std::fill(row.begin(), row.end(), 0.0F);
        row[static_cast<std::size_t>(token_of(cached_hash(sequence, position)))] = 9;
        if (on_logits) on_logits(sequence, position, row);
      }
    }
    EXPECT_EQ(next, batch.logit_rows.size());
  }

 private:
  static std::uint64_t mix(std::uint64_t hash, std::int64_t position, TokenId token) {
    hash ^=
        static_cast<std::uint64_t>(position) * 0x9e3779b97f4a7c15U + static_cast<unsigned>(token);
    hash *= 0xff51afd7ed558ccdU;
    return hash ^ (hash >> 29U);
  }
  [[nodiscard]] TokenId token_of(std::uint64_t hash) const {
    return static_cast<TokenId>((hash >> 20U) % static_cast<std::uint64_t>(last_id + 1));
  }

  TokenId& slot(const nn::BatchSequence& sequence, std::size_t group, std::int64_t position) {
    const nn::BlockId id =
        sequence.block_tables.at(group).at(static_cast<std::size_t>(position / block));
    EXPECT_NE(id, nn::kNoBlock);
    EXPECT_LT(id, bytes / groups[group].bytes_per_block);
    std::vector<TokenId>& memory = cache_[{group, id}];
    memory.resize(static_cast<std::size_t>(block), -1);
    return memory[static_cast<std::size_t>(position % block)];
  }

  std::uint64_t cached_hash(const nn::BatchSequence& sequence, std::int64_t last) {
    std::uint64_t hash = 1;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const std::int64_t window = groups[g].window;
      const std::int64_t first = window > 0 ? std::max<std::int64_t>(0, last - window + 1) : 0;
      for (std::int64_t p = first; p <= last; ++p) hash = mix(hash, p, slot(sequence, g, p));
    }
    return hash;
  }

  void check(const nn::Batch& batch, std::size_t logits) const {
    EXPECT_GE(batch.rows(), 1);
    EXPECT_LE(batch.rows(), rows);
    EXPECT_EQ(logits, batch.logit_rows.size() * static_cast<std::size_t>(vocab));
    EXPECT_TRUE(std::is_sorted(batch.logit_rows.begin(), batch.logit_rows.end()));
    std::int32_t row = 0;
    std::map<std::pair<std::size_t, nn::BlockId>, std::int64_t> used;  // tokens computed in it
    for (const nn::BatchSequence& sequence : batch.sequences) {
      EXPECT_EQ(sequence.first_row, row);
      EXPECT_GE(sequence.row_count, 1);
      row += sequence.row_count;
      EXPECT_EQ(sequence.block_tables.size(), groups.size());
      for (std::size_t g = 0; g < sequence.block_tables.size(); ++g) {
        for (std::size_t b = 0; b < sequence.block_tables[g].size(); ++b) {
          const nn::BlockId id = sequence.block_tables[g][b];
          if (id == nn::kNoBlock) continue;
          // Sequences share blocks that all of them have done with.
          const std::int64_t full = static_cast<std::int64_t>(b + 1) * block;
          const auto [other, first] = used.try_emplace({g, id}, sequence.first_position);
          EXPECT_TRUE(first ||
                      std::min<std::int64_t>(other->second, sequence.first_position) >= full)
              << "a shared block is written to";
        }
      }
    }
    EXPECT_EQ(row, batch.rows());
  }

  std::map<std::pair<std::size_t, nn::BlockId>, std::vector<TokenId>> cache_;
};

// Ids below 256 are bytes; from 256 on they are words given by the test; `special` ids print
// nothing.
class FakeTokenizer : public text::Tokenizer {
 public:
  std::vector<std::string> words;
  std::set<TokenId> special;

  [[nodiscard]] std::vector<TokenId> encode(std::string_view text,
                                            const text::EncodeOptions&) const override {
    std::vector<TokenId> ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  [[nodiscard]] std::string decode(std::span<const TokenId> ids, bool skip) const override {
    std::string text;
    for (std::size_t i = 0; i < ids.size(); ++i) append_bytes(ids[i], i == 0, skip, text);
    return text;
  }
  void append_bytes(TokenId id, bool, bool skip, std::string& out) const override {
    if (skip && special.contains(id)) return;
    if (id < 256) {
      out += static_cast<char>(id);
    } else if (static_cast<std::size_t>(id) < vocab_size()) {
      out += words[static_cast<std::size_t>(id) - 256];
    }
  }
  [[nodiscard]] std::size_t vocab_size() const override { return 256 + words.size(); }
  [[nodiscard]] std::string_view token(TokenId) const override { return {}; }
  [[nodiscard]] std::optional<TokenId> find(std::string_view) const override { return {}; }
  [[nodiscard]] bool is_special(TokenId id) const override { return special.contains(id); }
  [[nodiscard]] std::optional<TokenId> bos() const override { return {}; }
  [[nodiscard]] std::optional<TokenId> eos() const override { return {}; }
  [[nodiscard]] std::optional<TokenId> unk() const override { return {}; }
  [[nodiscard]] std::optional<TokenId> pad() const override { return {}; }
  [[nodiscard]] bool adds_bos() const override { return false; }
  [[nodiscard]] bool adds_eos() const override { return false; }
};

}  // namespace mistral::engine
