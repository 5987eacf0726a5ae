#include "formats/torch_checkpoint.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"
#include "torch_bytes.h"

namespace mistral::formats {
namespace {

using namespace std::string_literals;
using test::as_bytes;
using test::checkpoint;
using test::error_of;
using test::legacy_checkpoint;
using test::little;
using test::zip_bytes;
using testing::ElementsAre;
using testing::HasSubstr;
namespace py = test::py;

Error error_with(const std::string& bytes) {
  return error_of([&] { return parse_torch(as_bytes(bytes)); });
}

std::vector<std::string> names(const std::string& bytes) {
  std::vector<std::string> out;
  for (const TorchTensor& tensor : parse_torch(as_bytes(bytes))) out.push_back(tensor.name);
  return out;
}

std::string tensor() {
  return py::tensor(py::storage("0", 6), 0, {2, 3}, {3, 1});
}
const std::string kData(24, 'd');

// A state dict of one tensor with this layout in a storage of six numbers.
std::string with_layout(std::int64_t offset, const std::vector<std::int64_t>& sizes,
                        const std::vector<std::int64_t>& strides) {
  return checkpoint(
      py::dict({py::text("w"), py::tensor(py::storage("0", 6), offset, sizes, strides)}), kData);
}

TEST(TorchCheckpoint, ReadsBothForms) {
  const std::string value = py::dict({py::text("w"), tensor()});
  for (const std::string& bytes : {checkpoint(value, kData), legacy_checkpoint(value, 6, kData)}) {
    const auto tensors = parse_torch(as_bytes(bytes));
    ASSERT_EQ(tensors.size(), 1U);
    EXPECT_EQ(tensors[0].name, "w");
    EXPECT_THAT(tensors[0].layout.shape.dims, ElementsAre(2, 3));
    EXPECT_EQ(tensors[0].bytes, 24U);
    EXPECT_EQ(tensors[0].storage.front(), std::byte{'d'});
  }
}

TEST(TorchCheckpoint, FindsTheWeightsInsideOfOtherState) {
  const auto found = [](const std::string& value) { return names(checkpoint(value, kData)); };
  const std::string state = py::dict({py::text("w"), tensor()});
  EXPECT_THAT(found(py::dict({py::text("state_dict"), state})), ElementsAre("w"));
  EXPECT_THAT(found(py::dict({py::text("model"), state, py::text("step"), py::integer(3)})),
              ElementsAre("w"));
  EXPECT_THAT(found(py::dict({py::text("net"), state, py::text("optimizer"),
                              py::dict({py::text("m"), tensor()})})),
              ElementsAre("w"));
  EXPECT_THAT(found(py::dict({py::text("model"), py::dict({py::text("state_dict"), state})})),
              ElementsAre("w"));
  EXPECT_THAT(found(py::dict({py::text("module.w"), tensor()})), ElementsAre("w"));
  EXPECT_THAT(found(py::dict({py::text("w"), tensor(), py::text("note"), py::text("x")})),
              ElementsAre("w"));
  // As Python has it: of equal keys the last counts.
  EXPECT_THAT(
      found(py::dict({py::text("w"), "N", py::text("w"), tensor(), py::text("w"), tensor()})),
      ElementsAre("w"));
  EXPECT_THAT(error_with(checkpoint(py::dict({py::text("a"), state, py::text("b"),
                                              py::dict({py::text("w"), tensor()})}),
                                    kData))
                  .what(),
              HasSubstr("tensors in both 'a' and 'b'"));
  for (const std::string& value : {"N"s, "]"s, py::dict({}), tensor(), "}q\0(X\1\0\0\0ah\0u"s}) {
    EXPECT_THAT(error_with(checkpoint(value, kData)).what(), HasSubstr("without weights")) << value;
  }
}

TEST(TorchCheckpoint, TakesStridesInsideOfTheStorage) {
  const auto tensor_with = [](std::int64_t offset, const std::vector<std::int64_t>& sizes,
                              const std::vector<std::int64_t>& strides) {
    const std::string bytes = with_layout(offset, sizes, strides);
    return parse_torch(as_bytes(bytes)).at(0).bytes;
  };
  EXPECT_EQ(tensor_with(0, {3, 2}, {1, 3}), 24U);
  EXPECT_EQ(tensor_with(5, {1}, {100}), 4U);
  EXPECT_EQ(tensor_with(5, {}, {}), 4U);
  EXPECT_EQ(tensor_with(0, {6}, {0}), 24U);
  EXPECT_EQ(tensor_with(6, {0, 3}, {3, 1}), 0U);
}

TEST(TorchCheckpoint, RefusesStridesThatLeaveTheStorage) {
  constexpr std::int64_t kMost = INT64_MAX;
  struct Case {
    std::int64_t offset;
    std::vector<std::int64_t> sizes, strides;
  };
  const Case cases[] = {{1, {2, 3}, {3, 1}},
                        {6, {1}, {1}},
                        {6, {}, {}},
                        {0, {2, 3}, {4, 1}},
                        {0, {7}, {1}},
                        {0, {2}, {6}},
                        {0, {2, 2}, {kMost, kMost}},
                        {kMost, {2}, {kMost}},
                        {0, {kMost}, {1}},
                        {-1, {2}, {1}},
                        {5, {2}, {-1}},
                        {0, {-1}, {1}},
                        {0, {-2, -3}, {3, 1}},
                        {0, {2, 3}, {1}},
                        {0, {2}, {3, 1}},
                        {INT64_MIN, {2}, {1}},
                        {0, {kMost, kMost}, {0, 0}},
                        {0, {kMost, 4}, {0, 0}}};
  for (const Case& c : cases) {
    const Error error = error_with(with_layout(c.offset, c.sizes, c.strides));
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidFile);
    EXPECT_THAT(error.what(), HasSubstr("tensor 'w'"));
  }
}

// A stride of zero makes any number of elements out of one.
TEST(TorchCheckpoint, RefusesMoreDataThanTwiceTheFile) {
  EXPECT_NO_THROW((void)parse_torch(as_bytes(with_layout(0, {100}, {0}))));
  for (const std::int64_t count : {std::int64_t{1} << 20, std::int64_t{1} << 40}) {
    EXPECT_THAT(error_with(with_layout(0, {count}, {0})).what(), HasSubstr("more than twice the"));
  }
}

TEST(TorchCheckpoint, RefusesStoragesThatAreNotThere) {
  const auto storage_error = [](const std::string& storage) {
    return error_with(
        checkpoint(py::dict({py::text("w"), py::tensor(storage, 0, {1}, {1})}), kData));
  };
  EXPECT_EQ(storage_error(py::storage("1", 6)).kind(), ErrorKind::kNotFound);
  EXPECT_EQ(storage_error(py::storage("../version", 6)).kind(), ErrorKind::kNotFound);
  EXPECT_THAT(storage_error(py::storage("0", 7)).what(),
              HasSubstr("28 bytes, but its record has 24"));
  EXPECT_THAT(storage_error(py::storage("0", INT64_MAX)).what(), HasSubstr("is said to have"));
  EXPECT_THAT(storage_error(py::storage("0", 1, "ComplexFloatStorage")).what(),
              HasSubstr("torch.complex64"));
}

TEST(TorchCheckpoint, RefusesOtherArchives) {
  const std::string pickle = py::pickle(py::dict({py::text("w"), tensor()}));
  EXPECT_THAT(error_with(zip_bytes({{"a", ""}})).what(), HasSubstr("without data.pkl"));
  EXPECT_THAT(error_with(zip_bytes({{"a/data.pkl", pickle}, {"b/data.pkl", pickle}})).what(),
              HasSubstr("has both"));
  EXPECT_THAT(error_with(zip_bytes({{"a/data.pkl", pickle}, {"a/byteorder", "big"}})).what(),
              HasSubstr("byte order 'big'"));
  EXPECT_THAT(error_with(zip_bytes({{"a/data.pkl", pickle}, {"a/constants.pkl", "x"}})).what(),
              HasSubstr("TorchScript"));
  EXPECT_THAT(error_with(zip_bytes({{"a/data.pkl", pickle, 8, 0}})).what(),
              HasSubstr("compressed"));
  for (const std::string& bytes : {""s, "x"s, "version https://git-lfs"s, "PK"s, "\x80"s}) {
    EXPECT_EQ(error_with(bytes).kind(), ErrorKind::kInvalidFile) << bytes;
  }
  std::string tar(512, '\0');
  tar.replace(257, 5, "ustar");
  EXPECT_THAT(error_with(tar).what(), HasSubstr("tar archive"));
}

TEST(TorchCheckpoint, RefusesBrokenLegacyFiles) {
  const std::string value = py::dict({py::text("w"), tensor()});
  EXPECT_THAT(error_with(py::pickle("N")).what(), HasSubstr("without the number"));
  EXPECT_THAT(error_with(legacy_checkpoint(value, 7, kData)).what(),
              HasSubstr("has 7 elements; expected 6"));
  EXPECT_EQ(error_with(legacy_checkpoint(value, 6, kData.substr(1))).kind(),
            ErrorKind::kInvalidFile);
  const std::string other = py::dict({py::text("w"), py::tensor(py::storage("1", 6), 0, {1}, {1})});
  EXPECT_THAT(error_with(legacy_checkpoint(other, 6, kData)).what(),
              HasSubstr("'0' belongs to no tensor"));
  const std::string two = py::dict({py::text("a"), tensor(), py::text("b"),
                                    py::tensor(py::storage("0", 3, "DoubleStorage"), 0, {1}, {1})});
  EXPECT_THAT(error_with(legacy_checkpoint(two, 6, kData)).what(),
              HasSubstr("two types or lengths"));
  const std::string system = py::global("posix", "system") + py::tuple({py::text("true")}) + "R";
  for (const std::string& bytes :
       {legacy_checkpoint(system, 6, kData), checkpoint(system, kData)}) {
    EXPECT_THAT(error_with(bytes).what(), HasSubstr("refused to call posix.system"));
  }
}

}  // namespace
}  // namespace mistral::formats
