#include "core/nearest_name.h"

#include <string>

#include <gtest/gtest.h>

namespace mistral {
namespace {

constexpr std::string_view kNames[] = {"model_id", "tok_model_id", "arch", "dtype", "order"};

TEST(NearestNameTest, SlipsOfTheFinger) {
  EXPECT_EQ(nearest_name("modell_id", kNames), "model_id");
  EXPECT_EQ(nearest_name("mode_id", kNames), "model_id");
  EXPECT_EQ(nearest_name("model-id", kNames), "model_id");
  EXPECT_EQ(nearest_name("MODEL_ID", kNames), "model_id");
  EXPECT_EQ(nearest_name("dytpe", kNames), "dtype");
  EXPECT_EQ(nearest_name("tok_modelid", kNames), "tok_model_id");
  EXPECT_EQ(nearest_name("ach", kNames), "arch");
}

TEST(NearestNameTest, OtherNamesHaveNone) {
  EXPECT_EQ(nearest_name("temperature", kNames), std::nullopt);
  EXPECT_EQ(nearest_name("xy", kNames), std::nullopt);
  EXPECT_EQ(nearest_name("", kNames), std::nullopt);
  EXPECT_EQ(nearest_name("arch", {}), std::nullopt);
  EXPECT_EQ(nearest_name(std::string(100000, 'a'), kNames), std::nullopt);
}

TEST(NearestNameTest, TheNearestWinsThenTheFirst) {
  constexpr std::string_view kSimilar[] = {"llava_next", "llava", "llama"};
  EXPECT_EQ(nearest_name("llava", kSimilar), "llava");
  EXPECT_EQ(nearest_name("llaxa", kSimilar), "llava");
}

}  // namespace
}  // namespace mistral
