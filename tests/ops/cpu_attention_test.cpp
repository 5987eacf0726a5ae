// Cache writing and attention of the CPU kernels against the reference, and the same bits for a
// query however the step is cut.
#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ops/backends.h"
#include "ops/paged_cache.h"

namespace mistral::ops {
namespace {

using test::ActivationBuffers;

class CpuAttention : public test::PerKernelSet {};

struct Heads {
  std::int32_t heads = 4;
  std::int32_t kv_heads = 2;
  std::int32_t head_dim = 16;
  std::int32_t value_dim = 16;
  std::int32_t block_size = 16;
};

// A step over sequences of different kinds: a whole prompt, a later chunk, single tokens at the end
// of short and long contexts (the last beyond a partition of the cache).
struct Span {
  std::int32_t first_position;
  std::int32_t rows;
};
const std::vector<Span> kSpans = {{0, 67}, {29, 5}, {0, 1}, {130, 1}, {1090, 1}, {505, 11}};

std::int64_t row_count(const std::vector<Span>& spans) {
  std::int64_t rows = 0;
  for (const Span& span : spans) rows += span.rows;
  return rows;
}

std::vector<std::int32_t> lengths(const std::vector<Span>& spans) {
  std::vector<std::int32_t> result;
  for (const Span& span : spans) result.push_back(span.first_position + span.rows);
  return result;
}

std::vector<AttentionSequence> sequences_of(const std::vector<Span>& spans,
                                            const test::PagedCache& cache) {
  std::vector<AttentionSequence> result;
  std::int32_t row = 0;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    result.push_back({row, spans[i].rows, spans[i].first_position, cache.table(i)});
    row += spans[i].rows;
  }
  return result;
}

// Random keys and values for all positions of all sequences.
void fill(test::PagedCache& cache, const std::vector<Span>& spans) {
  const LayerCache& layer = cache.layer();
  std::minstd_rand random(21);
  std::normal_distribution<float> normal;
  for (std::size_t s = 0; s < spans.size(); ++s) {
    for (std::int32_t p = 0; p < spans[s].first_position + spans[s].rows; ++p) {
      const std::int64_t block = cache.table(s)[p / layer.block_size];
      const std::int64_t slot = p % layer.block_size;
      for (std::int32_t h = 0; h < layer.kv_heads; ++h) {
        for (std::int32_t d = 0; d < layer.head_dim; ++d) {
          layer.keys(block, h)[d * layer.block_size + slot] = normal(random);
        }
        for (std::int32_t d = 0; d < layer.value_dim; ++d) {
          layer.values(block, h)[slot * layer.value_dim + d] = normal(random);
        }
      }
    }
  }
}

void check_attention(test::Backends& backends, const Heads& heads, const AttentionParams& params) {
  SCOPED_TRACE(fmt::format("heads {}/{} dims {}/{} block {} window {} softcap {}", heads.heads,
                           heads.kv_heads, heads.head_dim, heads.value_dim, heads.block_size,
                           params.window, params.softcap));
  test::PagedCache cache(heads.block_size, heads.kv_heads, heads.head_dim, heads.value_dim,
                         lengths(kSpans));
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
  const Heads cases[] = {{1, 1, 1, 1, 8},    {4, 2, 16, 16, 8},  {8, 8, 20, 12, 16},
                         {6, 2, 64, 64, 32}, {7, 1, 80, 80, 32}, {14, 2, 64, 64, 16},
                         {71, 1, 8, 9, 8},   {2, 1, 33, 31, 32}, {3, 3, 256, 17, 32}};
  for (const Heads& heads : cases) {
    AttentionParams params;
    params.heads = heads.heads;
    params.scale = 1.0F / std::sqrt(static_cast<float>(heads.head_dim));
    check_attention(backends_, heads, params);
  }
}

TEST_P(CpuAttention, WindowsAndSoftcaps) {
  for (const std::int32_t block_size : {8, 16, 32}) {
    for (const std::int32_t window : {0, 1, 7, 32, 40, 600, 4096}) {
      for (const float softcap : {0.0F, 2.5F}) {
        Heads heads;
        heads.block_size = block_size;
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

// Scores so large that exp overflows without the running maximum.
TEST_P(CpuAttention, LargeScores) {
  Heads heads;
  AttentionParams params;
  params.heads = heads.heads;
  params.scale = 40.0F;
  test::PagedCache cache(heads.block_size, heads.kv_heads, heads.head_dim, heads.value_dim,
                         lengths(kSpans));
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

struct Written {
  std::vector<float> q;
  std::vector<float> cache;
};

TEST_P(CpuAttention, CacheWriting) {
  const Heads cases[] = {{4, 2, 16, 16, 8}, {3, 3, 20, 7, 16}, {5, 1, 64, 80, 32}};
  for (const Heads& heads : cases) {
    for (const std::int32_t rotary : {0, 2, 10, 16}) {
      for (const bool interleaved : {false, true}) {
        for (const bool norms : {false, true}) {
          SCOPED_TRACE(fmt::format("head_dim {} rotary {} interleaved {} norms {}", heads.head_dim,
                                   rotary, interleaved, norms));
          const auto table_rows = static_cast<std::int32_t>(row_count(kSpans));
          std::vector<float> cosines(static_cast<std::size_t>(table_rows * rotary / 2));
          std::vector<float> sines(cosines.size());
          for (std::size_t i = 0; i < cosines.size(); ++i) {
            cosines[i] = std::cos(0.37F * static_cast<float>(i));
            sines[i] = std::sin(0.37F * static_cast<float>(i));
          }
          const RopeTable rope{cosines.data(), sines.data(), table_rows, rotary, interleaved};
          const auto weight = test::random_values(heads.head_dim, 24);
          CacheWriteParams params;
          params.heads = heads.heads;
          params.rope = rotary > 0 ? &rope : nullptr;
          if (norms) {
            params.query_norm = NormParams{NormParams::Kind::kRms, 1e-6F, weight.data(), nullptr};
            params.key_norm =
                NormParams{NormParams::Kind::kLayer, 1e-5F, weight.data(), weight.data()};
          }
          const std::int64_t rows = row_count(kSpans);
          const std::int64_t q_cols = std::int64_t{heads.heads} * heads.head_dim;
          const std::int64_t k_cols = std::int64_t{heads.kv_heads} * heads.head_dim;
          const std::int64_t v_cols = std::int64_t{heads.kv_heads} * heads.value_dim;
          // One wider matrix holds q, k and v, as a joint projection leaves them.
          const std::int64_t stride = q_cols + k_cols + v_cols + 1;
          const auto run = [&](Backend& backend) {
            test::PagedCache cache(heads.block_size, heads.kv_heads, heads.head_dim,
                                   heads.value_dim, lengths(kSpans));
            auto qkv = test::random_values(rows * stride, 25);
            const auto sequences = sequences_of(kSpans, cache);
            backend.write_cache(params, cache.layer(), sequences,
                                {qkv.data(), rows, q_cols, stride},
                                {qkv.data() + q_cols, rows, k_cols, stride},
                                {qkv.data() + q_cols + k_cols, rows, v_cols, stride});
            Written result{{}, cache.memory()};
            for (std::int64_t r = 0; r < rows; ++r) {
              const auto begin = qkv.begin() + r * stride;
              result.q.insert(result.q.end(), begin, begin + q_cols);
            }
            return result;
          };
          const Written want = run(*backends_.reference);
          const Written got = run(*backends_.cpu);
          ASSERT_NO_FATAL_FAILURE(test::expect_close(got.q, want.q, 2e-5));
          ASSERT_NO_FATAL_FAILURE(test::expect_close(got.cache, want.cache, 2e-5));
          const Written again = run(*backends_.threaded);
          test::expect_same_bits(again.q, got.q);
          test::expect_close(again.cache, got.cache, 0.0);
        }
      }
    }
  }
}

TEST_P(CpuAttention, NoSequences) {
  test::PagedCache cache(16, 2, 16, 16, {1});
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
