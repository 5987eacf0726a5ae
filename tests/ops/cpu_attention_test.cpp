// Cache writing and attention of the CPU kernels against the reference, and the same bits for a
// query however the step is cut.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ops/backends.h"
#include "ops/paged_cache.h"
#include "ops/reference/cache_access.h"

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
  CacheDType dtype = CacheDType::kF32;
};

test::PagedCache make_cache(const Heads& heads, const std::vector<std::int32_t>& lengths) {
  return {heads.dtype, heads.block_size, heads.kv_heads, heads.head_dim, heads.value_dim, lengths};
}

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

// Random keys and values for all positions of all sequences; the same for every type and size of
// blocks.
void fill(test::PagedCache& cache, const std::vector<Span>& spans) {
  const LayerCache& layer = cache.layer();
  std::minstd_rand random(21);
  std::normal_distribution<float> normal;
  std::vector<float> key(static_cast<std::size_t>(layer.head_dim));
  std::vector<float> value(static_cast<std::size_t>(layer.value_dim));
  for (std::size_t s = 0; s < spans.size(); ++s) {
    for (std::int32_t p = 0; p < spans[s].first_position + spans[s].rows; ++p) {
      const std::int64_t block = cache.table(s)[p / layer.block_size];
      const std::int64_t slot = p % layer.block_size;
      for (std::int32_t h = 0; h < layer.kv_heads; ++h) {
        for (float& x : key) x = normal(random);
        for (float& x : value) x = normal(random);
        reference::store_key(layer, block, h, slot, key.data());
        reference::store_value(layer, block, h, slot, value.data());
      }
    }
  }
}

void check_attention(test::Backends& backends, const Heads& heads, const AttentionParams& params) {
  SCOPED_TRACE(fmt::format("{} heads {}/{} dims {}/{} block {} window {} softcap {}",
                           name(heads.dtype), heads.heads, heads.kv_heads, heads.head_dim,
                           heads.value_dim, heads.block_size, params.window, params.softcap));
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
      Heads heads{6, 1, 64, 64, 32, dtype};
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

// A group whose blocks a window has left may have lost them.
TEST_P(CpuAttention, BlocksBeforeTheWindowAreNotRead) {
  for (const std::int32_t block_size : {8, 16, 32}) {
    Heads heads{4, 2, 32, 32, block_size, CacheDType::kF16};
    const std::vector<Span> spans = {{1000, 3}};
    test::PagedCache cache = make_cache(heads, lengths(spans));
    fill(cache, spans);
    std::vector<AttentionSequence> sequences = sequences_of(spans, cache);
    AttentionParams params;
    params.heads = heads.heads;
    params.window = 45;
    const auto q = test::random_values(3 * 128, 27);
    const auto run = [&] {
      ActivationBuffers out(3, 128, kFormF32);
      backends_.cpu->attention(params, cache.layer(), sequences, {q.data(), 3, 128, 128},
                               out.view());
      return out.values();
    };
    const std::vector<float> want = run();
    std::vector<std::int32_t> table(cache.table(0), cache.table(0) + 1002 / block_size + 1);
    std::fill_n(table.begin(), (1000 - 44) / block_size, -1'000'000'000);
    sequences[0].blocks = table.data();
    test::expect_same_bits(run(), want);
  }
}

// Keys and values as they are read back.
std::vector<float> contents(const test::PagedCache& cache, const std::vector<Span>& spans) {
  const LayerCache& layer = cache.layer();
  std::vector<float> result;
  for (std::size_t s = 0; s < spans.size(); ++s) {
    for (std::int32_t p = 0; p < spans[s].first_position + spans[s].rows; ++p) {
      const std::int64_t block = cache.table(s)[p / layer.block_size];
      const std::int64_t slot = p % layer.block_size;
      for (std::int32_t h = 0; h < layer.kv_heads; ++h) {
        for (std::int32_t d = 0; d < layer.head_dim; ++d) {
          result.push_back(reference::load_key(layer, block, h, slot, d));
        }
        for (std::int32_t d = 0; d < layer.value_dim; ++d) {
          result.push_back(reference::load_value(layer, block, h, slot, d));
        }
      }
    }
  }
  return result;
}

// One unit in the last place of numbers around 8, or a code of vectors that reach 4.
double tolerance_of(CacheDType dtype) {
  switch (dtype) {
    case CacheDType::kF32:
      return 2e-5;
    case CacheDType::kF16:
      return 1e-3;
    case CacheDType::kBF16:
      return 8e-3;
    case CacheDType::kQ8:
      return 5e-2;
  }
  return 0;
}

struct Written {
  std::vector<float> q;
  std::vector<float> values;
  std::vector<std::byte> memory;
};

TEST_P(CpuAttention, CacheWriting) {
  const Heads cases[] = {{4, 2, 16, 16, 8, CacheDType::kF32},  {3, 3, 20, 7, 16, CacheDType::kF32},
                         {5, 1, 64, 80, 32, CacheDType::kF32}, {3, 3, 20, 7, 16, CacheDType::kF16},
                         {5, 1, 64, 80, 32, CacheDType::kF16}, {3, 3, 20, 7, 8, CacheDType::kBF16},
                         {3, 3, 20, 7, 16, CacheDType::kQ8},   {5, 1, 64, 80, 32, CacheDType::kQ8}};
  for (const Heads& heads : cases) {
    for (const std::int32_t rotary : {0, 2, 10, 16}) {
      for (const bool interleaved : {false, true}) {
        for (const bool norms : {false, true}) {
          SCOPED_TRACE(fmt::format("{} head_dim {} rotary {} interleaved {} norms {}",
                                   name(heads.dtype), heads.head_dim, rotary, interleaved, norms));
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
            test::PagedCache cache = make_cache(heads, lengths(kSpans));
            auto qkv = test::random_values(rows * stride, 25);
            const auto sequences = sequences_of(kSpans, cache);
            backend.write_cache(params, cache.layer(), sequences,
                                {qkv.data(), rows, q_cols, stride},
                                {qkv.data() + q_cols, rows, k_cols, stride},
                                {qkv.data() + q_cols + k_cols, rows, v_cols, stride});
            Written result{{}, contents(cache, kSpans), cache.memory()};
            for (std::int64_t r = 0; r < rows; ++r) {
              const auto begin = qkv.begin() + r * stride;
              result.q.insert(result.q.end(), begin, begin + q_cols);
            }
            return result;
          };
          const Written want = run(*backends_.reference);
          const Written got = run(*backends_.cpu);
          ASSERT_NO_FATAL_FAILURE(test::expect_close(got.q, want.q, 2e-5));
          ASSERT_NO_FATAL_FAILURE(
              test::expect_close(got.values, want.values, tolerance_of(heads.dtype)));
          const Written again = run(*backends_.threaded);
          test::expect_same_bits(again.q, got.q);
          EXPECT_TRUE(again.memory == got.memory);
        }
      }
    }
  }
}

// Extremes: numbers beyond a type's range saturate, tiny ones and zeros come back as such; kernels
// and reference store the same bytes.
TEST_P(CpuAttention, CacheConversions) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<std::vector<float>> vectors = {
      {0.0F, -0.0F, 1e-8F, -3e-6F, 6.1e-5F, 1.0F, -1.00049F, 65504.0F, 65519.0F, -65520.0F, 1e9F,
       -3e38F, 3.4028235e38F, 2.5F, -7.0F, 1.0F / 3.0F, 0.1F},
      {infinity, -infinity, 1.0F, -2.0F, 0.5F, 100.0F, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1.0F},
      std::vector<float>(17, 0.0F),
      std::vector<float>(17, 1e-38F),
      test::random_values(17, 28),
      test::random_values(17, 29, 1e4F)};
  for (const CacheDType dtype : kCacheDTypes) {
    SCOPED_TRACE(name(dtype));
    const Heads heads{1, 1, 17, 17, 16, dtype};
    for (const auto& vector : vectors) {
      const std::vector<Span> spans = {{0, 1}};
      CacheWriteParams params;
      params.heads = 1;
      const auto write = [&](Backend& backend) {
        test::PagedCache cache = make_cache(heads, lengths(spans));
        std::vector<float> q(17);
        std::vector<float> k = vector;
        backend.write_cache(params, cache.layer(), sequences_of(spans, cache),
                            {q.data(), 1, 17, 17}, {k.data(), 1, 17, 17},
                            {vector.data(), 1, 17, 17});
        return Written{{}, contents(cache, spans), cache.memory()};
      };
      const Written got = write(*backends_.cpu);
      EXPECT_TRUE(got.memory == write(*backends_.reference).memory);
      for (std::size_t i = 0; i < got.values.size(); ++i) {
        const float want = vector[i % 17];
        if (dtype == CacheDType::kF32) {
          EXPECT_EQ(got.values[i], want);
          continue;
        }
        EXPECT_TRUE(std::isfinite(got.values[i])) << want << " became " << got.values[i];
        EXPECT_FALSE(std::signbit(got.values[i]) != std::signbit(want) && got.values[i] != 0)
            << want << " became " << got.values[i];
        if (dtype == CacheDType::kF16 && std::fabs(want) > 65504.0F) {
          EXPECT_EQ(std::fabs(got.values[i]), 65504.0F);
        }
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
