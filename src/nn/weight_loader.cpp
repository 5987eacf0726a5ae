#include "nn/weight_loader.h"

#include "core/error.h"
#include "quant/dequantize.h"

namespace mistral::nn {

WeightLoader::WeightLoader(const formats::WeightSource& source, ops::Backend* backend,
                           DType storage, ProgressCallback on_progress)
    : source_(source), backend_(backend), storage_(storage), on_progress_(std::move(on_progress)) {
  for (const formats::TensorInfo& tensor : source.tensors()) total_ += byte_size(tensor.view);
}

const formats::TensorInfo& WeightLoader::require(const std::string& name,
                                                 const std::vector<std::int64_t>& shape) const {
  const formats::TensorInfo& tensor = source_.require(name);
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

void WeightLoader::advance(std::uint64_t bytes) {
  done_ += bytes;
  if (on_progress_) on_progress_(done_, total_);
}

std::shared_ptr<const ops::Weight> WeightLoader::matrix(const std::string& name, std::int64_t out,
                                                        std::int64_t in) {
  const formats::TensorInfo& tensor = require(name, {out, in});
  if (backend_ == nullptr) return nullptr;
  const bool plain = !info(tensor.view.dtype).quantized;
  // Numbers of other widths (F64, …) become f32.
  const bool computable = tensor.view.dtype == DType::kF32 || tensor.view.dtype == DType::kF16 ||
                          tensor.view.dtype == DType::kBF16;
  DType storage = DType::kCount;
  if (plain)
    storage = storage_ != DType::kCount ? storage_ : computable ? DType::kCount : DType::kF32;
  const formats::ReadTensor read = source_.read(tensor);
  auto weight = backend_->pack(read.view, storage, [&](std::span<const std::byte> done) {
    if (!tensor.scattered) {
      formats::TensorInfo part = tensor;
      part.view.data = done;
      source_.release(part);
    }
    advance(done.size());
  });
  return weight;
}

std::vector<float> WeightLoader::vector(const std::string& name, std::int64_t size, float offset) {
  const formats::TensorInfo& tensor = require(name, {size});
  std::vector<float> values;
  if (backend_ == nullptr) return values;
  values.resize(static_cast<std::size_t>(size));
  const formats::ReadTensor read = source_.read(tensor);
  quant::dequantize_row(read.view.dtype, read.view.data.data(), values.data(), size);
  if (offset != 0.0F) {
    for (float& value : values) value += offset;
  }
  advance(read.view.data.size());
  return values;
}

}  // namespace mistral::nn
