#include <cstdint>
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"
#include "formats/byte_reader.h"
#include "formats/checked.h"
#include "formats/json_limits.h"
#include "formats/printable.h"
#include "formats/shard_name.h"
#include "gguf_bytes.h"

namespace mistral::formats {
namespace {

using test::as_bytes;
using test::error_of;
using testing::HasSubstr;

TEST(ByteReader, ReadsToTheLastByteAndNoFurther) {
  const std::string bytes = {1, 0, 'a', 'b'};
  ByteReader reader(as_bytes(bytes));
  EXPECT_EQ(reader.number<std::uint16_t>("x"), 1);
  EXPECT_EQ(reader.text(2, "y"), "ab");
  EXPECT_EQ(reader.remaining(), 0U);
  EXPECT_EQ(reader.text(0, "z"), "");
  const Error error = error_of([&] { return reader.number<std::uint8_t>("the last field"); });
  EXPECT_EQ(error.kind(), ErrorKind::kInvalidFile);
  EXPECT_THAT(error.what(), HasSubstr("the last field at byte 4"));
}

TEST(ByteReader, DoesNotWrapAround) {
  const std::string bytes(8, '\0');
  ByteReader reader(as_bytes(bytes));
  (void)reader.take(4, "x");
  EXPECT_THROW((void)reader.take(std::numeric_limits<std::uint64_t>::max(), "x"), Error);
  EXPECT_EQ(reader.position(), 4U);
}

TEST(Checked, FindsOverflow) {
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(checked_add(kMax - 1, 1), kMax);
  EXPECT_EQ(checked_add(kMax, 1), std::nullopt);
  EXPECT_EQ(checked_multiply(kMax / 3, 3), kMax);
  EXPECT_EQ(checked_multiply(kMax / 3 + 1, 3), std::nullopt);
  EXPECT_EQ(checked_multiply(kMax, 0), 0U);
}

TEST(Checked, TensorBytes) {
  constexpr std::int64_t kBig = std::int64_t{1} << 62;
  EXPECT_EQ(checked_tensor_bytes(DType::kF32, {}), 4U);
  EXPECT_EQ(checked_tensor_bytes(DType::kF32, {{3, 5}}), 60U);
  EXPECT_EQ(checked_tensor_bytes(DType::kQ4_K, {{2, 512}}), 4U * 144U);
  EXPECT_EQ(checked_tensor_bytes(DType::kF32, {{0, 5}}), 0U);
  EXPECT_EQ(checked_tensor_bytes(DType::kU8, {{kBig}}), static_cast<std::uint64_t>(kBig));
  EXPECT_EQ(checked_tensor_bytes(DType::kU8, {{kBig, 2}}), std::nullopt);
  EXPECT_EQ(checked_tensor_bytes(DType::kF32, {{kBig}}), std::nullopt);
  EXPECT_EQ(checked_tensor_bytes(DType::kU8, {{kBig, 0, kBig}}), std::nullopt);
}

TEST(Printable, KeepsTextAndEscapesTheRest) {
  EXPECT_EQ(printable("blk.0.attn_q.weight"), "'blk.0.attn_q.weight'");
  EXPECT_EQ(printable("größe ▁ 😀"), "'größe ▁ 😀'");
  EXPECT_EQ(printable("a\x1b[2Jb\n"), "'a\\x1b[2Jb\\x0a'");
  EXPECT_EQ(printable("\xff\xc3"), "'\\xff\\xc3'");
  const std::string cut = printable(std::string(40000, 'a'));
  EXPECT_LT(cut.size(), 130U);
  EXPECT_THAT(cut, HasSubstr("40000 bytes"));
}

TEST(ShardName, IsTakenApart) {
  const auto name = parse_shard_name("model-F16-00002-of-00013.gguf");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->stem, "model-F16");
  EXPECT_EQ(name->extension, ".gguf");
  EXPECT_EQ(name->number, 2U);
  EXPECT_EQ(name->count, 13U);
  EXPECT_EQ(name->sister(11), "model-F16-00011-of-00013.gguf");
}

TEST(ShardName, OtherNamesAreNot) {
  for (const char* name :
       {"", ".gguf", "model.gguf", "model-00001-of-00003", "model-0001-of-0003.gguf",
        "model-00004-of-00003.gguf", "model-00000-of-00003.gguf", "model-0x001-of-00003.gguf",
        "model-00001-of-0000-.gguf", "model_00001-of-00003.gguf", "model-00001_of_00003.gguf",
        "00001-of-00003.gguf", "model- 0001-of-00003.gguf", "model--0001-of-00003.gguf"}) {
    EXPECT_FALSE(parse_shard_name(name).has_value()) << name;
  }
}

TEST(LimitedJson, LimitsNestingOutsideStrings) {
  EXPECT_EQ(parse_limited_json(as_bytes("[[1]]"), 2), nlohmann::json::parse("[[1]]"));
  EXPECT_EQ(parse_limited_json(as_bytes(R"(["[[[[", "\"[[["])"), 1).size(), 2U);
  EXPECT_THAT(error_of([] { return parse_limited_json(as_bytes("[[[1]]]"), 2); }).what(),
              HasSubstr("nests more than 2 deep"));
  const std::string hostile(10'000'000, '[');
  EXPECT_THROW((void)parse_limited_json(as_bytes(hostile), 32), Error);
}

// An element of two bytes would take 32, an entry of eight bytes 48.
TEST(LimitedJson, LimitsWhatAnArrayOrObjectTakes) {
  std::string array = "[0";
  while (array.size() < 10'000'000) array += ",0";
  EXPECT_THAT(error_of([&] { return parse_limited_json(as_bytes(array + "]"), 2); }).what(),
              HasSubstr("an array or object of more than"));
  std::string object = R"({"0":0)";
  for (int i = 1; object.size() < 10'000'000; ++i) object += ",\"" + std::to_string(i) + "\":0";
  EXPECT_THAT(error_of([&] { return parse_limited_json(as_bytes(object + "}"), 2); }).what(),
              HasSubstr("an array or object of more than"));
  // As large where it is many small ones, and where a file of a usual size has many elements.
  std::string many = "[[0,0,0]";
  for (int i = 0; i < 100'000; ++i) many += R"(,[0,0,0,"a,b,c,d,e,f"])";
  EXPECT_EQ(parse_limited_json(as_bytes(many + "]"), 2).size(), 100'001U);
  EXPECT_EQ(parse_limited_json(as_bytes(array.substr(0, 200'002) + "]"), 2).size(), 100'001U);
}

TEST(LimitedJson, RejectsOtherText) {
  for (const char* text : {"", "{", "[1,]", "{\"a\":1}x", "\xff", "\"\\", "[1e999999]"}) {
    EXPECT_EQ(error_of([&] { return parse_limited_json(as_bytes(text), 8); }).kind(),
              ErrorKind::kInvalidFile)
        << text;
  }
  EXPECT_THROW((void)parse_limited_json(as_bytes(std::string_view("{}\0x", 4)), 8), Error);
}

}  // namespace
}  // namespace mistral::formats
