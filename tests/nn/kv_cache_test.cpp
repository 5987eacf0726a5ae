// The memory of the KV cache: sizes to the byte, and no two things in one place.
#include "nn/kv_cache.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

namespace mistral::nn {
namespace {

using ops::CacheDType;

// Layers of two windows, heads of odd sizes.
DecoderSpec spec() {
  DecoderSpec spec;
  spec.heads = 6;
  spec.kv_heads = 3;
  spec.head_dim = 20;
  spec.value_dim = 7;
  spec.layers = {{0, 0}, {64, 0}, {64, 0}, {0, 0}, {64, 0}};
  return spec;
}

// Bytes of a token in one layer.
std::int64_t token_bytes(CacheDType dtype) {
  switch (dtype) {
    case CacheDType::kF32:
      return 3 * 27 * 4;
    case CacheDType::kF16:
    case CacheDType::kBF16:
      return 3 * 27 * 2;
    case CacheDType::kQ8:
      return 3 * (27 + 2 * 4);
  }
  return 0;
}

TEST(KvCache, SizesAreExact) {
  for (const CacheDType dtype : ops::kCacheDTypes) {
    for (const std::int32_t block_size : {8, 16, 32}) {
      const std::int64_t block = token_bytes(dtype) * block_size;
      const KvCache cache(spec(), dtype, block_size, 10 * 3 * block + 5);
      ASSERT_EQ(cache.groups().size(), 2U);
      EXPECT_EQ(cache.groups()[0].window, 0);
      EXPECT_EQ(cache.groups()[0].bytes_per_block, 2 * block);
      EXPECT_EQ(cache.groups()[1].window, 64);
      EXPECT_EQ(cache.groups()[1].bytes_per_block, 3 * block);
      EXPECT_EQ(KvCache::bytes_for_tokens(spec(), dtype, block_size, 0), 0);
      EXPECT_EQ(KvCache::bytes_for_tokens(spec(), dtype, block_size, 1), 5 * block);
      EXPECT_EQ(KvCache::bytes_for_tokens(spec(), dtype, block_size, block_size), 5 * block);
      EXPECT_EQ(KvCache::bytes_for_tokens(spec(), dtype, block_size, 3 * block_size + 1),
                20 * block);
    }
  }
}

struct Piece {
  const std::byte* begin;
  const std::byte* end;
};

// Keys, values and scales of all heads, blocks and layers are writable and apart from each other.
TEST(KvCache, PiecesDoNotOverlap) {
  for (const CacheDType dtype : ops::kCacheDTypes) {
    constexpr std::int32_t kBlockSize = 8;
    const std::int64_t budget = 4 * 3 * token_bytes(dtype) * kBlockSize;
    const KvCache cache(spec(), dtype, kBlockSize, budget);
    std::vector<Piece> pieces;
    const auto add = [&](std::byte* data, std::int64_t bytes) {
      std::fill_n(data, bytes, std::byte{1});
      pieces.push_back({data, data + bytes});
    };
    for (std::size_t layer = 0; layer < 5; ++layer) {
      const ops::LayerCache& l = cache.layer(layer);
      const std::int64_t blocks = budget / cache.groups()[cache.group_of(layer)].bytes_per_block;
      ASSERT_GE(blocks, 4);
      for (std::int64_t block = 0; block < blocks; ++block) {
        for (std::int64_t head = 0; head < l.kv_heads; ++head) {
          const std::int64_t bytes = kBlockSize * ops::element_bytes(dtype);
          add(l.keys(block, head), l.head_dim * bytes);
          add(l.values(block, head), l.value_dim * bytes);
          if (dtype != CacheDType::kQ8) continue;
          add(reinterpret_cast<std::byte*>(l.key_scales(block, head)), kBlockSize * 4);
          add(reinterpret_cast<std::byte*>(l.value_scales(block, head)), kBlockSize * 4);
          EXPECT_EQ(reinterpret_cast<std::uintptr_t>(l.key_scales(block, head)) % 4, 0U);
        }
      }
    }
    std::sort(pieces.begin(), pieces.end(),
              [](const Piece& a, const Piece& b) { return a.begin < b.begin; });
    for (std::size_t i = 1; i < pieces.size(); ++i) {
      ASSERT_LE(pieces[i - 1].end, pieces[i].begin) << ops::name(dtype) << " piece " << i;
    }
  }
}

TEST(KvCache, Names) {
  for (const CacheDType dtype : ops::kCacheDTypes) {
    EXPECT_EQ(ops::cache_dtype(ops::name(dtype)), dtype);
  }
  EXPECT_EQ(ops::cache_dtype("auto"), std::nullopt);
  EXPECT_EQ(ops::cache_dtype("q4"), std::nullopt);
}

}  // namespace
}  // namespace mistral::nn
