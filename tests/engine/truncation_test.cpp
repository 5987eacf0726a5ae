// Prompts that are too long: their end stays, with room for the answer.
#include "engine/truncation.h"

#include <numeric>

#include <gtest/gtest.h>

namespace mistral::engine {
namespace {

constexpr RequestLimits kLimits = {
    .vocab_size = 1000, .context_length = 100, .cache_tokens = 100, .has_tokenizer = false};

Request request_of(std::int64_t length, std::optional<std::int64_t> max_tokens) {
  Request request;
  request.prompt.resize(static_cast<std::size_t>(length));
  std::iota(request.prompt.begin(), request.prompt.end(), 0);
  request.sampling.max_tokens = max_tokens;
  return request;
}

void expect_left(std::int64_t length, std::optional<std::int64_t> max_tokens, std::int64_t left,
                 RequestLimits limits = kLimits) {
  Request request = request_of(length, max_tokens);
  EXPECT_EQ(truncate_prompt(request, limits), length - left);
  ASSERT_EQ(request.prompt.size(), static_cast<std::size_t>(left));
  EXPECT_EQ(request.prompt.back(), length - 1);
  EXPECT_EQ(request.prompt.front(), length - left);
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

TEST(Truncation, TheCacheLimitsToo) {
  expect_left(90, 10, 40, {.vocab_size = 1000, .context_length = 100, .cache_tokens = 50});
}

TEST(Truncation, OneTokenStaysAtLeast) {
  expect_left(90, 10, 1, {.vocab_size = 1000, .context_length = 5, .cache_tokens = 50});
}

}  // namespace
}  // namespace mistral::engine
