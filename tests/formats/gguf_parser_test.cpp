#include "formats/gguf_parser.h"

#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"
#include "gguf_bytes.h"

namespace mistral::formats {
namespace {

using test::as_bytes;
using test::error_of;
using test::GgufBytes;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kQ4_0 = 2;

Error parse_error(const std::string& bytes) {
  return error_of([&] { return parse_gguf(as_bytes(bytes)); });
}

// Two tensors and one pair of each kind.
GgufBytes sound_file(std::uint32_t version) {
  GgufBytes file(version);
  file.text("general.architecture", "llama")
      .kv("u8", GgufType::kU8, std::uint8_t{200})
      .kv("i8", GgufType::kI8, std::int8_t{-100})
      .kv("u16", GgufType::kU16, std::uint16_t{60000})
      .kv("i16", GgufType::kI16, std::int16_t{-30000})
      .kv("u32", GgufType::kU32, std::uint32_t{4000000000U})
      .kv("i32", GgufType::kI32, std::int32_t{-2000000000})
      .kv("u64", GgufType::kU64, std::uint64_t{1} << 63)
      .kv("i64", GgufType::kI64, std::int64_t{-1} << 62)
      .kv("f32", GgufType::kF32, 0.25F)
      .kv("f64", GgufType::kF64, 0.1)
      .kv("bool", GgufType::kBool, std::uint8_t{1})
      .array("texts", GgufType::kString, 2, file.string("a") + file.string(""))
      .array("bytes", GgufType::kU8, 3, "\x01\x02\xff")
      .array("flags", GgufType::kBool, 2, std::string_view("\x01\x00", 2))
      .tensor("matrix", {32, 2}, kQ4_0, 0)
      .tensor("vector", {3}, kF32, 64)
      .data(std::string(64 + 12, 'd'));
  return file;
}

TEST(GgufParser, ReadsAllVersions) {
  for (const std::uint32_t version : {1U, 2U, 3U}) {
    SCOPED_TRACE(version);
    const std::string bytes = sound_file(version).build();
    const ParsedGguf parsed = parse_gguf(as_bytes(bytes));
    EXPECT_EQ(parsed.version, version);
    const GgufMetadata& metadata = parsed.metadata;
    EXPECT_EQ(metadata.entries().size(), 15U);
    EXPECT_EQ(metadata.string("general.architecture"), "llama");
    EXPECT_EQ(metadata.integer("u8"), 200);
    EXPECT_EQ(metadata.integer("i8"), -100);
    EXPECT_EQ(metadata.integer("u16"), 60000);
    EXPECT_EQ(metadata.integer("i16"), -30000);
    EXPECT_EQ(metadata.integer("u32"), 4000000000);
    EXPECT_EQ(metadata.integer("i32"), -2000000000);
    EXPECT_EQ(std::get<std::uint64_t>(metadata.find("u64")->value), std::uint64_t{1} << 63);
    EXPECT_EQ(metadata.integer("i64"), std::int64_t{-1} << 62);
    EXPECT_EQ(metadata.number("f32"), 0.25);
    EXPECT_EQ(metadata.number("f64"), 0.1);
    EXPECT_EQ(metadata.boolean("bool"), true);
    EXPECT_THAT(metadata.strings("texts"), ElementsAre("a", ""));
    EXPECT_THAT(metadata.integers("bytes"), ElementsAre(1, 2, 255));
    EXPECT_THAT(metadata.integers("flags"), ElementsAre(1, 0));

    ASSERT_EQ(parsed.tensors.size(), 2U);
    EXPECT_EQ(parsed.tensors[0].name, "matrix");
    EXPECT_EQ(parsed.tensors[0].view.dtype, DType::kQ4_0);
    EXPECT_THAT(parsed.tensors[0].view.shape.dims, ElementsAre(2, 32)) << "slowest first";
    EXPECT_EQ(parsed.tensors[0].view.data.size(), 36U);
    EXPECT_EQ(parsed.tensors[1].view.data.size(), 12U);
    EXPECT_EQ(parsed.tensors[1].view.data.data() + 12, as_bytes(bytes).data() + bytes.size());
  }
}

TEST(GgufParser, RejectsEveryTruncation) {
  for (const std::uint32_t version : {1U, 2U, 3U}) {
    const std::string bytes = sound_file(version).build();
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      // A copy of its own, so that a sanitizer sees a read past the end.
      const std::vector<std::byte> part(as_bytes(bytes).begin(), as_bytes(bytes).begin() + size);
      EXPECT_THROW((void)parse_gguf(part), Error) << "version " << version << ", " << size;
    }
  }
}

// Elements are kept in 64 bits, strings as views, arrays and pairs as values.
TEST(GgufParser, RefusesMetadataThatTakesMoreThanTwiceTheFile) {
  constexpr std::uint64_t kCount = std::uint64_t{5} << 20;
  const std::string zeros(kCount, '\0');
  for (const GgufType type : {GgufType::kU8, GgufType::kI8, GgufType::kBool}) {
    EXPECT_THAT(parse_error(GgufBytes().array("a", type, kCount, zeros).build()).what(),
                HasSubstr("the header needs more than"))
        << name(type);
    EXPECT_EQ(
        parse_gguf(as_bytes(GgufBytes().array("a", type, 1000, zeros.substr(0, 1000)).build()))
            .metadata.entries()
            .size(),
        1U);
  }
  GgufBytes pairs;
  for (int i = 0; i < 100'000; ++i) pairs.kv(std::to_string(i), GgufType::kU8, std::uint8_t{0});
  EXPECT_THAT(parse_error(pairs.build()).what(), HasSubstr("the header needs more than"));
}

TEST(GgufParser, TellsForeignFiles) {
  EXPECT_THAT(parse_error("GGUX" + std::string(60, '\0')).what(), HasSubstr("'GGUX'"));
  for (const char* magic : {"lmgg", "fmgg", "tjgg", "algg", "ggml", "ggmf", "ggjt"}) {
    EXPECT_THAT(parse_error(magic + std::string(60, '\0')).what(), HasSubstr("legacy GGML"));
  }
  for (const std::uint32_t version : {0U, 4U, 99U, 0x04000000U}) {
    EXPECT_THAT(parse_error(GgufBytes(version).build()).what(), HasSubstr("expected 1 to 3"));
  }
  const Error big_endian = parse_error(GgufBytes(0x03000000).build());
  EXPECT_EQ(big_endian.kind(), ErrorKind::kUnsupported);
  EXPECT_THAT(big_endian.what(), HasSubstr("big-endian"));
}

TEST(GgufParser, RejectsCountsTheFileCannotHold) {
  for (const std::uint32_t version : {1U, 3U}) {
    const std::string start = "GGUF" + GgufBytes::bytes_of(version);
    const GgufBytes lengths(version);
    for (const std::uint64_t count : {1ULL << 20, 1ULL << 31, 1ULL << 60, ~0ULL}) {
      if (version == 1 && count >> 32 != 0) continue;
      const std::string padding(1000, '\0');
      EXPECT_THAT(parse_error(start + lengths.length(count) + lengths.length(0) + padding).what(),
                  HasSubstr("tensors, but only 1000 bytes"));
      EXPECT_THAT(parse_error(start + lengths.length(0) + lengths.length(count) + padding).what(),
                  HasSubstr("key-value pairs, but only 1000 bytes"));
      for (std::uint32_t element = 0; element <= 12; ++element) {
        const std::string bytes =
            GgufBytes(version).array("a", static_cast<GgufType>(element), count, padding).build();
        EXPECT_THAT(parse_error(bytes).what(), HasSubstr("array elements")) << element;
      }
    }
  }
}

TEST(GgufParser, RejectsBadMetadata) {
  const std::uint32_t string_type = 8;
  EXPECT_THAT(parse_error(GgufBytes().text("twice", "1").text("twice", "2").build()).what(),
              HasSubstr("'twice' occurs twice"));
  EXPECT_THAT(parse_error(GgufBytes().raw_kv("k", 77, "12345678").build()).what(),
              HasSubstr("key 'k': unknown value type 77"));
  EXPECT_THAT(parse_error(GgufBytes().array("k", static_cast<GgufType>(13), 0, "").build()).what(),
              HasSubstr("unknown value type 13"));
  EXPECT_THAT(parse_error(GgufBytes().kv("k", GgufType::kBool, std::uint8_t{2}).build()).what(),
              HasSubstr("a bool has the value 2"));
  EXPECT_THAT(parse_error(GgufBytes().text(std::string(65536, 'k'), "").build()).what(),
              HasSubstr("a key of 65536 bytes"));
  EXPECT_NO_THROW(
      (void)parse_gguf(as_bytes(GgufBytes().text(std::string(65535, 'k'), "").build())));
  EXPECT_THAT(
      parse_error(
          GgufBytes().raw_kv("k", string_type, GgufBytes::bytes_of(std::uint64_t{1} << 40)).build())
          .what(),
      HasSubstr("key 'k': a string"));
}

// An array of an array of ... of no bytes; `depth` of at least 2.
std::string nested_array(int depth) {
  const GgufBytes lengths;
  const auto array_start = [&](GgufType element, std::uint64_t count) {
    return GgufBytes::bytes_of(static_cast<std::uint32_t>(element)) + lengths.length(count);
  };
  std::string elements;
  for (int i = 2; i < depth; ++i) elements += array_start(GgufType::kArray, 1);
  elements += array_start(GgufType::kU8, 0);
  return GgufBytes().array("k", GgufType::kArray, 1, elements).build();
}

TEST(GgufParser, LimitsTheNestingOfArrays) {
  const std::string shallow = nested_array(8);
  const ParsedGguf parsed = parse_gguf(as_bytes(shallow));
  const GgufArray* array = parsed.metadata.array("k");
  int depth = 1;
  while (array->element_type == GgufType::kArray) {
    array = &std::get<GgufArray>(std::get<std::vector<GgufValue>>(array->elements).at(0).value);
    ++depth;
  }
  EXPECT_EQ(depth, 8);
  EXPECT_THAT(parse_error(nested_array(9)).what(), HasSubstr("nested more than 8 deep"));
  EXPECT_THROW((void)parse_gguf(as_bytes(nested_array(100000))), Error);
}

TEST(GgufParser, RejectsBadTensors) {
  const auto error_with = [](const std::vector<std::uint64_t>& dims, std::uint32_t type,
                             std::uint64_t offset) {
    return std::string(
        parse_error(GgufBytes().tensor("t", dims, type, offset).data(std::string(64, 'd')).build())
            .what());
  };
  EXPECT_THAT(error_with({1, 1, 1, 1, 1}, kF32, 0), HasSubstr("tensor 't': 5 dimensions"));
  EXPECT_THAT(error_with({0}, kF32, 0), HasSubstr("dimension 0 is 0"));
  EXPECT_THAT(error_with({1ULL << 63}, kF32, 0), HasSubstr("expected 1 to 2^63-1"));
  EXPECT_THAT(error_with({1ULL << 40, 1ULL << 40}, kF32, 0), HasSubstr("too large"));
  EXPECT_THAT(error_with({1ULL << 62}, kF32, 0), HasSubstr("too large"));
  EXPECT_THAT(error_with({17}, kF32, 0), HasSubstr("needs 68 bytes"));
  EXPECT_THAT(error_with({16}, kF32, 32), HasSubstr("needs 64 bytes at offset 32"));
  EXPECT_THAT(error_with({1}, kF32, 1ULL << 30), HasSubstr("but the file has"));
  EXPECT_THAT(error_with({8}, kF32, ~0ULL - 31), HasSubstr("but the file has"));
  EXPECT_THAT(error_with({1}, kF32, 4), HasSubstr("not a multiple of the alignment 32"));
  EXPECT_THAT(error_with({33}, kQ4_0, 0), HasSubstr("a multiple of 32, the block of Q4_0"));
  EXPECT_THAT(error_with({}, kQ4_0, 0), HasSubstr("a multiple of 32"));
  for (const std::uint32_t removed : {4U, 5U, 31U, 32U, 33U, 36U, 37U, 38U}) {
    EXPECT_THAT(error_with({256}, removed, 0), HasSubstr("has been removed")) << removed;
  }
  for (const std::uint32_t unknown : {40U, 200U, 0xFFFFFFFFU}) {
    EXPECT_THAT(error_with({256}, unknown, 0), HasSubstr("unknown tensor type number"));
  }
  const auto file_with_name = [](std::size_t length) {
    return GgufBytes().tensor(std::string(length, 'n'), {1}, kF32, 0).data("data").build();
  };
  EXPECT_EQ(parse_gguf(as_bytes(file_with_name(64))).tensors.at(0).name.size(), 64U);
  EXPECT_THAT(parse_error(file_with_name(65)).what(), HasSubstr("a name of 65 bytes"));
  EXPECT_THAT(parse_error(GgufBytes()
                              .tensor("a", {16}, kF32, 0)
                              .tensor("b", {1}, kF32, 32)
                              .data(std::string(64, 'd'))
                              .build())
                  .what(),
              HasSubstr("tensors 'a' and 'b' overlap"));
}

TEST(GgufParser, HonoursTheAlignment) {
  const auto file = [](std::uint32_t alignment) {
    return GgufBytes()
        .kv("general.alignment", GgufType::kU32, alignment)
        .tensor("t", {2}, kF32, alignment)
        .data(std::string(alignment, '.') + "ABCDEFGH", alignment == 0 ? 32 : alignment)
        .build();
  };
  for (const std::uint32_t alignment : {8U, 16U, 32U, 64U, 4096U}) {
    const std::string bytes = file(alignment);
    const ParsedGguf parsed = parse_gguf(as_bytes(bytes));
    const auto data = parsed.tensors.at(0).view.data;
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(data.data()), data.size()), "ABCDEFGH");
  }
  for (const std::uint32_t alignment : {0U, 4U, 24U, 48U}) {
    EXPECT_THAT(parse_error(file(alignment)).what(), HasSubstr("'general.alignment'"));
  }
  EXPECT_THAT(parse_error(GgufBytes().text("general.alignment", "32").build()).what(),
              HasSubstr("expected an integer, found string"));
  EXPECT_THROW((void)parse_gguf(as_bytes(GgufBytes()
                                             .kv("general.alignment", GgufType::kU64, 1ULL << 62)
                                             .tensor("t", {1}, kF32, 0)
                                             .data("data")
                                             .build())),
               Error);
}

TEST(GgufParser, AcceptsAFileWithoutTensors) {
  const std::string bytes = GgufBytes().text("general.architecture", "llama").header();
  EXPECT_TRUE(parse_gguf(as_bytes(bytes)).tensors.empty());
}

}  // namespace
}  // namespace mistral::formats
