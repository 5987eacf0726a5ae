// Attention of the CPU kernels against the reference, and the same bits for a query however the
// step is cut.
#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ops/attention_cases.h"
#include "ops/backends.h"

namespace mistral::ops {
namespace {

using test::ActivationBuffers;
using test::fill;
using test::Heads;
using test::kSpans;
using test::lengths;
using test::make_cache;
using test::row_count;
using test::sequences_of;
using test::Span;

class CpuAttention : public test::PerKernelSet {};

void check_attention(test::Backends& backends, const Heads& heads, const AttentionParams& params) {
  SCOPED_TRACE(fmt::format("{} heads {}/{} dims {}/{} block {} window {} chunk {} softcap {}",
                           name(heads.dtype), heads.heads, heads.kv_heads, heads.head_dim,
                           heads.value_dim, heads.block_size, params.window, params.chunk,
                           params.softcap));
  test::PagedCache cache = make_cache(heads, lengths(kSpans));
  fill(cache, kSpans);
  const auto sequences = sequences_of(kSpans, cache);
  const std::int64_t rows = row_count(kSpans);
  const std::int64_t q_cols = std::int64_t{heads.heads} * heads.head_dim;
  const std::int64_t y_cols = std::int64_t{heads.heads} * heads.value_dim;
  const unsigned forms = y_cols % 32 == 0 ? kFormF32 | kFormQ8x32 : kFormF32;
  const auto q = test::random_values(rows * q_cols, 22);
  const auto run = [&](Backend& backend, std::span<const AttentionSequence> some,
                       std::int64_t first, std::int64_t count) {
    ActivationBuffers out(count, y_cols, forms);
    backend.attention(params, cache.layer(), some,
                      {q.data() + first * q_cols, count, q_cols, q_cols}, out.view());
    return out;
  };
  ActivationBuffers got = run(*backends.cpu, sequences, 0, rows);
  ActivationBuffers want = run(*backends.reference, sequences, 0, rows);
  ASSERT_NO_FATAL_FAILURE(test::expect_close(got.values(), want.values(), 1e-5));
  run(*backends.threaded, sequences, 0, rows).expect_same(got);

  // Every row in a step of its own, by either number of threads.
  for (const AttentionSequence& sequence : sequences) {
    for (std::int32_t i = 0; i < sequence.row_count; i += i + 1 < sequence.row_count ? 3 : 1) {
      const std::int64_t row = sequence.first_row + i;
      const AttentionSequence alone{0, 1, sequence.first_position + i, sequence.blocks};
      Backend& backend = i % 2 == 0 ? *backends.cpu : *backends.threaded;
      ActivationBuffers part = run(backend, {&alone, 1}, row, 1);
      const auto begin = got.values().begin() + row * y_cols;
      ASSERT_NO_FATAL_FAILURE(test::expect_same_bits(part.values(), {begin, begin + y_cols}))
          << "row " << row;
    }
  }
  // In two chunks at an odd place.
  const AttentionSequence& prompt = sequences[0];
  for (const std::int32_t cut : {1, 37, 64}) {
    const AttentionSequence later{0, prompt.row_count - cut, cut, prompt.blocks};
    ActivationBuffers part = run(*backends.cpu, {&later, 1}, cut, prompt.row_count - cut);
    const auto begin = got.values().begin() + cut * y_cols;
    ASSERT_NO_FATAL_FAILURE(test::expect_same_bits(
        part.values(), {begin, got.values().begin() + prompt.row_count * y_cols}))
        << "from " << cut;
  }
}

TEST_P(CpuAttention, HeadsAndDims) {
  const Heads cases[] = {{1, 1, 1, 1, 8},       {4, 2, 16, 16, 8},  {8, 8, 20, 12, 16},
                         {6, 2, 64, 64, 32},    {7, 1, 80, 80, 32}, {14, 2, 64, 64, 16},
                         {71, 1, 8, 9, 8},      {2, 1, 33, 31, 32}, {3, 3, 256, 17, 32},
                         {12, 2, 128, 128, 32}, {9, 3, 96, 96, 16}, {4, 1, 256, 256, 32},
                         {2, 2, 192, 128, 32},  {5, 1, 48, 80, 8}};
  for (Heads heads : cases) {
    for (const CacheDType dtype : kCacheDTypes) {
      heads.dtype = dtype;
      AttentionParams params;
      params.heads = heads.heads;
      params.scale = 1.0F / std::sqrt(static_cast<float>(heads.head_dim));
      check_attention(backends_, heads, params);
    }
  }
}

TEST_P(CpuAttention, WindowsAndSoftcaps) {
  for (const std::int32_t block_size : {8, 16, 32}) {
    for (const std::int32_t window : {0, 1, 7, 32, 40, 600, 4096}) {
      for (const float softcap : {0.0F, 2.5F}) {
        Heads heads;
        heads.block_size = block_size;
        heads.dtype = kCacheDTypes[static_cast<std::size_t>(window) % 4];
        AttentionParams params;
        params.heads = heads.heads;
        params.scale = 0.3F;
        params.window = window;
        params.softcap = softcap;
        check_attention(backends_, heads, params);
      }
    }
  }
}

TEST_P(CpuAttention, Chunks) {
  for (const std::int32_t block_size : {8, 16, 32}) {
    // Edges within the prompt, on the edges of partitions, before and behind single tokens.
    for (const std::int32_t chunk : {1, 7, 32, 33, 256, 506, 1090, 1091, 4096}) {
      for (const std::int32_t window : {0, 20}) {
        Heads heads;
        heads.block_size = block_size;
        heads.dtype = kCacheDTypes[static_cast<std::size_t>(chunk) % 4];
        AttentionParams params;
        params.heads = heads.heads;
        params.scale = 0.3F;
        params.window = window;
        params.chunk = chunk;
        check_attention(backends_, heads, params);
      }
    }
  }
}

TEST_P(CpuAttention, Sinks) {
  // Below, among and far above the scores: then nearly nothing is left for the values.
  const std::vector<float> sinks = {-300.0F, 0.0F, 3.0F, 150.0F, 1.0F, -2.0F};
  for (const CacheDType dtype : kCacheDTypes) {
    for (const std::int32_t window : {0, 9}) {
      const Heads heads{6, 2, 32, 32, 16, dtype};
      AttentionParams params;
      params.heads = heads.heads;
      params.scale = 0.3F;
      params.window = window;
      params.sinks = sinks.data();
      check_attention(backends_, heads, params);
    }
  }
}

// The values of latent attention are the first dims of keys.
TEST_P(CpuAttention, ValuesInKeys) {
  const Heads cases[] = {{1, 1, 1, 1, 8},      {3, 1, 576, 512, 32}, {16, 1, 80, 64, 16},
                         {5, 1, 37, 29, 8},    {8, 2, 48, 17, 32},   {128, 1, 40, 32, 16},
                         {131, 1, 18, 16, 32}, {4, 4, 24, 24, 8}};
  for (Heads heads : cases) {
    heads.values_in_keys = true;
    const bool large = std::int64_t{heads.heads} * heads.head_dim > 1500;  // slow in the reference
    for (const CacheDType dtype : kCacheDTypes) {
      if (large && dtype != CacheDType::kF32 && dtype != CacheDType::kQ8) continue;
      heads.dtype = dtype;
      AttentionParams params;
      params.heads = heads.heads;
      params.scale = 1.0F / std::sqrt(static_cast<float>(heads.head_dim));
      params.window = dtype == CacheDType::kQ8 ? 40 : 0;
      check_attention(backends_, heads, params);
    }
  }
}

// Scores so large that exp overflows without the running maximum.
TEST_P(CpuAttention, LargeScores) {
  Heads heads;
  AttentionParams params;
  params.heads = heads.heads;
  params.scale = 40.0F;
  test::PagedCache cache = make_cache(heads, lengths(kSpans));
  fill(cache, kSpans);
  const auto sequences = sequences_of(kSpans, cache);
  const std::int64_t rows = row_count(kSpans);
  const auto q = test::random_values(rows * 64, 23);
  const auto run = [&](Backend& backend) {
    ActivationBuffers out(rows, 64, kFormF32);
    backend.attention(params, cache.layer(), sequences, {q.data(), rows, 64, 64}, out.view());
    return out.values();
  };
  test::expect_close(run(*backends_.cpu), run(*backends_.reference), 2e-3);
}

// The order of sums goes by position, so blocks may have any size.
TEST_P(CpuAttention, BlockSizeDoesNotMatter) {
  for (const CacheDType dtype : kCacheDTypes) {
    for (const std::int32_t window : {0, 50}) {
      Heads heads{6, 1, 64, 64, 32, dtype, window > 0};
      AttentionParams params;
      params.heads = heads.heads;
      params.scale = 0.125F;
      params.window = window;
      const std::int64_t rows = row_count(kSpans);
      const auto q = test::random_values(rows * 384, 26);
      std::vector<float> want;
      for (const std::int32_t block_size : {32, 16, 8}) {
        heads.block_size = block_size;
        test::PagedCache cache = make_cache(heads, lengths(kSpans));
        fill(cache, kSpans);
        ActivationBuffers out(rows, 384, kFormF32);
        backends_.threaded->attention(params, cache.layer(), sequences_of(kSpans, cache),
                                      {q.data(), rows, 384, 384}, out.view());
        if (want.empty()) want = out.values();
        ASSERT_NO_FATAL_FAILURE(test::expect_same_bits(out.values(), want));
      }
    }
  }
}

// A group whose blocks a window or chunk has left may have lost them.
TEST_P(CpuAttention, BlocksBeforeTheOldestVisibleAreNotRead) {
  for (const std::int32_t block_size : {8, 16, 32}) {
    for (const bool values_in_keys : {false, true}) {
      for (const bool chunked : {false, true}) {
        const Heads heads{4, 2, 32, 32, block_size, CacheDType::kF16, values_in_keys};
        const std::vector<Span> spans = {{1000, 3}};
        test::PagedCache cache = make_cache(heads, lengths(spans));
        fill(cache, spans);
        std::vector<AttentionSequence> sequences = sequences_of(spans, cache);
        AttentionParams params;
        params.heads = heads.heads;
        params.window = chunked ? 0 : 45;
        params.chunk = chunked ? 239 : 0;
        const std::int32_t oldest = chunked ? 956 : 1000 - 44;
        const auto q = test::random_values(3 * 128, 27);
        const auto run = [&] {
          ActivationBuffers out(3, 128, kFormF32);
          backends_.cpu->attention(params, cache.layer(), sequences, {q.data(), 3, 128, 128},
                                   out.view());
          return out.values();
        };
        const std::vector<float> want = run();
        std::vector<std::int32_t> table(cache.table(0), cache.table(0) + 1002 / block_size + 1);
        std::fill_n(table.begin(), oldest / block_size, -1'000'000'000);
        sequences[0].blocks = table.data();
        test::expect_same_bits(run(), want);
      }
    }
  }
}

TEST_P(CpuAttention, NoSequences) {
  test::PagedCache cache = make_cache({}, {1});
  AttentionParams params;
  params.heads = 4;
  ActivationBuffers out(0, 64, kFormF32);
  backends_.threaded->attention(params, cache.layer(), {}, {nullptr, 0, 64, 64}, out.view());
  CacheWriteParams write;
  write.heads = 4;
  backends_.threaded->write_cache(write, cache.layer(), {}, {}, {}, {});
}

INSTANTIATE_TEST_SUITE_P(Sets, CpuAttention, testing::ValuesIn(test::kernel_sets()),
                         [](const auto& set) { return set.param; });

}  // namespace
}  // namespace mistral::ops
