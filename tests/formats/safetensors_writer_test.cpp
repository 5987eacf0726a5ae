#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"
#include "formats/safetensors.h"
#include "gguf_bytes.h"
#include "temporary_folder.h"

namespace mistral::formats {
namespace {

using test::as_bytes;
using test::error_of;
using test::TemporaryFolder;
using testing::HasSubstr;

std::ptrdiff_t files_in(const std::filesystem::path& folder) {
  return std::distance(std::filesystem::directory_iterator(folder), {});
}

TEST(SafetensorsWriter, RoundTripOfAllTypes) {
  const std::string data = "0123456789abcdefghijklmnopqrstuvwxyz0123456789ABCDEF";
  std::vector<NamedTensor> tensors;
  for (const DType dtype :
       {DType::kU8, DType::kF32, DType::kF16, DType::kBF16, DType::kF64, DType::kI64, DType::kI32,
        DType::kI16, DType::kI8, DType::kBool, DType::kF8E4M3}) {
    const auto size = static_cast<std::size_t>(info(dtype).block_bytes * 3);
    tensors.push_back(
        {"t." + std::string(name(dtype)), {dtype, {{3, 1}}, as_bytes(data).first(size)}});
  }
  tensors.push_back({"scalar \"quoted\" ▁", {DType::kF32, {}, as_bytes(data).first(4)}});
  tensors.push_back({"empty", {DType::kF32, {{0, 3}}, {}}});
  const TemporaryFolder folder;
  const auto path = folder.path() / "model.safetensors";
  write_safetensors(path, tensors);
  EXPECT_EQ(files_in(folder.path()), 1) << "no temporary file is left";

  const auto source = SafetensorsFile::open({path});
  ASSERT_EQ(source->tensors().size(), tensors.size());
  for (const NamedTensor& want : tensors) {
    const TensorInfo& have = source->require(want.name);
    EXPECT_EQ(have.view.dtype, want.view.dtype) << want.name;
    EXPECT_EQ(have.view.shape, want.view.shape) << want.name;
    EXPECT_TRUE(std::ranges::equal(have.view.data, want.view.data)) << want.name;
    if (have.view.data.empty()) continue;
    const auto address = reinterpret_cast<std::uintptr_t>(have.view.data.data());
    EXPECT_EQ(address % static_cast<std::uintptr_t>(info(have.view.dtype).block_bytes), 0U)
        << want.name << " is aligned to its element";
  }
}

TEST(SafetensorsWriter, ReplacesAFile) {
  const TemporaryFolder folder;
  const auto path = folder.write("f", "old");
  write_safetensors(path, {});
  EXPECT_TRUE(SafetensorsFile::open({path})->tensors().empty());
}

TEST(SafetensorsWriter, RefusesWhatCannotBeStored) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "f";
  const auto error_with = [&](std::vector<NamedTensor> tensors) {
    const Error error = error_of([&] {
      write_safetensors(path, tensors);
      return 0;
    });
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    return std::string(error.what());
  };
  const auto u8 = [](std::string name) {
    return NamedTensor{std::move(name), {DType::kU8, {{4}}, as_bytes("data")}};
  };
  EXPECT_THAT(error_with({u8("a"), u8("a")}), HasSubstr("'a' is given twice"));
  EXPECT_THAT(error_with({u8("")}), HasSubstr("cannot be named"));
  EXPECT_THAT(error_with({u8("__metadata__")}), HasSubstr("cannot be named"));
  EXPECT_THAT(error_with({u8("\xff")}), HasSubstr("not UTF-8"));
  EXPECT_THAT(error_with({{"a", {DType::kU8, {{5}}, as_bytes("data")}}}),
              HasSubstr("does not have 4"));
  EXPECT_THAT(error_with({{"a", {DType::kU8, {{-4}}, as_bytes("data")}}}),
              HasSubstr("does not have"));
  EXPECT_THAT(error_with({{"a", {DType::kQ4_0, {{0}}, {}}}}), HasSubstr("cannot store Q4_0"));
  EXPECT_EQ(files_in(folder.path()), 0);
}

TEST(SafetensorsWriter, LeavesNothingBehindWhenItFails) {
  const TemporaryFolder folder;
  const Error nowhere = error_of([&] {
    write_safetensors(folder.path() / "missing" / "f", {});
    return 0;
  });
  EXPECT_EQ(nowhere.kind(), ErrorKind::kResource);
  EXPECT_THAT(nowhere.what(), HasSubstr("missing"));
  // A folder with content cannot be replaced by a file.
  std::filesystem::create_directories(folder.path() / "taken" / "inside");
  EXPECT_THAT(error_of([&] {
                write_safetensors(folder.path() / "taken", {});
                return 0;
              }).what(),
              HasSubstr("cannot rename"));
  EXPECT_EQ(files_in(folder.path()), 1);
}

}  // namespace
}  // namespace mistral::formats
