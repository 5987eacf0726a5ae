// GGUF files written by other programs, sound and malformed, against what their makers say of them.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/json.h"
#include "error_of.h"
#include "formats/gguf.h"
#include "formats/gguf_parser.h"
#include "golden_dir.h"

namespace mistral::formats {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using testing::HasSubstr;

fs::path gguf_dir() {
  return test::golden_dir() / "quant" / "gguf";
}

Json read_json(const fs::path& path) {
  return Json::parse(std::ifstream(path));
}

std::string read_bytes(const fs::path& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

std::vector<fs::path> case_folders() {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(gguf_dir())) {
    if (fs::exists(entry.path() / "case.json")) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

// Splits "a.gguf+b.gguf" into paths.
std::vector<fs::path> paths_of(const fs::path& folder, const std::string& names) {
  std::vector<fs::path> out;
  std::istringstream in(names);
  for (std::string name; std::getline(in, name, '+');) out.push_back(folder / name);
  return out;
}

// "UINT32" or "ARRAY/STRING", as the reference data name types.
std::string reference_type(const GgufValue& value) {
  const auto number_name = [](GgufType type) -> std::string {
    switch (type) {
      case GgufType::kU8:
        return "UINT8";
      case GgufType::kI8:
        return "INT8";
      case GgufType::kU16:
        return "UINT16";
      case GgufType::kI16:
        return "INT16";
      case GgufType::kU32:
        return "UINT32";
      case GgufType::kI32:
        return "INT32";
      case GgufType::kU64:
        return "UINT64";
      case GgufType::kI64:
        return "INT64";
      case GgufType::kF32:
        return "FLOAT32";
      case GgufType::kF64:
        return "FLOAT64";
      case GgufType::kBool:
        return "BOOL";
      case GgufType::kString:
        return "STRING";
      case GgufType::kArray:
        return "ARRAY";
    }
    return "?";
  };
  if (const auto* array = std::get_if<GgufArray>(&value.value)) {
    return "ARRAY/" + number_name(array->element_type);
  }
  return number_name(value.type);
}

Json as_json(const GgufValue& value) {
  return std::visit(
      [](const auto& held) -> Json {
        using T = std::remove_cvref_t<decltype(held)>;
        if constexpr (std::is_same_v<T, GgufArray>) {
          return std::visit(
              [](const auto& items) {
                Json out = Json::array();
                for (const auto& item : items) {
                  if constexpr (std::is_same_v<std::remove_cvref_t<decltype(item)>, GgufValue>) {
                    out.push_back(as_json(item));
                  } else {
                    out.push_back(item);
                  }
                }
                return out;
              },
              held.elements);
        } else {
          return held;
        }
      },
      value.value);
}

// Long arrays are abridged in the reference to {"array_len", "first", "last"}.
void expect_same_value(const Json& found, const Json& expected) {
  if (!expected.is_object()) {
    EXPECT_EQ(found, expected);
    return;
  }
  ASSERT_EQ(found.size(), expected.at("array_len"));
  const Json& first = expected.at("first");
  const Json& last = expected.at("last");
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(found[i], first[i]) << i;
  for (std::size_t i = 0; i < last.size(); ++i) {
    EXPECT_EQ(found[found.size() - last.size() + i], last[i]) << i;
  }
}

void expect_same_tensors(const GgufFile& found, const GgufFile& expected) {
  ASSERT_EQ(found.tensors().size(), expected.tensors().size());
  for (const TensorInfo& want : expected.tensors()) {
    const TensorInfo& have = found.require(want.name);
    EXPECT_EQ(have.view.dtype, want.view.dtype) << want.name;
    EXPECT_EQ(have.view.shape, want.view.shape) << want.name;
    EXPECT_TRUE(std::ranges::equal(have.view.data, want.view.data)) << want.name;
  }
}

TEST(GgufGolden, HeadersAreReadAsWritten) {
  int checked = 0;
  for (const fs::path& folder : case_folders()) {
    const fs::path header_path = folder / "header.json";
    if (!fs::exists(header_path)) continue;
    SCOPED_TRACE(folder.filename().string());
    ++checked;
    const Json header = read_json(header_path);
    const fs::path model = folder / "model-F32.gguf";
    const auto file = GgufFile::open({model});
    EXPECT_EQ(file->version(), header.at("version"));
    EXPECT_EQ(file->architecture(), header.at("kv").at("general.architecture").at("value"));

    std::set<std::string> keys;
    for (const auto& entry : file->metadata().entries()) keys.insert(std::string(entry.key));
    for (const auto& [key, expected] : header.at("kv").items()) {
      SCOPED_TRACE(key);
      const GgufValue* value = file->metadata().find(key);
      ASSERT_NE(value, nullptr);
      EXPECT_EQ(reference_type(*value), expected.at("type"));
      expect_same_value(as_json(*value), expected.at("value"));
      keys.erase(key);
    }
    EXPECT_TRUE(keys.empty()) << "also found " << *keys.begin();

    const std::string bytes = read_bytes(model);
    const Json& tensors = header.at("tensors");
    ASSERT_EQ(file->tensors().size(), tensors.size());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const TensorInfo& tensor = file->tensors()[i];
      const Json& expected = tensors[i];
      EXPECT_EQ(tensor.name, expected.at("name"));
      EXPECT_EQ(name(tensor.view.dtype), expected.at("type").get<std::string>());
      auto extents = tensor.view.shape.dims;
      std::reverse(extents.begin(), extents.end());
      EXPECT_EQ(Json(extents), expected.at("ne")) << tensor.name;
      const auto begin =
          header.at("data_offset").get<std::size_t>() + expected.at("offset").get<std::size_t>();
      ASSERT_EQ(tensor.view.data.size(), expected.at("nbytes")) << tensor.name;
      EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(tensor.view.data.data()),
                                 tensor.view.data.size()),
                std::string_view(bytes).substr(begin, tensor.view.data.size()))
          << tensor.name;
    }
  }
  EXPECT_GT(checked, 0) << "no case with a header.json in " << gguf_dir();
}

TEST(GgufGolden, AllModelsOpen) {
  int checked = 0;
  for (const fs::path& folder : case_folders()) {
    const Json info = read_json(folder / "case.json");
    for (const auto& [names, unused] : info.at("files").items()) {
      const auto paths = paths_of(folder, names);
      if (!std::ranges::all_of(paths, [](const fs::path& path) { return fs::exists(path); })) {
        continue;  // a reduced copy of the data leaves files out
      }
      SCOPED_TRACE(folder.filename().string() + "/" + names);
      ++checked;
      const auto file = GgufFile::open(paths);
      EXPECT_EQ(file->architecture(), info.at("arch"));
      EXPECT_FALSE(file->tensors().empty());
      EXPECT_EQ(file->files().size(), paths.size());
    }
  }
  EXPECT_GT(checked, 0) << "no model in " << gguf_dir();
}

// The container variants hold the F16 weights of llama-bpe.
TEST(GgufGolden, ContainerVariantsHoldTheSameTensors) {
  const fs::path folder = gguf_dir() / "llama-containers";
  const auto reference = GgufFile::open({gguf_dir() / "llama-bpe" / "model-F16.gguf"});
  int checked = 0;
  const Json files = read_json(folder / "case.json").at("files");
  for (const auto& [names, info] : files.items()) {
    if (info.at("truth") != "logits_F16") continue;
    SCOPED_TRACE(names);
    ++checked;
    auto paths = paths_of(folder, names);
    expect_same_tensors(*GgufFile::open(paths), *reference);
    if (paths.size() == 1) continue;
    expect_same_tensors(*GgufFile::open({paths.front()}), *reference);
    std::reverse(paths.begin(), paths.end());
    expect_same_tensors(*GgufFile::open(paths), *reference);
    paths.pop_back();
    EXPECT_THAT(error_of([&] { return GgufFile::open(paths); }).what(),
                HasSubstr("files are given"));
  }
  EXPECT_GT(checked, 0);
}

TEST(GgufGolden, TruncatedHeadersAreRejected) {
  const std::string bytes = read_bytes(gguf_dir() / "malformed" / "control_ok.gguf");
  ASSERT_FALSE(bytes.empty());
  const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
  ASSERT_NO_THROW((void)parse_gguf({data, bytes.size()}));
  for (std::size_t size = 0; size + 32 < bytes.size(); size += 16) {
    const std::vector<std::byte> part(data, data + size);
    EXPECT_THROW((void)parse_gguf(part), Error) << size << " bytes";
  }
}

TEST(GgufGolden, MalformedFilesAreRejected) {
  // Sound containers: what is wrong with them shows when a model is made of them.
  const std::set<std::string> needs_model = {"unknown_architecture.gguf", "missing_hparam.gguf",
                                             "missing_tensor.gguf",       "wrong_shape.gguf",
                                             "zero_heads.gguf",           "huge_block_count.gguf"};
  const fs::path folder = gguf_dir() / "malformed";
  const Json files = read_json(folder / "malformed.json").at("files");
  int rejected = 0;
  for (const auto& [name, info] : files.items()) {
    SCOPED_TRACE(name + ": " + info.at("defect").get<std::string>());
    if (info.at("must") == "load" || needs_model.contains(name)) {
      EXPECT_NO_THROW((void)GgufFile::open({folder / name}));
      continue;
    }
    const fs::path path = folder / name;
    const Error error = error_of([&] { return GgufFile::open({path}); });
    EXPECT_THAT(error.what(), HasSubstr(name));
    EXPECT_TRUE(error.kind() == ErrorKind::kInvalidFile || error.kind() == ErrorKind::kUnsupported);
    ++rejected;
  }
  EXPECT_GT(rejected, 0) << "no malformed file in " << folder;
}

}  // namespace
}  // namespace mistral::formats
