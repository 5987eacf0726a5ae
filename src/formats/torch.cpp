#include "formats/torch.h"

#include <string>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "core/mapped_file.h"
#include "formats/printable.h"
#include "formats/tensor_table.h"
#include "formats/torch_checkpoint.h"

namespace mistral::formats {

struct TorchFile::Impl {
  std::vector<MappedFile> mappings;
  std::vector<std::filesystem::path> files;
  TensorTable table;
  std::unordered_map<std::string, TorchTensor> scattered;  // by name

  void add(TorchTensor tensor, std::uint32_t file, std::vector<TensorInfo>& tensors) {
    TensorInfo info{tensor.name, {tensor.layout.dtype, tensor.layout.shape, {}}, file, false};
    if (tensor.bytes > 0) {
      info.scattered = !is_contiguous(tensor.layout);
      if (info.scattered) {
        scattered.insert_or_assign(tensor.name, std::move(tensor));
      } else {
        const auto width = static_cast<std::size_t>(row_bytes(tensor.layout.dtype, 1));
        info.view.data =
            tensor.storage.subspan(static_cast<std::size_t>(tensor.layout.offset) * width,
                                   static_cast<std::size_t>(tensor.bytes));
      }
    }
    tensors.push_back(std::move(info));
  }
};

std::shared_ptr<const TorchFile> TorchFile::open(const std::vector<std::filesystem::path>& paths) {
  if (paths.empty()) {
    throw Error(ErrorKind::kInvalidArgument,
                "no PyTorch checkpoint is given; expected at least one path");
  }
  auto impl = std::make_unique<Impl>();
  impl->files = paths;
  std::vector<TensorInfo> tensors;
  for (const auto& path : paths) {
    const auto file_index = static_cast<std::uint32_t>(impl->mappings.size());
    impl->mappings.emplace_back(path);
    try {
      for (TorchTensor& tensor : parse_torch(impl->mappings.back().bytes())) {
        impl->add(std::move(tensor), file_index, tensors);
      }
    } catch (Error& error) {
      error.add_context(fmt::format("reading '{}'", path.string()));
      throw;
    }
  }
  impl->table = TensorTable(std::move(tensors), impl->files);
  return std::shared_ptr<const TorchFile>(new TorchFile(std::move(impl)));
}

TorchFile::TorchFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TorchFile::~TorchFile() = default;

std::span<const TensorInfo> TorchFile::tensors() const {
  return impl_->table.tensors();
}
const TensorInfo* TorchFile::find(std::string_view name) const {
  return impl_->table.find(name);
}
const std::vector<std::filesystem::path>& TorchFile::files() const {
  return impl_->files;
}

ReadTensor TorchFile::read(const TensorInfo& tensor) const {
  if (!tensor.scattered) return WeightSource::read(tensor);
  const TorchTensor& source = impl_->scattered.at(tensor.name);
  ReadTensor out{tensor.view, std::vector<std::byte>(static_cast<std::size_t>(source.bytes))};
  gather(source.layout, source.storage, out.collected);
  out.view.data = out.collected;
  impl_->mappings.at(tensor.file).release(source.storage);
  return out;
}

void TorchFile::release(const TensorInfo& tensor) const {
  impl_->mappings.at(tensor.file).release(tensor.view.data);
}
void TorchFile::forget(const TensorInfo& tensor) const {
  impl_->mappings.at(tensor.file).forget(tensor.view.data);
}
void TorchFile::prefetch(const TensorInfo& tensor) const {
  impl_->mappings.at(tensor.file).prefetch(tensor.view.data);
}
void TorchFile::populate(const TensorInfo& tensor) const {
  impl_->mappings.at(tensor.file).populate(tensor.view.data);
}

}  // namespace mistral::formats
