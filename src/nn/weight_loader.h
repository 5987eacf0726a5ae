// Takes weights from a source into the backend's layout, checking every shape on the way.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/progress.h"
#include "formats/weight_source.h"
#include "nn/background_packing.h"
#include "nn/linear.h"
#include "nn/read_ahead.h"

namespace mistral::nn {

// Consecutive rows of a stored matrix.
struct RowRange {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

class WeightLoader {
 public:
  // `storage` re-encodes unquantised matrices; kCount keeps them as stored. Without a backend
  // nothing is read: matrices come out empty and only names, types and shapes are checked.
  WeightLoader(const formats::WeightSource& source, ops::Backend* backend, DType storage,
               ProgressCallback on_progress);

  // While it loads, what `order` names is read ahead: the tensors as they will be taken.
  void read_ahead(const std::vector<const formats::TensorInfo*>& order, ReadAhead::Behind behind);
  // Matrices that the backend can read as they stand in the file are not copied from here on;
  // `keeper` keeps the source.
  void keep_in_file(std::shared_ptr<const void> keeper) { keeper_ = std::move(keeper); }
  // Call when all is taken. What was kept goes on being read, and is packed, as long as the result
  // lives, which must end before the backend does; null when nothing was kept. `behind`: what
  // becomes of the cache of what was packed.
  [[nodiscard]] std::unique_ptr<BackgroundPacking> finish(ReadAhead::Behind behind);
  // Bytes of the source's tensors that are copied, as far as can be known before they are taken.
  [[nodiscard]] std::uint64_t copied_bytes() const;
  // Tensors in the order in which they were asked for, each as often as it was.
  [[nodiscard]] const std::vector<const formats::TensorInfo*>& order() const { return order_; }

  [[nodiscard]] bool has(std::string_view name) const { return source_.find(name) != nullptr; }
  // Shape of a matrix without loading it. Throws Error (kNotFound, kInvalidFile).
  [[nodiscard]] const formats::TensorInfo& matrix_info(const std::string& name) const;

  // All members below throw Error naming file, tensor, expected and found.

  // The matrix `name` of shape [out, in].
  [[nodiscard]] std::shared_ptr<const ops::Weight> matrix(const std::string& name, std::int64_t out,
                                                          std::int64_t in);
  // The same kept as f32 whatever the others are re-encoded to: small and delicate (routers).
  [[nodiscard]] std::shared_ptr<const ops::Weight> exact_matrix(const std::string& name,
                                                                std::int64_t out, std::int64_t in);
  // The rows in `ranges`, in their order, of the matrix `name` of shape [stored_rows, in].
  [[nodiscard]] std::shared_ptr<const ops::Weight> matrix_rows(const std::string& name,
                                                               std::int64_t stored_rows,
                                                               std::int64_t in,
                                                               std::span<const RowRange> ranges);
  // Matrix `index` of the tensor `name` of shape [slabs, out, in].
  [[nodiscard]] std::shared_ptr<const ops::Weight> slab(const std::string& name, std::int64_t slabs,
                                                        std::int64_t index, std::int64_t out,
                                                        std::int64_t in);
  // A matrix [out, in] of numbers that were computed from stored ones of type `like`: f32, f16 or
  // bf16 by what these and the loader's storage are.
  [[nodiscard]] std::shared_ptr<const ops::Weight> computed(std::span<const float> values,
                                                            std::int64_t out, std::int64_t in,
                                                            DType like);

  // The vector `name` of `size` values as f32, plus `offset`.
  [[nodiscard]] std::vector<float> vector(const std::string& name, std::int64_t size,
                                          float offset = 0.0F);
  // The values in `ranges`, in their order, of the vector `name` of `size` values, as f32.
  [[nodiscard]] std::vector<float> vector_parts(const std::string& name, std::int64_t size,
                                                std::span<const RowRange> ranges);
  // All values of the tensor `name`, whose shape must be `shape`, as f32.
  [[nodiscard]] std::vector<float> values(const std::string& name,
                                          const std::vector<std::int64_t>& shape);
  // Some of its rows, counted over all but its last dimension; like those of part() not counted as
  // memory, because matrices are computed of them and they are gone then.
  [[nodiscard]] std::vector<float> rows(const std::string& name,
                                        const std::vector<std::int64_t>& shape, RowRange range);
  // One of `shape[0]` equal parts of it.
  [[nodiscard]] std::vector<float> part(const std::string& name,
                                        const std::vector<std::int64_t>& shape, std::int64_t index);
  // The bytes of one of `shape[0]` equal parts of a tensor of unsigned bytes; empty when only
  // checking. Valid while at most one other tensor is read.
  [[nodiscard]] std::span<const std::byte> bytes(const std::string& name,
                                                 const std::vector<std::int64_t>& shape,
                                                 std::int64_t index);
  // A matrix [out, in] whose rows stand in `data` in the format `dtype`.
  [[nodiscard]] std::shared_ptr<const ops::Weight> encoded(std::span<const std::byte> data,
                                                           DType dtype, std::int64_t out,
                                                           std::int64_t in);
  [[nodiscard]] DType dtype(const std::string& name) const {
    return source_.require(name).view.dtype;
  }
  // Bytes that what was asked for so far takes in memory as the CPU backend holds it; also when
  // only checking.
  [[nodiscard]] std::uint64_t counted_bytes() const { return counted_; }
  // The forms that the matrices among it want their inputs in, at most.
  [[nodiscard]] unsigned counted_forms() const { return forms_; }
  // Whether matrices come out: false when only checking.
  [[nodiscard]] bool loads() const { return backend_ != nullptr; }
  // Gives the pages of `name` back, after its last part was taken.
  void release(const std::string& name);

 private:
  [[nodiscard]] const formats::TensorInfo& require(const std::string& name,
                                                   const std::vector<std::int64_t>& shape);
  // Any tensor that is taken is looked up here.
  [[nodiscard]] const formats::TensorInfo& take(const std::string& name);
  [[nodiscard]] DType storage_for(DType dtype) const;
  // Whether a matrix of the tensor with rows of `in` is read where it stands in the file.
  [[nodiscard]] bool stays(const formats::TensorInfo& tensor, std::int64_t in, DType storage) const;
  // The elements of a tensor one after another: in the file, or collected where they are scattered.
  [[nodiscard]] std::span<const std::byte> data_of(const formats::TensorInfo& tensor);
  [[nodiscard]] std::shared_ptr<const ops::Weight> pack(const formats::TensorInfo& tensor,
                                                        std::span<const std::byte> data,
                                                        std::int64_t out, std::int64_t in,
                                                        DType storage);
  // A matrix that stays in its file; `view` is what is taken of the tensor.
  [[nodiscard]] std::shared_ptr<const ops::Weight> keep(const formats::TensorInfo& tensor,
                                                        const TensorView& view);
  // `rows` rows of the tensor, counted over all but its last dimension, as f32.
  [[nodiscard]] std::vector<float> decode(const formats::TensorInfo& tensor, std::int64_t first_row,
                                          std::int64_t rows);
  // Counts a matrix as packed.
  void count(DType source, DType storage, std::int64_t out, std::int64_t in);
  void advance(std::uint64_t bytes);

  const formats::WeightSource& source_;
  ops::Backend* backend_;
  DType storage_;
  ProgressCallback on_progress_;
  std::shared_ptr<const void> keeper_;
  std::vector<BackgroundPacking::Kept> kept_;
  // The two scattered tensors that were read last: experts are taken in turns from a pair of them,
  // and one that is collected anew for each part of it would be read as often as it has parts.
  struct Collected {
    const formats::TensorInfo* tensor = nullptr;
    formats::ReadTensor read;
  };
  std::array<Collected, 2> collected_;
  std::vector<const formats::TensorInfo*> order_;
  std::unique_ptr<ReadAheadThreads> read_ahead_;
  std::uint64_t total_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t counted_ = 0;
  unsigned forms_ = 0;
};

}  // namespace mistral::nn
