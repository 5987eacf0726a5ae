// Takes weights from a source into the backend's layout, checking every shape on the way.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/progress.h"
#include "formats/weight_source.h"
#include "nn/linear.h"

namespace mistral::nn {

class WeightLoader {
 public:
  // `storage` re-encodes unquantised matrices; kCount keeps them as stored. Without a backend
  // nothing is read: matrices come out empty and only names, types and shapes are checked.
  WeightLoader(const formats::WeightSource& source, ops::Backend* backend, DType storage,
               ProgressCallback on_progress);

  [[nodiscard]] bool has(std::string_view name) const { return source_.find(name) != nullptr; }
  // Shape of a matrix without loading it. Throws Error (kNotFound, kInvalidFile).
  [[nodiscard]] const formats::TensorInfo& matrix_info(const std::string& name) const;

  // The matrix `name` of shape [out, in]. Throws Error naming file, tensor, expected and found.
  [[nodiscard]] std::shared_ptr<const ops::Weight> matrix(const std::string& name, std::int64_t out,
                                                          std::int64_t in);
  // The vector `name` of `size` values as f32, plus `offset`.
  [[nodiscard]] std::vector<float> vector(const std::string& name, std::int64_t size,
                                          float offset = 0.0F);

 private:
  [[nodiscard]] const formats::TensorInfo& require(const std::string& name,
                                                   const std::vector<std::int64_t>& shape) const;
  void advance(std::uint64_t bytes);

  const formats::WeightSource& source_;
  ops::Backend* backend_;
  DType storage_;
  ProgressCallback on_progress_;
  std::uint64_t total_ = 0;
  std::uint64_t done_ = 0;
};

}  // namespace mistral::nn
