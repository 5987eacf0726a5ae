// What a path alone is taken for.
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"
#include "models/loader.h"
#include "temporary_folder.h"

namespace mistral::models {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Kind = ModelPath::Kind;

constexpr std::string_view kGgmlMagic = "tjgg";  // ggjt, little endian

class LocateTest : public testing::Test {
 protected:
  fs::path touch(const std::string& name, std::string_view content = "x") const {
    return folder_.write(name, content);
  }
  [[nodiscard]] const fs::path& folder() const { return folder_.path(); }

  void expect_folder(const fs::path& path) const {
    const ModelPath model = locate(path);
    EXPECT_EQ(model.kind, Kind::kFolder) << path;
    EXPECT_TRUE(fs::equivalent(model.folder, folder())) << path;
    EXPECT_THAT(model.files, IsEmpty()) << path;
  }

  test::TemporaryFolder folder_;
};

TEST_F(LocateTest, HuggingFaceFolderOrAFileOfIt) {
  for (const char* weights :
       {"model.safetensors", "pytorch_model.bin", "consolidated.00.pth", "model.pt"}) {
    const fs::path config = touch("config.json", "{}");
    const fs::path file = touch(weights);
    expect_folder(folder());
    expect_folder(config);
    expect_folder(file);
    fs::remove(file);
  }
  expect_folder(folder());  // loading says that there are no weights
}

TEST_F(LocateTest, WeightsOfAFolderThatLoadsOthers) {
  touch("config.json", "{}");
  touch("model.safetensors");
  const fs::path file = touch("model.pt");
  const Error error = error_of([&] { return locate(file); });
  EXPECT_THAT(error.what(), HasSubstr("model.pt"));
  EXPECT_THAT(error.what(), HasSubstr("model.safetensors"));
}

TEST_F(LocateTest, WeightsWithoutAConfig) {
  for (const char* name : {"model.safetensors", "model.pt", "consolidated.00.pth"}) {
    const fs::path file = touch(name);
    const Error error = error_of([&] { return locate(file); });
    EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
    EXPECT_THAT(error.what(), HasSubstr("config.json"));
  }
}

TEST_F(LocateTest, GgufFolders) {
  const fs::path first = touch("m-00001-of-00002.gguf");
  const fs::path second = touch("m-00002-of-00002.gguf");
  for (const fs::path& path : {folder(), first, second}) {
    const ModelPath model = locate(path);
    EXPECT_EQ(model.kind, Kind::kGguf);
    EXPECT_THAT(model.files, ElementsAre(first)) << path;
  }
  // A config beside it, as of a tokenizer, does not make it something else.
  touch("config.json", "{}");
  EXPECT_THAT(locate(folder()).files, ElementsAre(first));
  touch("model.safetensors");
  expect_folder(folder());
}

TEST_F(LocateTest, SeveralGgufModels) {
  touch("a.gguf");
  touch("b.GGUF");
  const Error error = error_of([&] { return locate(folder()); });
  EXPECT_THAT(error.what(), HasSubstr("2 GGUF models (a.gguf, b.GGUF)"));
  EXPECT_THAT(error.what(), HasSubstr("-f FILE"));
}

TEST_F(LocateTest, GgmlFilesAndFolders) {
  const fs::path file = touch("llama.ggmlv3.q4_0.bin", kGgmlMagic);
  for (const fs::path& path : {folder(), file}) {
    const ModelPath model = locate(path);
    EXPECT_EQ(model.kind, Kind::kGgml) << path;
    EXPECT_THAT(model.files, ElementsAre(file)) << path;
  }
  touch("config.json", "{}");
  EXPECT_EQ(locate(folder()).kind, Kind::kGgml);
  touch("other.ggml", kGgmlMagic);
  EXPECT_THAT(error_of([&] { return locate(folder()); }).what(), HasSubstr("2 GGML models"));
}

TEST_F(LocateTest, FoldersWithoutAModel) {
  touch("notes.txt");
  EXPECT_EQ(error_of([&] { return locate(folder()); }).kind(), ErrorKind::kNotFound);
  EXPECT_EQ(error_of([&] { return locate(folder() / "absent"); }).kind(), ErrorKind::kNotFound);
}

}  // namespace
}  // namespace mistral::models
