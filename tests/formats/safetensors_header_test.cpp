#include "formats/safetensors_header.h"

#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"
#include "gguf_bytes.h"
#include "safetensors_bytes.h"

namespace mistral::formats {
namespace {

using test::as_bytes;
using test::error_of;
using test::safetensors_bytes;
using testing::ElementsAre;
using testing::HasSubstr;

std::string header_error(std::string_view header, std::string_view data = {}) {
  const std::string bytes = safetensors_bytes(header, data);
  return error_of([&] { return parse_safetensors(as_bytes(bytes)); }).what();
}

// A header with one tensor "t" of these fields.
std::string fields_error(const std::string& fields, std::string_view data = {}) {
  return header_error("{\"t\":" + fields + "}", data);
}

TEST(SafetensorsHeader, ReadsTensorsInTheOrderOfTheirData) {
  const std::string bytes = safetensors_bytes(
      R"({"__metadata__":{"format":"pt","x":"y"},
          "b":{"data_offsets":[4,12],"shape":[2,2],"dtype":"BF16"},
          "a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},
          "none":{"dtype":"I64","shape":[0,7],"data_offsets":[12,12]}}  )",
      "aaaabbbbbbbb");
  const auto tensors = parse_safetensors(as_bytes(bytes));
  ASSERT_EQ(tensors.size(), 3U);
  EXPECT_EQ(tensors[0].name, "a");
  EXPECT_EQ(tensors[0].view.dtype, DType::kF32);
  EXPECT_TRUE(tensors[0].view.shape.dims.empty());
  EXPECT_EQ(tensors[1].name, "b");
  EXPECT_EQ(tensors[1].view.dtype, DType::kBF16);
  EXPECT_THAT(tensors[1].view.shape.dims, ElementsAre(2, 2));
  EXPECT_EQ(tensors[1].view.data.size(), 8U);
  EXPECT_EQ(tensors[1].view.data[0], std::byte{'b'});
  EXPECT_EQ(tensors[2].name, "none");
  EXPECT_TRUE(tensors[2].view.data.empty());
}

TEST(SafetensorsHeader, KnowsTheTypes) {
  for (const auto& [name, dtype, size] :
       std::vector<std::tuple<std::string, DType, int>>{{"F64", DType::kF64, 8},
                                                        {"F32", DType::kF32, 4},
                                                        {"F16", DType::kF16, 2},
                                                        {"BF16", DType::kBF16, 2},
                                                        {"I64", DType::kI64, 8},
                                                        {"I32", DType::kI32, 4},
                                                        {"I16", DType::kI16, 2},
                                                        {"I8", DType::kI8, 1},
                                                        {"U8", DType::kU8, 1},
                                                        {"BOOL", DType::kBool, 1},
                                                        {"F8_E4M3", DType::kF8E4M3, 1}}) {
    const std::string header = R"({"t":{"dtype":")" + name + R"(","shape":[3],"data_offsets":[0,)" +
                               std::to_string(3 * size) + "]}}";
    const std::string bytes =
        safetensors_bytes(header, std::string(static_cast<std::size_t>(3 * size), '\0'));
    EXPECT_EQ(parse_safetensors(as_bytes(bytes)).at(0).view.dtype, dtype) << name;
  }
  // Block formats and others exist, but not in these files.
  for (const char* name : {"F8_E5M2", "U32", "Q4_0", "f32", ""}) {
    EXPECT_THAT(fields_error(R"({"dtype":")" + std::string(name) +
                             R"(","shape":[0],"data_offsets":[0,0]})"),
                HasSubstr("tensor 't': unknown dtype '" + std::string(name) + "'"));
  }
}

TEST(SafetensorsHeader, AcceptsAFileWithoutTensors) {
  EXPECT_TRUE(parse_safetensors(as_bytes(safetensors_bytes("{}", ""))).empty());
  EXPECT_THAT(header_error("{}", "x"), HasSubstr("there are 1 bytes"));
}

TEST(SafetensorsHeader, RejectsEveryTruncation) {
  const std::string bytes = test::one_tensor("t", "data");
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::vector<std::byte> part(as_bytes(bytes).begin(), as_bytes(bytes).begin() + size);
    EXPECT_THROW((void)parse_safetensors(part), Error) << size;
  }
  EXPECT_NO_THROW((void)parse_safetensors(as_bytes(bytes)));
}

TEST(SafetensorsHeader, RefusesMoreTensorsThanFitInTwiceTheFile) {
  std::string header;
  for (int i = 0; i < 100'000; ++i) {
    header += (i == 0 ? "{\"" : ",\"") + std::to_string(i) +
              R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  }
  EXPECT_THAT(header_error(header + "}"), HasSubstr("the header needs more than"));
}

TEST(SafetensorsHeader, ChecksTheLengthOfTheHeader) {
  for (const std::uint64_t length : {std::uint64_t{100'000'001}, ~std::uint64_t{0}}) {
    const std::string bytes = test::GgufBytes::bytes_of(length) + "{}";
    EXPECT_THAT(error_of([&] { return parse_safetensors(as_bytes(bytes)); }).what(),
                HasSubstr("expected at most 100000000"));
  }
  const std::string bytes = test::GgufBytes::bytes_of(std::uint64_t{99'000'000}) + "{}";
  EXPECT_THAT(error_of([&] { return parse_safetensors(as_bytes(bytes)); }).what(),
              HasSubstr("needs 99000000 bytes"));
}

TEST(SafetensorsHeader, RejectsOtherJson) {
  EXPECT_THAT(header_error(""), HasSubstr("not valid JSON"));
  EXPECT_THAT(header_error("{"), HasSubstr("not valid JSON"));
  EXPECT_THAT(header_error("{}{}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(header_error(std::string_view("{}\0\0", 4)), HasSubstr("not valid JSON"));
  EXPECT_THAT(header_error("{\"\xff\":{}}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(header_error("\xef\xbb\xbf{}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(header_error(" {}"), HasSubstr("not valid JSON"));
  for (const char* text : {"[]", "1", "-1", "0.5", "\"s\"", "null", "true"}) {
    EXPECT_THAT(header_error(text), HasSubstr("expected an object")) << text;
    EXPECT_THAT(fields_error(text), HasSubstr("tensor 't': expected an object")) << text;
  }
  EXPECT_THAT(fields_error("{}"), HasSubstr("expected the fields dtype, shape and data_offsets"));
  EXPECT_THAT(fields_error(R"({"dtype":"U8","shape":[0]})"), HasSubstr("expected the fields"));
  EXPECT_THAT(fields_error(R"({"dtype":"U8","dtype":"U8"})"), HasSubstr("'t': field dtype occurs"));
  EXPECT_THAT(fields_error(R"({"strides":1})"), HasSubstr("unknown field 'strides'"));
  EXPECT_THAT(fields_error(R"({"dtype":8})"), HasSubstr("a string for dtype, found a number"));
  EXPECT_THAT(fields_error(R"({"dtype":["U8"]})"), HasSubstr("a string for dtype, found an array"));
  EXPECT_THAT(fields_error(R"({"shape":{}})"), HasSubstr("an array for shape, found an object"));
  EXPECT_THAT(fields_error(R"({"shape":"3"})"), HasSubstr("an array for shape, found a string"));
  for (const char* bad : {"-1", "1.5", "\"1\"", "null", "[1]", "{}", "18446744073709551616"}) {
    EXPECT_THAT(fields_error(R"({"shape":[)" + std::string(bad) + "]}"), HasSubstr("in shape"));
    EXPECT_THAT(fields_error(R"({"data_offsets":[)" + std::string(bad) + "]}"),
                HasSubstr("in data_offsets"));
  }
  EXPECT_THAT(fields_error(R"({"shape":[9223372036854775808]})"), HasSubstr("is too large"));
  EXPECT_THAT(fields_error(R"({"shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]})"),
              HasSubstr("more than 16 dimensions"));
  for (const char* offsets : {"[]", "[0]", "[0,0,0]"}) {
    EXPECT_THAT(fields_error(R"({"data_offsets":)" + std::string(offsets) + "}"),
                HasSubstr("expected 2"));
  }
  for (const char* metadata : {"1", "[]", "\"s\"", R"({"a":1})", R"({"a":{}})", R"({"a":["b"]})"}) {
    EXPECT_THAT(header_error(R"({"__metadata__":)" + std::string(metadata) + "}"),
                HasSubstr("expected an object of strings"))
        << metadata;
  }
  EXPECT_THAT(header_error(R"({"__metadata__":{},"__metadata__":{}})"), HasSubstr("occurs twice"));
}

TEST(SafetensorsHeader, RejectsOffsetsThatDoNotFit) {
  const auto one = [](const char* shape, const char* offsets) {
    return fields_error(
        R"({"dtype":"F32","shape":)" + std::string(shape) + R"(,"data_offsets":)" + offsets + "}",
        "12345678");
  };
  EXPECT_THAT(one("[2]", "[8,0]"), HasSubstr("do not lie in the 8 bytes"));
  EXPECT_THAT(one("[4]", "[0,16]"), HasSubstr("do not lie in the 8 bytes"));
  EXPECT_THAT(one("[2]", "[18446744073709551608,0]"), HasSubstr("do not lie in the 8 bytes"));
  EXPECT_THAT(one("[1]", "[0,8]"), HasSubstr("F32 [1] does not have the 8 bytes"));
  EXPECT_THAT(one("[3]", "[0,8]"), HasSubstr("F32 [3] does not have the 8 bytes"));
  EXPECT_THAT(one("[1]", "[4,8]"), HasSubstr("begins at 4, but the tensor before it ends at 0"));
  EXPECT_THAT(one("[1]", "[0,4]"), HasSubstr("there are 8 bytes"));
  EXPECT_THAT(one("[4611686018427387904,4611686018427387904]", "[0,8]"),
              HasSubstr("does not have the 8 bytes"));
  EXPECT_THAT(one("[4611686018427387904,4611686018427387904,0]", "[0,0]"),
              HasSubstr("does not have the 0 bytes"));

  const auto two = [](const char* first, const char* second) {
    return header_error(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + std::string(first) +
                            R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + second + "}}",
                        "123456789");
  };
  EXPECT_THAT(two("[0,4]", "[3,7]"), HasSubstr("begins at 3"));
  EXPECT_THAT(two("[0,4]", "[0,4]"), HasSubstr("begins at 0"));
  EXPECT_THAT(two("[0,4]", "[5,9]"), HasSubstr("begins at 5"));
}

TEST(SafetensorsHeader, StopsAtHostileNesting) {
  for (const char* start : {"", R"({"t":)", R"({"t":{"shape":)", R"({"__metadata__":{"a":)"}) {
    EXPECT_THROW((void)parse_safetensors(
                     as_bytes(safetensors_bytes(start + std::string(5'000'000, '['), ""))),
                 Error);
  }
}

}  // namespace
}  // namespace mistral::formats
