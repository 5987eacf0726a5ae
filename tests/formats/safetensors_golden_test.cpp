// Safetensors files written by the reference library: all of them open, and what is written again
// from them holds the same tensors.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/json.h"
#include "error_of.h"
#include "formats/safetensors.h"
#include "golden_dir.h"
#include "temporary_folder.h"

namespace mistral::formats {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> text_folders() {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(test::golden_dir() / "text")) {
    if (fs::exists(entry.path() / "case.json")) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

bool has_safetensors_weights(const fs::path& folder) {
  return fs::exists(folder / "model.safetensors") ||
         fs::exists(folder / "model.safetensors.index.json");
}

// The header as a plain JSON reader sees it.
Json header_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::uint64_t length = 0;
  in.read(reinterpret_cast<char*>(&length), sizeof(length));
  std::string header(length, '\0');
  in.read(header.data(), static_cast<std::streamsize>(length));
  return Json::parse(header);
}

TEST(SafetensorsGolden, AllFilesMatchTheirHeaders) {
  int checked = 0;
  for (const char* area : {"text", "quant"}) {
    for (const auto& entry : fs::recursive_directory_iterator(test::golden_dir() / area)) {
      if (entry.path().extension() != ".safetensors") continue;
      SCOPED_TRACE(entry.path().string());
      ++checked;
      Json header = header_of(entry.path());
      header.erase("__metadata__");
      const auto source = SafetensorsFile::open({entry.path()});
      ASSERT_EQ(source->tensors().size(), header.size());
      for (const auto& [tensor_name, expected] : header.items()) {
        const TensorView& view = source->require(tensor_name).view;
        EXPECT_EQ(name(view.dtype), expected.at("dtype").get<std::string>());
        EXPECT_EQ(Json(view.shape.dims), expected.at("shape"));
        const Json& offsets = expected.at("data_offsets");
        EXPECT_EQ(view.data.size(), offsets[1].get<std::size_t>() - offsets[0].get<std::size_t>());
      }
    }
  }
  EXPECT_GT(checked, 0) << "no safetensors file in " << test::golden_dir();
}

TEST(SafetensorsGolden, ModelFoldersOpen) {
  int checked = 0;
  for (const fs::path& folder : text_folders()) {
    SCOPED_TRACE(folder.filename().string());
    if (!has_safetensors_weights(folder)) {
      // Weights in another format beside expected.safetensors.
      EXPECT_EQ(test::error_of([&] { return SafetensorsFile::open_folder(folder); }).kind(),
                ErrorKind::kNotFound);
      continue;
    }
    ++checked;
    const auto source = SafetensorsFile::open_folder(folder);
    EXPECT_EQ(source->find("logits"), nullptr) << "expected.safetensors was taken for weights";
    EXPECT_FALSE(source->tensors().empty());
    const fs::path index = folder / "model.safetensors.index.json";
    if (!fs::exists(index)) continue;
    const Json map = Json::parse(std::ifstream(index)).at("weight_map");
    EXPECT_EQ(source->tensors().size(), map.size());
    for (const auto& [tensor_name, file] : map.items()) {
      EXPECT_EQ(source->files()[source->require(tensor_name).file].filename().string(), file);
    }
  }
  EXPECT_GT(checked, 0) << "no model folder in " << test::golden_dir();
}

TEST(SafetensorsGolden, WritingAgainKeepsEveryTensor) {
  const test::TemporaryFolder scratch;
  int checked = 0;
  for (const fs::path& folder : text_folders()) {
    if (!has_safetensors_weights(folder)) continue;
    SCOPED_TRACE(folder.filename().string());
    ++checked;
    const auto source = SafetensorsFile::open_folder(folder);
    std::vector<NamedTensor> tensors;
    for (const TensorInfo& tensor : source->tensors())
      tensors.push_back({tensor.name, tensor.view});
    const fs::path copy_path = scratch.path() / "copy.safetensors";
    write_safetensors(copy_path, tensors);
    const auto copy = SafetensorsFile::open({copy_path});
    ASSERT_EQ(copy->tensors().size(), tensors.size());
    for (const NamedTensor& want : tensors) {
      const TensorView& have = copy->require(want.name).view;
      EXPECT_EQ(have.dtype, want.view.dtype) << want.name;
      EXPECT_EQ(have.shape, want.view.shape) << want.name;
      EXPECT_TRUE(std::ranges::equal(have.data, want.view.data)) << want.name;
    }
  }
  EXPECT_GT(checked, 0) << "no model folder in " << test::golden_dir();
}

}  // namespace
}  // namespace mistral::formats
