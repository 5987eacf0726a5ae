#include "cli/memory_size.h"

#include <gtest/gtest.h>

namespace mistral::cli {
namespace {

TEST(MemorySizeTest, NumbersAndUnits) {
  constexpr std::int64_t kGibibyte = std::int64_t{1} << 30;
  EXPECT_EQ(parse_memory_size("1"), 1);
  EXPECT_EQ(parse_memory_size("123456789"), 123456789);
  EXPECT_EQ(parse_memory_size("7B"), 7);
  EXPECT_EQ(parse_memory_size("2k"), 2048);
  EXPECT_EQ(parse_memory_size("3 MB"), 3 << 20);
  for (const char* text : {"12g", "12G", "12GB", "12GiB", "12 gib", "12.0GiB"}) {
    EXPECT_EQ(parse_memory_size(text), 12 * kGibibyte) << text;
  }
  EXPECT_EQ(parse_memory_size("1.5GiB"), kGibibyte * 3 / 2);
  EXPECT_EQ(parse_memory_size("2TiB"), 2048 * kGibibyte);
  EXPECT_EQ(parse_memory_size("4096T"), kMostMemory);
}

TEST(MemorySizeTest, WhatIsNone) {
  for (const char* text : {"",
                           " ",
                           "0",
                           "0GiB",
                           "0.5",
                           "-1",
                           "-1GiB",
                           "+1",
                           "GiB",
                           "much",
                           "1XB",
                           "1GiBs",
                           "1 G B",
                           "1G1",
                           "1e3",
                           "0x10",
                           "inf",
                           "nan",
                           "infGiB",
                           "4097T",
                           "99999999999999999999",
                           "9223372036854775807",
                           "1e999",
                           "1,5G",
                           "1GiB "}) {
    EXPECT_EQ(parse_memory_size(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace mistral::cli
