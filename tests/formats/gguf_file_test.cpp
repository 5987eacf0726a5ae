#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"
#include "formats/gguf.h"
#include "gguf_bytes.h"
#include "temporary_folder.h"

namespace mistral::formats {
namespace {

using test::error_of;
using test::GgufBytes;
using test::TemporaryFolder;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

struct Split {
  std::uint16_t number = 0;
  std::uint16_t count = 1;
  std::int32_t tensors = 1;
};

// A file with one tensor, whose bytes are four times `fill`.
std::string shard(const Split& split, std::string_view tensor, char fill) {
  GgufBytes file;
  if (split.number == 0) file.text("general.architecture", "llama");
  return file.kv("split.no", GgufType::kU16, split.number)
      .kv("split.count", GgufType::kU16, split.count)
      .kv("split.tensors.count", GgufType::kI32, split.tensors)
      .tensor(tensor, {1}, 0, 0)
      .data(std::string(4, fill))
      .build();
}

char first_byte(const GgufFile& file, std::string_view tensor) {
  return static_cast<char>(file.require(tensor).view.data[0]);
}

Error open_error(const std::vector<std::filesystem::path>& paths) {
  return error_of([&] { return GgufFile::open(paths); });
}

class Shards : public testing::Test {
 protected:
  std::filesystem::path write(std::string_view name, const Split& split, std::string_view tensor,
                              char fill) {
    return folder_.write(name, shard(split, tensor, fill));
  }
  TemporaryFolder folder_;
  std::filesystem::path a_ = write("m-00001-of-00003.gguf", {0, 3, 3}, "a", 'a');
  std::filesystem::path b_ = write("m-00002-of-00003.gguf", {1, 3, 3}, "b", 'b');
  std::filesystem::path c_ = write("m-00003-of-00003.gguf", {2, 3, 3}, "c", 'c');
};

TEST_F(Shards, OpenInAnyOrderAndByTheFirst) {
  for (const std::vector<std::filesystem::path>& paths :
       {std::vector{a_, b_, c_}, {c_, a_, b_}, {a_}}) {
    const auto file = GgufFile::open(paths);
    EXPECT_THAT(file->files(), ElementsAre(a_, b_, c_));
    EXPECT_EQ(file->architecture(), "llama");
    EXPECT_EQ(file->version(), 3U);
    ASSERT_EQ(file->tensors().size(), 3U);
    for (const char* tensor : {"a", "b", "c"}) {
      EXPECT_EQ(first_byte(*file, tensor), tensor[0]);
      file->release(file->require(tensor));
      EXPECT_EQ(first_byte(*file, tensor), tensor[0]);
    }
    EXPECT_EQ(file->find("b")->file, 1U);
    EXPECT_EQ(file->find("d"), nullptr);
    const Error missing = error_of([&] { return file->require("d"); });
    EXPECT_EQ(missing.kind(), ErrorKind::kNotFound);
    EXPECT_THAT(missing.what(),
                AllOf(HasSubstr("'d'"), HasSubstr(a_.string()), HasSubstr("2 other")));
  }
}

TEST_F(Shards, OpenUnderOtherNamesWhenAllAreGiven) {
  const auto x = folder_.write("x", shard({1, 2, 2}, "b", 'b'));
  const auto y = folder_.write("y", shard({0, 2, 2}, "a", 'a'));
  EXPECT_EQ(first_byte(*GgufFile::open({x, y}), "b"), 'b');
  EXPECT_THAT(open_error({y}).what(), HasSubstr("does not end in '-00001-of-00002.gguf'"));
}

TEST_F(Shards, SayWhatDoesNotFit) {
  EXPECT_THAT(open_error({b_}).what(), HasSubstr("is shard 2 of 3; expected the path of shard 1"));
  EXPECT_THAT(open_error({a_, b_}).what(), HasSubstr("one of 3 shards, but 2 files are given"));
  EXPECT_THAT(open_error({a_, b_, b_}).what(), HasSubstr("both shard 2 of 3"));
  const auto other = write("o", {1, 2, 3}, "o", 'o');
  EXPECT_THAT(open_error({a_, other, c_}).what(), HasSubstr("to one of 3"));
  const auto alone = folder_.write(
      "alone", GgufBytes().text("general.architecture", "llama").build() + std::string(32, '\0'));
  EXPECT_THAT(open_error({a_, b_, alone}).what(), HasSubstr("'split.count' is missing"));
  const auto beyond = write("beyond", {3, 3, 3}, "o", 'o');
  EXPECT_THAT(open_error({a_, b_, beyond}).what(), HasSubstr("'split.no' is 3; expected 0 to 2"));
  const auto twice = write("twice", {2, 3, 3}, "a", 'o');
  EXPECT_THAT(open_error({a_, b_, twice}).what(),
              AllOf(HasSubstr("tensor 'a' occurs in both"), HasSubstr(twice.string())));
  const auto miscounted = write("miscounted", {2, 3, 7}, "c", 'c');
  EXPECT_THAT(open_error({a_, b_, miscounted}).what(),
              AllOf(HasSubstr("'split.tensors.count' is 7"), HasSubstr("hold 3 tensors")));
}

TEST_F(Shards, AMissingSisterIsNamed) {
  std::filesystem::remove(c_);
  const Error error = open_error({a_});
  EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("shard 1 of 3"), HasSubstr(c_.string())));
}

TEST_F(Shards, ACountWithoutANumberIsRefused) {
  const auto path = folder_.write("n", GgufBytes()
                                           .text("general.architecture", "llama")
                                           .kv("split.count", GgufType::kU16, std::uint16_t{2})
                                           .build());
  EXPECT_THAT(open_error({path}).what(), AllOf(HasSubstr("'split.no'"), HasSubstr(path.string())));
  const auto many = folder_.write("many", GgufBytes()
                                              .text("general.architecture", "llama")
                                              .kv("split.no", GgufType::kU32, 0U)
                                              .kv("split.count", GgufType::kU32, ~0U)
                                              .build());
  EXPECT_THAT(open_error({many}).what(), HasSubstr("expected 1 to 65535"));
}

TEST(GgufFile, NeedsAnArchitecture) {
  const TemporaryFolder folder;
  const auto none = folder.write("none", GgufBytes().text("general.name", "x").build());
  EXPECT_THAT(open_error({none}).what(),
              AllOf(HasSubstr("'general.architecture' is missing"), HasSubstr(none.string())));
  const auto number =
      folder.write("number", GgufBytes().kv("general.architecture", GgufType::kU32, 1U).build());
  EXPECT_THAT(open_error({number}).what(),
              AllOf(HasSubstr("expected a string, found u32"), HasSubstr(number.string())));
  const auto empty = folder.write("empty", GgufBytes().text("general.architecture", "").build());
  EXPECT_THAT(open_error({empty}).what(), HasSubstr("is empty"));
}

TEST(GgufFile, NamesTheFileInErrors) {
  const TemporaryFolder folder;
  const auto path = folder.write("bad.gguf", "GGUX");
  EXPECT_THAT(open_error({path}).what(), HasSubstr("reading '" + path.string() + "'"));
  EXPECT_EQ(open_error({folder.path() / "missing"}).kind(), ErrorKind::kNotFound);
  EXPECT_EQ(open_error({folder.path()}).kind(), ErrorKind::kInvalidFile);
  EXPECT_EQ(open_error({}).kind(), ErrorKind::kInvalidArgument);
}

TEST(GgufFile, RejectsATensorNameThatOccursTwice) {
  const TemporaryFolder folder;
  const auto path = folder.write("f", GgufBytes()
                                          .text("general.architecture", "llama")
                                          .tensor("t", {1}, 0, 0)
                                          .tensor("t", {1}, 0, 0)
                                          .data("data")
                                          .build());
  EXPECT_THAT(open_error({path}).what(),
              AllOf(HasSubstr("tensor 't' occurs twice"), HasSubstr(path.string())));
}

TEST(GgufFile, FindsAmongThousandsOfTensors) {
  GgufBytes content;
  content.text("general.architecture", "llama");
  constexpr int kCount = 20000;
  for (int i = 0; i < kCount; ++i) {
    content.tensor("t" + std::to_string(i), {1}, 0, static_cast<std::uint64_t>(i) * 32);
  }
  const TemporaryFolder folder;
  const auto file =
      GgufFile::open({folder.write("f", content.data(std::string(kCount * 32, '\0')).build())});
  for (int i = 0; i < kCount; ++i) {
    const TensorInfo* tensor = file->find("t" + std::to_string(i));
    ASSERT_EQ(tensor, &file->tensors()[static_cast<std::size_t>(i)]);
  }
}

}  // namespace
}  // namespace mistral::formats
