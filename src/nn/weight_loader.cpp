#include "nn/weight_loader.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/memory.h"
#include "quant/dequantize.h"

namespace mistral::nn {
namespace {

// Of a matrix that stays in its file, at once: so progress is told while it is read.
constexpr std::size_t kPopulated = std::size_t{16} << 20;

// Tensors may claim more than their file has: elements that are stored once and repeated.
void check_elements(std::int64_t rows, std::int64_t columns) {
  if (columns > 0 && rows > kBeyondAnyMachine / columns) {
    throw make_error(ErrorKind::kResource,
                     "weights of shape [{}, {}] need more memory than any machine has", rows,
                     columns);
  }
}

// Adds what a matrix or vector takes to what all before it take.
void add_bytes(std::uint64_t& sum, std::uint64_t bytes) {
  if (bytes > static_cast<std::uint64_t>(kBeyondAnyMachine) - sum) {
    throw make_error(ErrorKind::kResource,
                     "the weights need more memory than any machine has: {} bytes and {} more", sum,
                     bytes);
  }
  sum += bytes;
}

void add_floats(std::uint64_t& sum, std::int64_t count) {
  check_elements(count, static_cast<std::int64_t>(sizeof(float)));
  add_bytes(sum, static_cast<std::uint64_t>(count) * sizeof(float));
}

}  // namespace

WeightLoader::WeightLoader(const formats::WeightSource& source, ops::Backend* backend,
                           DType storage, ProgressCallback on_progress)
    : source_(source), backend_(backend), storage_(storage), on_progress_(std::move(on_progress)) {
  for (const formats::TensorInfo& tensor : source.tensors()) total_ += byte_size(tensor.view);
}

void WeightLoader::read_ahead(const std::vector<const formats::TensorInfo*>& order,
                              ReadAhead::Behind behind) {
  read_ahead_ = std::make_unique<ReadAheadThreads>(source_, ReadAhead(order, behind));
  read_ahead_->advance(done_);
}

const formats::TensorInfo& WeightLoader::take(const std::string& name) {
  const formats::TensorInfo& tensor = source_.require(name);
  order_.push_back(&tensor);
  return tensor;
}

const formats::TensorInfo& WeightLoader::require(const std::string& name,
                                                 const std::vector<std::int64_t>& shape) {
  const formats::TensorInfo& tensor = take(name);
  if (tensor.view.shape.dims != shape) {
    throw make_error(ErrorKind::kInvalidFile, "{}: tensor '{}' has shape {}, expected {}",
                     source_.files()[tensor.file].string(), name, to_string(tensor.view.shape),
                     to_string(Shape{shape}));
  }
  if (!quant::can_dequantize(tensor.view.dtype)) {
    throw make_error(ErrorKind::kUnsupported,
                     "{}: tensor '{}' is of type {}, which this program cannot compute with yet",
                     source_.files()[tensor.file].string(), name, mistral::name(tensor.view.dtype));
  }
  return tensor;
}

const formats::TensorInfo& WeightLoader::matrix_info(const std::string& name) const {
  const formats::TensorInfo& tensor = source_.require(name);
  if (tensor.view.shape.rank() != 2) {
    throw make_error(ErrorKind::kInvalidFile, "{}: tensor '{}' has shape {}, expected a matrix",
                     source_.files()[tensor.file].string(), name, to_string(tensor.view.shape));
  }
  return tensor;
}

void WeightLoader::count(DType source, DType storage, std::int64_t out, std::int64_t in) {
  check_elements(out, in);
  const DType packed = storage == DType::kCount ? source : storage;
  add_bytes(counted_, ops::packed_bytes(packed, out, in));
  forms_ |= static_cast<unsigned>(ops::packed_input_form(packed, out, in));
}

void WeightLoader::advance(std::uint64_t bytes) {
  done_ += bytes;
  if (read_ahead_) read_ahead_->advance(done_);
  if (on_progress_) on_progress_(done_, total_);
}

DType WeightLoader::storage_for(DType dtype) const {
  if (info(dtype).quantized) return DType::kCount;
  if (storage_ != DType::kCount) return storage_;
  // Numbers of other widths (F64, …) become f32.
  const bool computable = dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
  return computable ? DType::kCount : DType::kF32;
}

bool WeightLoader::stays(const formats::TensorInfo& tensor, std::int64_t in, DType storage) const {
  return keeper_ && !tensor.scattered &&
         (storage == DType::kCount || storage == tensor.view.dtype) &&
         backend_->keeps(tensor.view.dtype, in);
}

std::uint64_t WeightLoader::copied_bytes() const {
  std::uint64_t bytes = 0;
  for (const formats::TensorInfo& tensor : source_.tensors()) {
    if (!stays(tensor, tensor.view.shape.row_length(), storage_for(tensor.view.dtype))) {
      bytes += byte_size(tensor.view);
    }
  }
  return bytes;
}

std::span<const std::byte> WeightLoader::data_of(const formats::TensorInfo& tensor) {
  if (!tensor.scattered) return tensor.view.data;
  for (const Collected& kept : collected_) {
    if (kept.tensor == &tensor) return kept.read.view.data;
  }
  Collected& oldest = collected_[0];
  oldest = {};  // before the next one is allocated
  std::swap(collected_[0], collected_[1]);
  collected_[1] = {&tensor, source_.read(tensor)};
  return collected_[1].read.view.data;
}

std::shared_ptr<const ops::Weight> WeightLoader::pack(const formats::TensorInfo& tensor,
                                                      std::span<const std::byte> data,
                                                      std::int64_t out, std::int64_t in,
                                                      DType storage) {
  TensorView view = tensor.view;
  view.shape = Shape{{out, in}};
  view.data = data;
  try {
    if (stays(tensor, in, storage)) return keep(tensor, view);
    return backend_->pack(view, storage, [&](std::span<const std::byte> done) {
      if (!tensor.scattered) {
        formats::TensorInfo part = tensor;
        part.view.data = done;
        source_.release(part);
      }
      advance(done.size());
    });
  } catch (Error& error) {
    throw error.add_context(
        fmt::format("{}: tensor '{}'", source_.files()[tensor.file].string(), tensor.name));
  }
}

std::shared_ptr<const ops::Weight> WeightLoader::keep(const formats::TensorInfo& tensor,
                                                      const TensorView& view) {
  formats::TensorInfo rows{tensor.name, view, tensor.file, false};
  kept_.push_back({backend_->keep(view, keeper_), rows});
  // The first tokens are computed while the last weights are being read.
  if (done_ < total_ / 4 * 3) {
    for (std::size_t at = 0; at < view.data.size(); at += kPopulated) {
      rows.view.data = view.data.subspan(at, std::min(kPopulated, view.data.size() - at));
      source_.populate(rows);
      advance(rows.view.data.size());
    }
  } else if (on_progress_) {
    on_progress_(done_ += view.data.size(), total_);
  }
  return kept_.back().weight;
}

std::unique_ptr<BackgroundPacking> WeightLoader::finish(ReadAhead::Behind behind) {
  if (kept_.empty()) return nullptr;
  return std::make_unique<BackgroundPacking>(source_, keeper_, std::move(read_ahead_),
                                             std::move(kept_),
                                             behind == ReadAhead::Behind::kForget);
}

std::shared_ptr<const ops::Weight> WeightLoader::matrix(const std::string& name, std::int64_t out,
                                                        std::int64_t in) {
  const formats::TensorInfo& tensor = require(name, {out, in});
  const DType storage = storage_for(tensor.view.dtype);
  count(tensor.view.dtype, storage, out, in);
  if (backend_ == nullptr) return nullptr;
  return pack(tensor, data_of(tensor), out, in, storage);
}

std::shared_ptr<const ops::Weight> WeightLoader::exact_matrix(const std::string& name,
                                                              std::int64_t out, std::int64_t in) {
  const formats::TensorInfo& tensor = require(name, {out, in});
  count(tensor.view.dtype, DType::kF32, out, in);
  if (backend_ == nullptr) return nullptr;
  return pack(tensor, data_of(tensor), out, in, DType::kF32);
}

std::shared_ptr<const ops::Weight> WeightLoader::matrix_rows(const std::string& name,
                                                             std::int64_t stored_rows,
                                                             std::int64_t in,
                                                             std::span<const RowRange> ranges) {
  const formats::TensorInfo& tensor = require(name, {stored_rows, in});
  const DType storage = storage_for(tensor.view.dtype);
  std::int64_t rows = 0;
  for (const RowRange& range : ranges) rows += range.count;
  count(tensor.view.dtype, storage, rows, in);
  if (backend_ == nullptr) return nullptr;
  const std::int64_t row = row_bytes(tensor.view.dtype, in);
  const std::span<const std::byte> data = data_of(tensor);
  const auto rows_of = [&](const RowRange& range) {
    return data.subspan(static_cast<std::size_t>(range.first * row),
                        static_cast<std::size_t>(range.count * row));
  };
  if (ranges.size() == 1) return pack(tensor, rows_of(ranges[0]), ranges[0].count, in, storage);
  std::vector<std::byte> gathered;
  for (const RowRange& range : ranges) {
    const auto part = rows_of(range);
    gathered.insert(gathered.end(), part.begin(), part.end());
  }
  TensorView view = tensor.view;
  view.shape = Shape{{rows, in}};
  view.data = gathered;
  advance(gathered.size());
  return backend_->pack(view, storage, nullptr);
}

std::shared_ptr<const ops::Weight> WeightLoader::slab(const std::string& name, std::int64_t slabs,
                                                      std::int64_t index, std::int64_t out,
                                                      std::int64_t in) {
  const formats::TensorInfo& tensor = require(name, {slabs, out, in});
  const DType storage = storage_for(tensor.view.dtype);
  count(tensor.view.dtype, storage, out, in);
  if (backend_ == nullptr) return nullptr;
  const std::span<const std::byte> data = data_of(tensor);
  const std::size_t size = data.size() / static_cast<std::size_t>(slabs);
  return pack(tensor, data.subspan(static_cast<std::size_t>(index) * size, size), out, in, storage);
}

std::shared_ptr<const ops::Weight> WeightLoader::computed(std::span<const float> values,
                                                          std::int64_t out, std::int64_t in,
                                                          DType like) {
  DType storage = DType::kF32;
  if (storage_ == DType::kF16 || storage_ == DType::kBF16) {
    storage = storage_;
  } else if (storage_ == DType::kCount && like != DType::kF32) {
    storage = like == DType::kBF16 ? DType::kBF16 : DType::kF16;
  }
  count(DType::kF32, storage, out, in);
  if (backend_ == nullptr) return nullptr;
  TensorView view;
  view.dtype = DType::kF32;
  view.shape = Shape{{out, in}};
  view.data = std::as_bytes(values);
  return backend_->pack(view, storage, nullptr);
}

std::shared_ptr<const ops::Weight> WeightLoader::encoded(std::span<const std::byte> data,
                                                         DType dtype, std::int64_t out,
                                                         std::int64_t in) {
  count(dtype, DType::kCount, out, in);
  if (backend_ == nullptr) return nullptr;
  TensorView view;
  view.dtype = dtype;
  view.shape = Shape{{out, in}};
  view.data = data;
  return backend_->pack(view, DType::kCount, nullptr);
}

std::vector<float> WeightLoader::decode(const formats::TensorInfo& tensor, std::int64_t first_row,
                                        std::int64_t rows) {
  if (backend_ == nullptr) return {};
  const std::int64_t columns = tensor.view.shape.row_length();
  const std::int64_t row = row_bytes(tensor.view.dtype, columns);
  const std::byte* data = data_of(tensor).data();
  std::vector<float> result(static_cast<std::size_t>(rows * columns));
  for (std::int64_t r = 0; r < rows; ++r) {
    quant::dequantize_row(tensor.view.dtype, data + (first_row + r) * row,
                          result.data() + r * columns, columns);
  }
  advance(static_cast<std::uint64_t>(rows * row));
  return result;
}

std::vector<float> WeightLoader::values(const std::string& name,
                                        const std::vector<std::int64_t>& shape) {
  const formats::TensorInfo& tensor = require(name, shape);
  add_floats(counted_, tensor.view.shape.elements());
  return decode(tensor, 0, tensor.view.shape.elements() / shape.back());
}

std::vector<float> WeightLoader::vector_parts(const std::string& name, std::int64_t size,
                                              std::span<const RowRange> ranges) {
  const formats::TensorInfo& tensor = require(name, {size});
  for (const RowRange& range : ranges) {
    add_floats(counted_, range.count);
  }
  const std::vector<float> all = decode(tensor, 0, 1);
  std::vector<float> result;
  if (all.empty()) return result;
  for (const RowRange& range : ranges) {
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(range.first);
    result.insert(result.end(), first, first + static_cast<std::ptrdiff_t>(range.count));
  }
  return result;
}

std::vector<float> WeightLoader::rows(const std::string& name,
                                      const std::vector<std::int64_t>& shape, RowRange range) {
  return decode(require(name, shape), range.first, range.count);
}

std::vector<float> WeightLoader::part(const std::string& name,
                                      const std::vector<std::int64_t>& shape, std::int64_t index) {
  const formats::TensorInfo& tensor = require(name, shape);
  const std::int64_t rows = tensor.view.shape.elements() / shape.back() / shape[0];
  return decode(tensor, index * rows, rows);
}

std::span<const std::byte> WeightLoader::bytes(const std::string& name,
                                               const std::vector<std::int64_t>& shape,
                                               std::int64_t index) {
  const formats::TensorInfo& tensor = take(name);
  if (tensor.view.shape.dims != shape || tensor.view.dtype != DType::kU8) {
    throw make_error(ErrorKind::kInvalidFile,
                     "{}: tensor '{}' has shape {} and type {}, expected {} U8",
                     source_.files()[tensor.file].string(), name, to_string(tensor.view.shape),
                     mistral::name(tensor.view.dtype), to_string(Shape{shape}));
  }
  if (backend_ == nullptr) return {};
  const std::span<const std::byte> data = data_of(tensor);
  const std::size_t size = data.size() / static_cast<std::size_t>(shape[0]);
  advance(size);
  return data.subspan(static_cast<std::size_t>(index) * size, size);
}

void WeightLoader::release(const std::string& name) {
  const formats::TensorInfo& tensor = source_.require(name);
  for (Collected& kept : collected_) {
    if (kept.tensor == &tensor) kept = {};
  }
  const bool kept = stays(tensor, tensor.view.shape.row_length(), storage_for(tensor.view.dtype));
  if (!tensor.scattered && !kept) source_.release(tensor);
}

std::vector<float> WeightLoader::vector(const std::string& name, std::int64_t size, float offset) {
  std::vector<float> result = values(name, {size});
  if (offset != 0.0F) {
    for (float& value : result) value += offset;
  }
  return result;
}

}  // namespace mistral::nn
