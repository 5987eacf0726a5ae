// Writing to the cache by the CPU kernels against the reference: norms, rotation, conversion.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ops/attention_cases.h"
#include "ops/backends.h"

namespace mistral::ops {
namespace {

using test::Heads;
using test::lengths;
using test::make_cache;
using test::row_count;
using test::sequences_of;
using test::Span;

// Prompts, a later chunk and a single token.
const std::vector<Span> kSpans = {{0, 19}, {29, 5}, {0, 1}, {130, 1}};

class CpuCache : public test::PerKernelSet {};

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

// What write_cache leaves of random queries, keys and values.
Written write(Backend& backend, const Heads& heads, const CacheWriteParams& params) {
  const std::int64_t rows = row_count(kSpans);
  const std::int64_t q_cols = std::int64_t{heads.heads} * heads.head_dim;
  const std::int64_t k_cols = std::int64_t{heads.kv_heads} * heads.head_dim;
  const std::int64_t v_cols = std::int64_t{heads.kv_heads} * heads.value_dim;
  // One wider matrix holds q, k and v, as a joint projection leaves them.
  const std::int64_t stride = q_cols + k_cols + v_cols + 1;
  test::PagedCache cache = make_cache(heads, lengths(kSpans));
  auto qkv = test::random_values(rows * stride, 25);
  const ConstRows v = heads.values_in_keys
                          ? ConstRows()
                          : ConstRows(qkv.data() + q_cols + k_cols, rows, v_cols, stride);
  backend.write_cache(params, cache.layer(), sequences_of(kSpans, cache),
                      {qkv.data(), rows, q_cols, stride},
                      {qkv.data() + q_cols, rows, k_cols, stride}, v);
  Written result{{}, contents(cache, kSpans), cache.memory()};
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto begin = qkv.begin() + r * stride;
    result.q.insert(result.q.end(), begin, begin + q_cols);
  }
  return result;
}

void check_write(test::Backends& backends, const Heads& heads, const CacheWriteParams& params) {
  const Written want = write(*backends.reference, heads, params);
  const Written got = write(*backends.cpu, heads, params);
  ASSERT_NO_FATAL_FAILURE(test::expect_close(got.q, want.q, 2e-5));
  ASSERT_NO_FATAL_FAILURE(test::expect_close(got.values, want.values, tolerance_of(heads.dtype)));
  const Written again = write(*backends.threaded, heads, params);
  test::expect_same_bits(again.q, got.q);
  EXPECT_TRUE(again.memory == got.memory);
}

// cos and sin of arbitrary angles for all rows.
struct Rope {
  explicit Rope(std::int32_t rotary) {
    const auto rows = static_cast<std::int32_t>(row_count(kSpans));
    for (std::int32_t i = 0; i < rows * rotary / 2; ++i) {
      cosines.push_back(std::cos(0.37F * static_cast<float>(i)));
      sines.push_back(std::sin(0.37F * static_cast<float>(i)));
    }
    table = {cosines.data(), sines.data(), rows, rotary, false, 0};
  }
  std::vector<float> cosines;
  std::vector<float> sines;
  RopeTable table;
};

TEST_P(CpuCache, Writing) {
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
          Rope rope(rotary);
          rope.table.interleaved = interleaved;
          const auto weight = test::random_values(heads.head_dim, 24);
          CacheWriteParams params;
          params.heads = heads.heads;
          params.rope = rotary > 0 ? &rope.table : nullptr;
          if (norms) {
            params.query_norm = NormParams{NormParams::Kind::kRms, 1e-6F, weight.data(), nullptr};
            params.key_norm =
                NormParams{NormParams::Kind::kLayer, 1e-5F, weight.data(), weight.data()};
          }
          check_write(backends_, heads, params);
        }
      }
    }
  }
}

// Rotation of later dims, norms after it and of every head on its own, and scaled queries.
TEST_P(CpuCache, OrderOfRotationAndNorms) {
  const std::vector<float> scales = test::random_values(row_count(kSpans), 30);
  for (const CacheDType dtype : kCacheDTypes) {
    const Heads heads{5, 5, 37, 9, 16, dtype};
    const auto weight = test::random_values(std::int64_t{heads.heads} * heads.head_dim, 24);
    const auto bias = test::random_values(std::int64_t{heads.heads} * heads.head_dim, 31);
    for (const std::int32_t first_dim : {0, 3, 21}) {
      for (const bool interleaved : {false, true}) {
        for (const bool after : {false, true}) {
          for (const bool per_head : {false, true}) {
            SCOPED_TRACE(fmt::format("{} first {} interleaved {} norm after {} per head {}",
                                     name(dtype), first_dim, interleaved, after, per_head));
            Rope rope(16);
            rope.table.interleaved = interleaved;
            rope.table.first_dim = first_dim;
            CacheWriteParams params;
            params.heads = heads.heads;
            params.rope = &rope.table;
            params.query_norm =
                NormParams{NormParams::Kind::kLayer, 1e-5F, weight.data(), bias.data()};
            params.key_norm = NormParams{NormParams::Kind::kRms, 1e-6F, weight.data(), nullptr};
            params.norm_weight_step = per_head ? heads.head_dim : 0;
            params.norm_after_rope = after;
            params.query_scales = per_head ? scales.data() : nullptr;
            check_write(backends_, heads, params);
          }
        }
      }
    }
  }
}

// Without the formulas of the reference: a rotation by a right angle, and norms of two heads.
TEST_P(CpuCache, KnownValues) {
  const Heads heads{2, 1, 6, 6, 8};
  test::PagedCache cache = make_cache(heads, {1});
  const std::vector<float> zeros(2, 0.0F);
  const std::vector<float> ones(2, 1.0F);
  const RopeTable quarter_turns{zeros.data(), ones.data(), 1, 4, false, 1};
  // 3, 4 and zeros have the root mean square 5 / sqrt(6).
  const float unit = std::sqrt(6.0F) / 5.0F;
  const std::vector<float> weights = {1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 10, 2};
  const float scale = 0.5F;
  CacheWriteParams params;
  params.heads = 2;
  params.rope = &quarter_turns;
  params.query_norm = NormParams{NormParams::Kind::kRms, 0.0F, weights.data(), nullptr};
  params.norm_weight_step = 6;
  params.norm_after_rope = true;
  params.query_scales = &scale;
  for (Backend* backend : {backends_.cpu.get(), backends_.reference.get()}) {
    std::vector<float> q = {3, 0, 4, 0, 0, 0, 0, 0, 4, 0, 0, 3};
    std::vector<float> k = {1, 2, 3, 4, 5, 6};
    std::vector<float> v(6);
    backend->write_cache(params, cache.layer(), sequences_of({{0, 1}}, cache),
                         {q.data(), 1, 12, 12}, {k.data(), 1, 6, 6}, {v.data(), 1, 6, 6});
    // Dims 1 and 3, 2 and 4 are the pairs: (x, y) becomes (-y, x).
    const std::vector<float> want = {1.5F * unit, 0, 0, 0, 2 * unit,  0,
                                     0,           0, 0, 0, 20 * unit, 3 * unit};
    test::expect_close(q, want, 1e-6);
    std::vector<float> key;
    for (std::int64_t d = 0; d < 6; ++d) {
      key.push_back(reference::load_key(cache.layer(), cache.table(0)[0], 0, 0, d));
    }
    EXPECT_EQ(key, (std::vector<float>{1, -4, -5, 2, 3, 6}));
  }
}

TEST_P(CpuCache, ValuesInKeys) {
  for (const CacheDType dtype : kCacheDTypes) {
    for (const std::int32_t block_size : {8, 16, 32}) {
      const Heads latent{4, 1, 20, 12, block_size, dtype, true};
      const LayerCache layer = make_cache(latent, {1}).layer();
      const std::int64_t scale = dtype == CacheDType::kQ8 ? 4 : 0;
      EXPECT_EQ(layer.block_bytes(), block_size * (20 * element_bytes(dtype) + scale));
      const Rope rope(8);
      CacheWriteParams params;
      params.heads = latent.heads;
      params.rope = &rope.table;
      check_write(backends_, latent, params);
      const Written got = write(*backends_.cpu, latent, params);
      // Per token the 20 dims of its key, then those 12 that are its value.
      for (std::size_t i = 0; i < got.values.size(); i += 32) {
        const auto key = got.values.begin() + static_cast<std::ptrdiff_t>(i);
        ASSERT_NO_FATAL_FAILURE(test::expect_same_bits({key + 20, key + 32}, {key, key + 12}));
      }
    }
  }
}

// Extremes: numbers beyond a type's range saturate, tiny ones and zeros come back as such; kernels
// and reference store the same bytes.
TEST_P(CpuCache, Conversions) {
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
      const auto converted = [&](Backend& backend) {
        test::PagedCache cache = make_cache(heads, lengths(spans));
        std::vector<float> q(17);
        std::vector<float> k = vector;
        backend.write_cache(params, cache.layer(), sequences_of(spans, cache),
                            {q.data(), 1, 17, 17}, {k.data(), 1, 17, 17},
                            {vector.data(), 1, 17, 17});
        return Written{{}, contents(cache, spans), cache.memory()};
      };
      const Written got = converted(*backends_.cpu);
      EXPECT_TRUE(got.memory == converted(*backends_.reference).memory);
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

INSTANTIATE_TEST_SUITE_P(Sets, CpuCache, testing::ValuesIn(test::kernel_sets()),
                         [](const auto& set) { return set.param; });

}  // namespace
}  // namespace mistral::ops
