#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"
#include "formats/safetensors.h"
#include "formats/weight_folder.h"
#include "safetensors_bytes.h"
#include "temporary_folder.h"

namespace mistral::formats {
namespace {

using test::error_of;
using test::one_tensor;
using test::TemporaryFolder;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kIndex = "model.safetensors.index.json";

Error folder_error(const std::filesystem::path& folder) {
  return error_of([&] { return SafetensorsFile::open_folder(folder); });
}

std::vector<std::string> file_names(const SafetensorsFile& source) {
  std::vector<std::string> out;
  for (const auto& path : source.files()) out.push_back(path.filename().string());
  return out;
}

TEST(SafetensorsFile, OpensSeveralFiles) {
  const TemporaryFolder folder;
  const auto a = folder.write("a", one_tensor("a", "aaaa"));
  const auto b = folder.write("b", one_tensor("b", "bbbb"));
  const auto source = SafetensorsFile::open({a, b});
  ASSERT_EQ(source->tensors().size(), 2U);
  EXPECT_EQ(source->find("b")->file, 1U);
  EXPECT_EQ(source->require("b").view.data[3], std::byte{'b'});
  source->release(source->require("b"));
  EXPECT_EQ(source->require("b").view.data[3], std::byte{'b'});
  EXPECT_EQ(source->find("c"), nullptr);
  EXPECT_THAT(error_of([&] { return source->require("c"); }).what(),
              AllOf(HasSubstr("'c'"), HasSubstr(a.string())));
}

TEST(SafetensorsFile, NamesTheFileInErrors) {
  const TemporaryFolder folder;
  const auto a = folder.write("a", one_tensor("t", "aaaa"));
  const auto b = folder.write("b", one_tensor("t", "bbbb"));
  const auto bad = folder.write("bad", "12345678");
  const auto open = [](const std::vector<std::filesystem::path>& paths) {
    return error_of([&] { return SafetensorsFile::open(paths); });
  };
  EXPECT_THAT(open({a, b}).what(),
              AllOf(HasSubstr("'t' occurs in both"), HasSubstr(a.string()), HasSubstr(b.string())));
  EXPECT_THAT(open({a, bad}).what(), HasSubstr("reading '" + bad.string() + "'"));
  EXPECT_EQ(open({folder.path() / "missing"}).kind(), ErrorKind::kNotFound);
  EXPECT_EQ(open({}).kind(), ErrorKind::kInvalidArgument);
  const auto twice = folder.write(
      "twice", test::safetensors_bytes(R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
                                           "t":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                                       "ab"));
  EXPECT_THAT(open({twice}).what(), HasSubstr("'t' occurs twice"));
}

TEST(SafetensorsFolder, FollowsTheIndex) {
  const TemporaryFolder folder;
  folder.write("one.safetensors", one_tensor("a", "aaaa"));
  folder.write("two.safetensors", one_tensor("b", "bbbb"));
  folder.write("other.safetensors", one_tensor("c", "cccc"));
  folder.write("model.safetensors", one_tensor("d", "dddd"));
  folder.write(kIndex, R"({"metadata":{"total_size":8},
                           "weight_map":{"b":"two.safetensors","a":"one.safetensors"}})");
  const auto source = SafetensorsFile::open_folder(folder.path());
  EXPECT_THAT(file_names(*source), ElementsAre("one.safetensors", "two.safetensors"));
  EXPECT_NE(source->find("a"), nullptr);
  EXPECT_NE(source->find("b"), nullptr);
  EXPECT_EQ(source->find("c"), nullptr);
}

TEST(SafetensorsFolder, FollowsLinksAsHubCachesHaveThem) {
  const TemporaryFolder cache;
  const auto blob = cache.write("blob", one_tensor("a", "aaaa"));
  const TemporaryFolder folder;
  std::filesystem::create_symlink(blob, folder.path() / "model.safetensors");
  EXPECT_NE(SafetensorsFile::open_folder(folder.path())->find("a"), nullptr);
}

TEST(SafetensorsFolder, RefusesPathsInTheIndex) {
  const TemporaryFolder outside;
  const auto secret = outside.write("secret.safetensors", one_tensor("a", "aaaa"));
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "sub");
  folder.write("sub/x.safetensors", one_tensor("a", "aaaa"));
  folder.write(".x.safetensors", one_tensor("a", "aaaa"));
  folder.write("x.bin", one_tensor("a", "aaaa"));
  const std::string up = "../" + outside.path().filename().string() + "/secret.safetensors";
  for (const std::string& name :
       {secret.string(), up, std::string("sub/x.safetensors"), std::string("sub\\\\x.safetensors"),
        std::string("./x.safetensors"), std::string(".x.safetensors"), std::string("x.bin"),
        std::string(".."), std::string(""), std::string("a\\u0000.safetensors")}) {
    folder.write(kIndex, R"({"weight_map":{"a":")" + name + "\"}}");
    const Error error = folder_error(folder.path());
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidFile) << name;
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("weight_map"), HasSubstr("same folder"), HasSubstr(kIndex.data())));
  }
}

TEST(SafetensorsFolder, RefusesABrokenIndex) {
  const TemporaryFolder folder;
  folder.write("one.safetensors", one_tensor("a", "aaaa"));
  const auto error_with = [&](const std::string& index) {
    folder.write(kIndex, index);
    return std::string(folder_error(folder.path()).what());
  };
  EXPECT_THAT(error_with("{"), HasSubstr("not valid JSON"));
  for (const char* index : {"[]", "{}", R"({"weight_map":[]})", R"({"weight_map":{}})", "null"}) {
    EXPECT_THAT(error_with(index), HasSubstr("expected an object 'weight_map'")) << index;
  }
  EXPECT_THAT(error_with(R"({"weight_map":{"a":1}})"),
              HasSubstr("expected a string, found number"));
  EXPECT_THAT(error_with(R"({"weight_map":{"a":"gone.safetensors"}})"),
              HasSubstr("'gone.safetensors' that weight_map names does not exist"));
  EXPECT_THAT(error_with(R"({"weight_map":{"z":"one.safetensors"}})"),
              AllOf(HasSubstr("tensor 'z' is in"), HasSubstr("but it is not")));
  EXPECT_THAT(error_with(std::string(1'000'000, '[')), HasSubstr("nests more than"));
  folder.write("two.safetensors", one_tensor("b", "bbbb"));
  EXPECT_THAT(error_with(R"({"weight_map":{"a":"two.safetensors","b":"one.safetensors"}})"),
              HasSubstr("but it is not"));
}

TEST(SafetensorsFolder, RefusesEveryPrefixOfAnIndex) {
  const std::string index =
      R"({"metadata":{"total_size":8},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})";
  const auto parsed = [](std::string_view text) {
    return parse_weight_index(std::as_bytes(std::span(text)), safetensors_names());
  };
  EXPECT_EQ(parsed(index).size(), 2U);
  for (std::size_t size = 0; size < index.size(); ++size) {
    EXPECT_EQ(error_of([&] { return parsed(index.substr(0, size)); }).kind(),
              ErrorKind::kInvalidFile)
        << size;
  }
}

TEST(SafetensorsFolder, TakesModelSafetensorsFirst) {
  const TemporaryFolder folder;
  folder.write("model.safetensors", one_tensor("a", "aaaa"));
  folder.write("expected.safetensors", one_tensor("e", "eeee"));
  folder.write("other.safetensors", one_tensor("o", "oooo"));
  EXPECT_THAT(file_names(*SafetensorsFile::open_folder(folder.path())),
              ElementsAre("model.safetensors"));
}

TEST(SafetensorsFolder, TakesTheOneFileThatLooksLikeWeights) {
  const TemporaryFolder folder;
  folder.write("expected.safetensors", one_tensor("e", "eeee"));
  folder.write("adapter_model.safetensors", one_tensor("l", "llll"));
  const Error none = folder_error(folder.path());
  EXPECT_EQ(none.kind(), ErrorKind::kNotFound);
  EXPECT_THAT(none.what(),
              AllOf(HasSubstr(folder.path().string()), HasSubstr("model.safetensors")));
  folder.write("tiny.safetensors", one_tensor("a", "aaaa"));
  folder.write("consolidated.safetensors", one_tensor("c", "cccc"));
  EXPECT_THAT(file_names(*SafetensorsFile::open_folder(folder.path())),
              ElementsAre("tiny.safetensors"));
  folder.write("second.safetensors", one_tensor("b", "bbbb"));
  EXPECT_THAT(folder_error(folder.path()).what(),
              AllOf(HasSubstr("second.safetensors"), HasSubstr("tiny.safetensors")));
}

TEST(SafetensorsFolder, TakesConsolidatedWhenAlone) {
  const TemporaryFolder folder;
  folder.write("consolidated.safetensors", one_tensor("c", "cccc"));
  EXPECT_NE(SafetensorsFile::open_folder(folder.path())->find("c"), nullptr);
}

TEST(SafetensorsFolder, TakesACompleteSetOfShardsWithoutIndex) {
  const TemporaryFolder folder;
  folder.write("model-00001-of-00002.safetensors", one_tensor("a", "aaaa"));
  EXPECT_NO_THROW(
      (void)SafetensorsFile::open({folder.path() / "model-00001-of-00002.safetensors"}));
  folder.write("model-00002-of-00002.safetensors", one_tensor("b", "bbbb"));
  EXPECT_EQ(SafetensorsFile::open_folder(folder.path())->tensors().size(), 2U);
  folder.write("model-00002-of-00003.safetensors", one_tensor("c", "cccc"));
  EXPECT_EQ(folder_error(folder.path()).kind(), ErrorKind::kInvalidFile);
}

TEST(SafetensorsFolder, AShardOfSeveralIsNotAModel) {
  const TemporaryFolder folder;
  folder.write("model-00001-of-00002.safetensors", one_tensor("a", "aaaa"));
  const Error error = folder_error(folder.path());
  EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
  EXPECT_THAT(error.what(), HasSubstr("model-00002-of-00002.safetensors"));
}

TEST(SafetensorsFolder, SaysWhenThereIsNoFolder) {
  const TemporaryFolder folder;
  EXPECT_EQ(folder_error(folder.path() / "missing").kind(), ErrorKind::kNotFound);
  EXPECT_THAT(folder_error(folder.write("file", "x")).what(), HasSubstr("is not a folder"));
}

}  // namespace
}  // namespace mistral::formats
