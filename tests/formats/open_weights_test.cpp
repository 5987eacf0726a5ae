#include "formats/open_weights.h"

#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"
#include "safetensors_bytes.h"
#include "temporary_folder.h"
#include "torch_bytes.h"

namespace mistral::formats {
namespace {

using test::error_of;
using test::one_tensor;
using test::TemporaryFolder;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
namespace py = test::py;

std::string torch_tensor(std::string_view name) {
  return test::checkpoint(py::dict({py::text(name), py::tensor(py::storage("0", 1), 0, {1}, {1})}),
                          "abcd");
}

std::vector<std::string> chosen(const TemporaryFolder& folder) {
  std::vector<std::string> out;
  const auto source = open_weights(folder.path());
  for (const auto& path : source->files()) {
    out.push_back(path.filename().string());
  }
  return out;
}

Error folder_error(const TemporaryFolder& folder) {
  return error_of([&] { return open_weights(folder.path()); });
}

// Files are added, each preferred to all before it.
TEST(OpenWeights, PrefersSafetensorsAndTheUsualNames) {
  const TemporaryFolder folder;
  folder.write("expected.safetensors", one_tensor("e", "eeee"));
  folder.write("adapter_model.bin", torch_tensor("l"));
  folder.write("optimizer.pt", torch_tensor("o"));
  folder.write("training_args.bin", "not a checkpoint of tensors");
  const Error none = folder_error(folder);
  EXPECT_EQ(none.kind(), ErrorKind::kNotFound);
  EXPECT_THAT(none.what(), AllOf(HasSubstr("model.safetensors"), HasSubstr("pytorch_model.bin"),
                                 HasSubstr(folder.path().string())));
  folder.write("consolidated.00.pth", torch_tensor("c"));
  EXPECT_THAT(chosen(folder), ElementsAre("consolidated.00.pth"));
  folder.write("consolidated.safetensors", one_tensor("c", "cccc"));
  EXPECT_THAT(chosen(folder), ElementsAre("consolidated.safetensors"));
  folder.write("model.pt", torch_tensor("m"));
  EXPECT_THAT(chosen(folder), ElementsAre("model.pt"));
  folder.write("pytorch_model.bin", torch_tensor("p"));
  EXPECT_THAT(chosen(folder), ElementsAre("pytorch_model.bin"));
  folder.write("model.safetensors", one_tensor("s", "ssss"));
  EXPECT_THAT(chosen(folder), ElementsAre("model.safetensors"));
}

TEST(OpenWeights, FollowsTheIndexOfShards) {
  const TemporaryFolder folder;
  folder.write("pytorch_model-00001-of-00002.bin", torch_tensor("a"));
  folder.write("pytorch_model-00002-of-00002.bin", torch_tensor("b"));
  EXPECT_EQ(open_weights(folder.path())->tensors().size(), 2U);  // a complete set
  folder.write("pytorch_model.bin", torch_tensor("c"));
  folder.write("pytorch_model.bin.index.json",
               R"({"weight_map":{"a":"pytorch_model-00001-of-00002.bin"}})");
  EXPECT_THAT(chosen(folder), ElementsAre("pytorch_model-00001-of-00002.bin"));
  folder.write("pytorch_model.bin.index.json",
               R"({"weight_map":{"b":"pytorch_model-00001-of-00002.bin"}})");
  EXPECT_THAT(folder_error(folder).what(), HasSubstr("tensor 'b' is in"));
}

TEST(OpenWeights, KeepsTheIndexInsideOfTheFolder) {
  const TemporaryFolder outside;
  const auto secret = outside.write("secret.bin", torch_tensor("a"));
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "sub");
  folder.write("sub/x.bin", torch_tensor("a"));
  const std::string up = "../" + outside.path().filename().string() + "/secret.bin";
  for (const std::string& name :
       {secret.string(), up, std::string("sub/x.bin"), std::string("./x.bin"), std::string(".."),
        std::string("x.safetensors"), std::string("a\\u0000.bin")}) {
    folder.write("pytorch_model.bin.index.json", R"({"weight_map":{"a":")" + name + "\"}}");
    const Error error = folder_error(folder);
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidFile) << name;
    EXPECT_THAT(error.what(), HasSubstr("same folder"));
  }
}

TEST(OpenWeights, RefusesToGuess) {
  const TemporaryFolder folder;
  folder.write("one.pt", torch_tensor("a"));
  folder.write("two.bin", torch_tensor("b"));
  EXPECT_THAT(folder_error(folder).what(), AllOf(HasSubstr("one.pt"), HasSubstr("two.bin")));
}

TEST(OpenWeights, WantsAllShards) {
  const TemporaryFolder folder;
  folder.write("pytorch_model-00001-of-00002.bin", torch_tensor("a"));
  EXPECT_THAT(folder_error(folder).what(), HasSubstr("pytorch_model-00002-of-00002.bin"));
}

TEST(OpenWeights, RefusesCodeByName) {
  const TemporaryFolder folder;
  const auto path = folder.write(
      "pytorch_model.bin",
      test::checkpoint(py::global("posix", "system") + py::tuple({py::text("true")}) + "R", ""));
  EXPECT_THAT(folder_error(folder).what(),
              AllOf(HasSubstr("posix.system"), HasSubstr(path.string())));
}

}  // namespace
}  // namespace mistral::formats
