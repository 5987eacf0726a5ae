// Where weights come from: one interface over all file formats. Sources are memory-mapped and
// lazy: looking a tensor up costs nothing, its pages are read when touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor_view.h"

namespace mistral::formats {

struct TensorInfo {
  std::string name;
  TensorView view;         // data lies in the mapping of its file; lengths are already checked
  std::uint32_t file = 0;  // index into WeightSource::files()
  // The elements do not lie one after another in the file (PyTorch's strides): `view` has no data,
  // read() collects them.
  bool scattered = false;
};

// A tensor with its elements one after another.
struct ReadTensor {
  TensorView view;                   // data lies in the mapping, or in `collected`
  std::vector<std::byte> collected;  // keeps its place when a ReadTensor is moved
};

// Thread safe: all members are const.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  // All tensors in the order of the file(s).
  [[nodiscard]] virtual std::span<const TensorInfo> tensors() const = 0;
  // nullptr when the source has no tensor of this name.
  [[nodiscard]] virtual const TensorInfo* find(std::string_view name) const = 0;
  [[nodiscard]] virtual const std::vector<std::filesystem::path>& files() const = 0;
  // The data of any tensor, scattered ones included: those are collected anew by each call, and
  // freed with the result.
  [[nodiscard]] virtual ReadTensor read(const TensorInfo& tensor) const {
    return {tensor.view, {}};
  }
  // Gives the pages that only this tensor uses back to the system; `view` stays valid and is read
  // again from the file when touched. Called after a tensor has been repacked.
  virtual void release(const TensorInfo& tensor) const = 0;

  // Takes the released pages of this tensor out of the system's cache of files, where they would
  // push out what is needed more.
  virtual void forget(const TensorInfo& tensor) const = 0;
  // Reads the pages of this tensor, which will be touched soon, into the system's cache of files.
  // Called with parts of tensors, too, as release() is, and from several threads.
  virtual void prefetch(const TensorInfo& tensor) const = 0;
  // Brings the pages of this tensor, which will be touched for as long as the source lasts, into
  // the process. Throws Error (kInvalidFile) when the file has become shorter.
  virtual void populate(const TensorInfo& tensor) const = 0;

  // As find(), but throws Error (kNotFound) that names the tensor and the file(s).
  [[nodiscard]] const TensorInfo& require(std::string_view name) const;
};

}  // namespace mistral::formats
