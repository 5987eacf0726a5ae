#include "formats/zip_archive.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"
#include "torch_bytes.h"

namespace mistral::formats {
namespace {

using test::as_bytes;
using test::error_of;
using test::little;
using test::zip_bytes;
using testing::HasSubstr;

Error error_with(const std::string& bytes) {
  return error_of([&] { return ZipArchive(as_bytes(bytes)); });
}

std::string content(const ZipArchive& archive, std::string_view name) {
  const auto data = archive.read(name);
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

TEST(ZipArchive, FindsEntriesInBothForms) {
  for (const bool zip64 : {false, true}) {
    const std::string bytes = zip_bytes({{"b", "two"}, {"a/c", "one"}, {"empty", ""}}, zip64);
    const ZipArchive archive(as_bytes(bytes));
    ASSERT_EQ(archive.entries().size(), 3U);
    EXPECT_EQ(content(archive, "a/c"), "one");
    EXPECT_EQ(content(archive, "b"), "two");
    EXPECT_EQ(content(archive, "empty"), "");
    EXPECT_EQ(archive.find("c"), nullptr);
    EXPECT_EQ(error_of([&] { return archive.read("c"); }).kind(), ErrorKind::kNotFound);
  }
}

TEST(ZipArchive, MayEndInAComment) {
  std::string bytes = zip_bytes({{"a", "x"}});
  bytes.replace(bytes.size() - 2, 2, little(std::uint16_t{5}));
  bytes += "hello";
  EXPECT_EQ(content(ZipArchive(as_bytes(bytes)), "a"), "x");
}

TEST(ZipArchive, PathsAreOnlyNames) {
  const std::string bytes = zip_bytes({{"../../etc/passwd", "x"}, {"/abs", "y"}, {"c:\\z", "z"}});
  EXPECT_EQ(content(ZipArchive(as_bytes(bytes)), "../../etc/passwd"), "x");
}

TEST(ZipArchive, RefusesWhatItCannotUnpack) {
  const std::string bytes = zip_bytes({{"packed", "x", 8, 0}, {"secret", "x", 0, 1}, {"ok", "x"}});
  const ZipArchive archive(as_bytes(bytes));
  EXPECT_EQ(content(archive, "ok"), "x");
  EXPECT_THAT(error_of([&] { return archive.read("packed"); }).what(), HasSubstr("compressed"));
  EXPECT_THAT(error_of([&] { return archive.read("secret"); }).what(), HasSubstr("encrypted"));
}

TEST(ZipArchive, RefusesEveryPrefix) {
  for (const bool zip64 : {false, true}) {
    const std::string bytes = zip_bytes({{"a", "some data"}, {"b", ""}}, zip64);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_EQ(error_with(bytes.substr(0, size)).kind(), ErrorKind::kInvalidFile) << size;
    }
  }
}

TEST(ZipArchive, RefusesANameTwice) {
  EXPECT_THAT(error_with(zip_bytes({{"a", "x"}, {"a", "y"}})).what(),
              HasSubstr("'a' occurs twice"));
}

// Every byte of the archive changed in several ways: an Error or entries inside of the bytes.
TEST(ZipArchive, StaysInsideOfTheBytes) {
  for (const bool zip64 : {false, true}) {
    const std::string sound = zip_bytes({{"a", "0123456789"}, {"b", "x"}}, zip64);
    int refused = 0;
    for (std::size_t at = 0; at < sound.size(); ++at) {
      for (const int change : {0x01, 0x80, 0xFF}) {
        std::string bytes = sound;
        bytes[at] = static_cast<char>(bytes[at] ^ change);
        try {
          const ZipArchive archive(as_bytes(bytes));
          for (const ZipEntry& entry : archive.entries()) {
            const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
            ASSERT_GE(entry.data.data(), begin);
            ASSERT_LE(entry.data.data() + entry.data.size(), begin + bytes.size());
          }
        } catch (const Error&) {
          ++refused;
        }
      }
    }
    EXPECT_GT(refused, 100);
  }
}

TEST(ZipArchive, RefusesNumbersBeyondTheFile) {
  const std::string sound = zip_bytes({{"a", "x"}});
  const std::size_t end = sound.size() - 22;
  const auto with = [&](std::size_t at, const std::string& part) {
    std::string bytes = sound;
    bytes.replace(at, part.size(), part);
    return error_with(bytes);
  };
  const std::string most = little(std::uint32_t{0xFFFFFFF0});
  EXPECT_THAT(with(end + 12, most).what(), HasSubstr("zip directory is said to be"));
  EXPECT_THAT(with(end + 16, most).what(), HasSubstr("zip directory is said to be"));
  EXPECT_THAT(with(end + 8, "\xff\xff\xff\xff").what(), HasSubstr("is said to hold 65535"));
  EXPECT_EQ(with(end + 4, "\x01").kind(), ErrorKind::kUnsupported);
  std::string wide = zip_bytes({{"a", "x"}}, true);
  wide.replace(wide.size() - 22 - 20 + 8, 8, little(std::uint64_t{1} << 62));
  EXPECT_THAT(error_with(wide).what(), HasSubstr("the zip64 end of the directory"));
}

}  // namespace
}  // namespace mistral::formats
