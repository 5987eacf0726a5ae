// What the pickle of a PyTorch checkpoint holds: plain values, containers, and tensors as places in
// storages. Values refer to each other by index, so that nothing is freed recursively and a
// container may hold itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "formats/torch_globals.h"

namespace mistral::formats {

enum class PickleKind : std::uint8_t {
  kNothing,  // no value at all: a gap between those that a pickle remembers
  kNone,
  kBool,
  kInt,
  kBigInt,  // wider than 64 bits: its little-endian bytes
  kText,
  kBytes,
  kTuple,
  kList,
  kDict,
  kGlobal,
  kStorage,
  kTensor,
  kOther,  // a float, a set, a device, …: no part of weights
};
[[nodiscard]] std::string_view name(PickleKind kind);

struct PickleValue {
  PickleKind kind = PickleKind::kNone;
  TorchGlobal global = TorchGlobal::kClass;  // kGlobal
  std::uint32_t length = 0;                  // kText, kBytes, kBigInt
  // kBool, kInt: the number; kText, kBytes, kBigInt: where it begins in the pickle; containers,
  // kStorage, kTensor: an index into the vectors of Pickle.
  std::int64_t number = 0;
  const TorchElement* element = nullptr;  // kGlobal

  [[nodiscard]] std::size_t index() const { return static_cast<std::size_t>(number); }
};

// A block of elements, stored in a record of its own.
struct PickleStorage {
  std::string_view key;  // borrowed from the pickle
  const TorchElement* element = nullptr;
  std::uint64_t elements = 0;
};

struct PickleTensor {
  std::size_t storage = 0;
  const TorchElement* element = nullptr;
  std::int64_t offset = 0;  // in elements
  std::vector<std::int64_t> sizes;
  std::vector<std::int64_t> strides;  // in elements, as many as sizes
};

struct Pickle {
  std::span<const std::byte> bytes;
  // Elements of tuples and lists; keys and values of dicts in turn, in the order of insertion: of
  // equal keys the last counts.
  std::vector<std::vector<PickleValue>> containers;
  std::vector<PickleStorage> storages;
  std::vector<PickleTensor> tensors;
  PickleValue root;
  std::size_t end = 0;  // length of the pickle in `bytes`

  [[nodiscard]] const std::vector<PickleValue>& items(const PickleValue& container) const {
    return containers[container.index()];
  }
  // Of kText, kBytes, kBigInt.
  [[nodiscard]] std::string_view text(const PickleValue& value) const {
    return {reinterpret_cast<const char*>(bytes.data()) + value.index(), value.length};
  }
};

}  // namespace mistral::formats
