#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"
#include "formats/gguf.h"

namespace mistral::formats {
namespace {

using test::error_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint64_t kU64Max = std::numeric_limits<std::uint64_t>::max();

GgufMetadata one(GgufValue value) {
  GgufMetadata metadata;
  metadata.add({"k", std::move(value)});
  return metadata;
}

template <typename T>
GgufMetadata one_array(GgufType element_type, std::vector<T> elements) {
  return one({GgufType::kArray, GgufArray{element_type, std::move(elements)}});
}

TEST(GgufMetadata, AbsentKeysAreEmptyUnlessRequired) {
  const GgufMetadata metadata = one({GgufType::kU8, std::uint64_t{1}});
  EXPECT_TRUE(metadata.contains("k"));
  EXPECT_FALSE(metadata.contains("absent"));
  EXPECT_EQ(metadata.find("absent"), nullptr);
  EXPECT_EQ(metadata.integer("absent"), std::nullopt);
  EXPECT_EQ(metadata.number("absent"), std::nullopt);
  EXPECT_EQ(metadata.boolean("absent"), std::nullopt);
  EXPECT_EQ(metadata.string("absent"), std::nullopt);
  EXPECT_EQ(metadata.array("absent"), nullptr);
  EXPECT_TRUE(metadata.strings("absent").empty());
  EXPECT_TRUE(metadata.integers("absent").empty());
  EXPECT_TRUE(metadata.numbers("absent").empty());
  for (const Error& error : {error_of([&] { return metadata.require_integer("absent"); }),
                             error_of([&] { return metadata.require_number("absent"); }),
                             error_of([&] { return metadata.require_string("absent"); })}) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidFile);
    EXPECT_THAT(error.what(), HasSubstr("'absent' is missing"));
  }
}

TEST(GgufMetadata, IntegersOfAnyTypeThatFits) {
  EXPECT_EQ(one({GgufType::kU64, std::uint64_t{7}}).integer("k"), 7);
  EXPECT_EQ(one({GgufType::kI8, std::int64_t{-7}}).integer("k"), -7);
  EXPECT_EQ(one({GgufType::kF32, 4096.0}).integer("k"), 4096);
  EXPECT_EQ(one({GgufType::kF64, -9223372036854775808.0}).integer("k"),
            std::numeric_limits<std::int64_t>::min());
  EXPECT_THROW((void)one({GgufType::kU64, kU64Max}).integer("k"), Error);
  for (const double bad : {0.5, 9223372036854775808.0, 1e300, std::nan(""), -HUGE_VAL}) {
    EXPECT_THROW((void)one({GgufType::kF64, bad}).integer("k"), Error) << bad;
  }
}

TEST(GgufMetadata, NumbersOfAnyType) {
  EXPECT_EQ(one({GgufType::kF32, 0.5}).number("k"), 0.5);
  EXPECT_EQ(one({GgufType::kU32, std::uint64_t{10000}}).number("k"), 10000.0);
  EXPECT_EQ(one({GgufType::kI32, std::int64_t{-1}}).require_number("k"), -1.0);
}

TEST(GgufMetadata, WrongTypesNameKeyAndBothTypes) {
  const GgufMetadata text = one({GgufType::kString, std::string_view("x")});
  const GgufMetadata flag = one({GgufType::kBool, true});
  const GgufMetadata list = one_array(GgufType::kI32, std::vector<std::int64_t>{1});
  const auto says = [](const Error& error, const char* expected, const char* found) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidFile);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("'k'"), HasSubstr(expected), HasSubstr(found)));
  };
  says(error_of([&] { return text.integer("k"); }), "an integer", "string");
  says(error_of([&] { return text.number("k"); }), "a number", "string");
  says(error_of([&] { return text.boolean("k"); }), "a bool", "string");
  says(error_of([&] { return flag.string("k"); }), "a string", "bool");
  says(error_of([&] { return flag.integer("k"); }), "an integer", "bool");
  says(error_of([&] { return flag.array("k"); }), "an array", "bool");
  says(error_of([&] { return list.integer("k"); }), "an integer", "array of i32");
  says(error_of([&] { return list.strings("k"); }), "array of string", "array of i32");
  EXPECT_EQ(flag.boolean("k"), true);
  EXPECT_EQ(text.require_string("k"), "x");
}

TEST(GgufMetadata, ArraysByKind) {
  EXPECT_THAT(one_array(GgufType::kI32, std::vector<std::int64_t>{-1, 2}).integers("k"),
              ElementsAre(-1, 2));
  EXPECT_THAT(one_array(GgufType::kU32, std::vector<std::uint64_t>{1, 2}).integers("k"),
              ElementsAre(1, 2));
  EXPECT_THAT(one_array(GgufType::kU32, std::vector<std::uint64_t>{1, 2}).numbers("k"),
              ElementsAre(1.0, 2.0));
  EXPECT_THAT(one_array(GgufType::kF32, std::vector<double>{0.5}).numbers("k"), ElementsAre(0.5));
  EXPECT_THAT(one_array(GgufType::kString, std::vector<std::string_view>{"a", "b"}).strings("k"),
              ElementsAre("a", "b"));
  EXPECT_THROW((void)one_array(GgufType::kU64, std::vector<std::uint64_t>{kU64Max}).integers("k"),
               Error);
  EXPECT_THROW((void)one_array(GgufType::kF32, std::vector<double>{0.5}).integers("k"), Error);
  const auto texts = one_array(GgufType::kString, std::vector<std::string_view>{"a"});
  EXPECT_THROW((void)texts.integers("k"), Error);
  EXPECT_THROW((void)texts.numbers("k"), Error);
  EXPECT_EQ(texts.array("k")->size(), 1U);
  // Writers choose any element type for an array without elements.
  EXPECT_TRUE(one_array(GgufType::kI32, std::vector<std::int64_t>{}).strings("k").empty());
  EXPECT_TRUE(one_array(GgufType::kString, std::vector<std::string_view>{}).integers("k").empty());
}

TEST(GgufType, HasNames) {
  EXPECT_EQ(name(GgufType::kU8), "u8");
  EXPECT_EQ(name(GgufType::kF64), "f64");
  EXPECT_EQ(name(static_cast<GgufType>(77)), "unknown type");
}

}  // namespace
}  // namespace mistral::formats
