// Files that PyTorch itself wrote (data/make_torch_files.py), whole and damaged.
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"
#include "formats/torch.h"
#include "formats/torch_checkpoint.h"
#include "temporary_folder.h"
#include "torch_bytes.h"

namespace mistral::formats {
namespace {

using test::as_bytes;
using test::error_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::filesystem::path data(const std::string& name) {
  const char* root = std::getenv("MISTRAL_TEST_DATA");
  return std::filesystem::path(root != nullptr ? root : "tests") / "formats/data/torch" / name;
}

std::vector<std::string> forms() {
  std::vector<std::string> out;
  for (const char* form : {"zip", "legacy"}) {
    for (int protocol = 2; protocol <= 5; ++protocol) {
      out.push_back(std::string(form) + "_" + std::to_string(protocol) + ".pt");
    }
  }
  return out;
}

std::string content(const std::filesystem::path& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

template <typename T>
std::vector<T> values(const WeightSource& source, std::string_view name, DType dtype) {
  const TensorInfo& tensor = source.require(name);
  EXPECT_EQ(tensor.view.dtype, dtype) << name;
  const ReadTensor read = source.read(tensor);
  EXPECT_EQ(read.view.data.size(), byte_size(read.view)) << name;
  std::vector<T> out(read.view.data.size() / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), read.view.data.data(), out.size() * sizeof(T));
  return out;
}

TEST(TorchFile, ReadsWhatPyTorchWrites) {
  for (const std::string& name : forms()) {
    SCOPED_TRACE(name);
    const auto file = TorchFile::open({data(name)});
    const auto f32 = [&](std::string_view tensor) {
      return values<float>(*file, tensor, DType::kF32);
    };
    EXPECT_EQ(file->tensors().front().name, "f32");
    EXPECT_THAT(f32("f32"), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
    EXPECT_EQ(file->require("tied").view.data.data(), file->require("f32").view.data.data());
    EXPECT_FALSE(file->require("f32").scattered);
    EXPECT_THAT(file->require("transposed").view.shape.dims, ElementsAre(4, 3));
    EXPECT_TRUE(file->require("transposed").scattered);
    EXPECT_THAT(f32("transposed"), ElementsAre(0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11));
    EXPECT_THAT(f32("column"), ElementsAre(1, 5, 9));
    EXPECT_THAT(f32("middle"), ElementsAre(4, 5, 6, 7));
    EXPECT_FALSE(file->require("middle").scattered);
    EXPECT_THAT(f32("expanded"), ElementsAre(0, 0, 1, 1, 2, 2));
    EXPECT_THAT(f32("cube"), ElementsAre(0, 4, 8, 12, 16, 20, 1, 5, 9, 13, 17, 21, 2, 6, 10, 14, 18,
                                         22, 3, 7, 11, 15, 19, 23));
    EXPECT_THAT(f32("parameter"), ElementsAre(0, 1));
    EXPECT_THAT(f32("scalar"), ElementsAre(7));
    EXPECT_EQ(file->require("scalar").view.shape.rank(), 0U);
    EXPECT_THAT(f32("empty"), ElementsAre());
    EXPECT_THAT(values<std::uint16_t>(*file, "f16", DType::kF16), ElementsAre(0, 0x3C00, 0x4000));
    EXPECT_THAT(values<std::uint16_t>(*file, "bf16", DType::kBF16), ElementsAre(0, 0x3F80, 0x4000));
    EXPECT_THAT(values<double>(*file, "f64", DType::kF64), ElementsAre(0, 1, 2));
    EXPECT_THAT(values<std::int64_t>(*file, "i64", DType::kI64), ElementsAre(-1, 0, 1));
    EXPECT_THAT(values<std::int32_t>(*file, "i32", DType::kI32), ElementsAre(-1, 0, 1));
    EXPECT_THAT(values<std::int16_t>(*file, "i16", DType::kI16), ElementsAre(-1, 0, 1));
    EXPECT_THAT(values<std::int8_t>(*file, "i8", DType::kI8), ElementsAre(-1, 0, 1));
    EXPECT_THAT(values<std::uint8_t>(*file, "u8", DType::kU8), ElementsAre(0, 1, 2));
    EXPECT_THAT(values<std::uint8_t>(*file, "bool", DType::kBool), ElementsAre(1, 0, 1));
    if (name.starts_with("zip")) {
      EXPECT_THAT(values<std::uint8_t>(*file, "f8", DType::kF8E4M3), ElementsAre(0, 0x38, 0x40));
    }
    file->release(file->require("f32"));
    EXPECT_THAT(f32("column"), ElementsAre(1, 5, 9));
  }
}

TEST(TorchFile, FindsWeightsInTheFilesOfTrainingPrograms) {
  for (const char* name : {"training.pt", "nested.pt"}) {
    const auto file = TorchFile::open({data(name)});
    ASSERT_EQ(file->tensors().size(), 1U) << name;
    EXPECT_THAT(values<float>(*file, "a", DType::kF32), ElementsAre(0, 1, 2, 3));
  }
}

TEST(TorchFile, RefusesEveryPrefix) {
  for (const std::string& name : {std::string("zip_2.pt"), std::string("legacy_4.pt")}) {
    const std::string bytes = content(data(name));
    for (std::size_t size = 0; size < bytes.size(); size += 16) {
      const std::string part = bytes.substr(0, size);
      EXPECT_EQ(error_of([&] { return parse_torch(as_bytes(part)); }).kind(),
                ErrorKind::kInvalidFile)
          << name << " " << size;
    }
  }
}

// Damage anywhere: an Error, or tensors that lie inside of the bytes.
TEST(TorchFile, StaysInsideOfDamagedFiles) {
  for (const std::string& name : forms()) {
    const std::string sound = content(data(name));
    int refused = 0;
    for (std::size_t at = 0; at < sound.size(); ++at) {
      std::string bytes = sound;
      bytes[at] = static_cast<char>(bytes[at] ^ (at % 2 == 0 ? 0x80 : 0x01));
      try {
        for (const TorchTensor& tensor : parse_torch(as_bytes(bytes))) {
          std::vector<std::byte> out(tensor.bytes);
          gather(tensor.layout, tensor.storage, out);
        }
      } catch (const Error&) {
        ++refused;
      }
    }
    EXPECT_GT(refused, 100) << name;
  }
}

TEST(TorchFile, NamesTheFileInErrors) {
  const test::TemporaryFolder folder;
  const auto bad = folder.write("bad.bin", "12345678");
  const auto open = [](const std::vector<std::filesystem::path>& paths) {
    return error_of([&] { return TorchFile::open(paths); });
  };
  EXPECT_THAT(open({data("training.pt"), bad}).what(), HasSubstr("reading '" + bad.string() + "'"));
  EXPECT_THAT(open({data("training.pt"), data("nested.pt")}).what(),
              AllOf(HasSubstr("'a' occurs in both"), HasSubstr("nested.pt")));
  EXPECT_EQ(open({folder.path() / "missing"}).kind(), ErrorKind::kNotFound);
  EXPECT_EQ(open({}).kind(), ErrorKind::kInvalidArgument);
}

}  // namespace
}  // namespace mistral::formats
