// Prompts that are too long: their end stays, with room for the answer.
#include "engine/truncation.h"

#include <numeric>

#include <gtest/gtest.h>

namespace mistral::engine {
namespace {

void expect_left(std::int64_t length, std::optional<std::int64_t> max_tokens, std::int64_t left,
                 std::int64_t limit = 100) {
  std::vector<TokenId> prompt(static_cast<std::size_t>(length));
  std::iota(prompt.begin(), prompt.end(), 0);
  EXPECT_EQ(truncate_prompt(prompt, max_tokens, limit), length - left);
  ASSERT_EQ(prompt.size(), static_cast<std::size_t>(left));
  EXPECT_EQ(prompt.back(), length - 1);
  EXPECT_EQ(prompt.front(), length - left);
}

TEST(Truncation, WhatFitsStaysWhole) {
  expect_left(1, 500, 1);
  expect_left(100, 20, 100);
}

TEST(Truncation, LeavesRoomForTheAnswer) {
  expect_left(101, 20, 80);
  expect_left(150, 1, 99);
  expect_left(150, 99, 1);
}

TEST(Truncation, LeavesRoomForTenWhereMoreWouldLeaveNothing) {
  expect_left(150, std::nullopt, 90);
  expect_left(150, 100, 90);
  expect_left(150, 100'000, 90);
}

TEST(Truncation, OneTokenStaysAtLeast) {
  expect_left(90, 10, 1, 5);
}

}  // namespace
}  // namespace mistral::engine
