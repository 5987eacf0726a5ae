#include "formats/safetensors.h"

#include <utility>

#include "core/error.h"
#include "core/mapped_file.h"
#include "formats/safetensors_header.h"
#include "formats/tensor_table.h"
#include "formats/weight_folder.h"

namespace mistral::formats {

struct SafetensorsFile::Impl {
  std::vector<MappedFile> mappings;
  std::vector<std::filesystem::path> files;
  TensorTable table;
};

std::shared_ptr<const SafetensorsFile> SafetensorsFile::open(
    const std::vector<std::filesystem::path>& paths) {
  if (paths.empty()) {
    throw Error(ErrorKind::kInvalidArgument,
                "no safetensors file is given; expected at least one path");
  }
  auto impl = std::make_unique<Impl>();
  impl->files = paths;
  std::vector<TensorInfo> tensors;
  for (const auto& path : paths) {
    const auto file_index = static_cast<std::uint32_t>(impl->mappings.size());
    impl->mappings.emplace_back(path);
    try {
      for (TensorInfo& tensor : parse_safetensors(impl->mappings.back().bytes())) {
        tensor.file = file_index;
        tensors.push_back(std::move(tensor));
      }
    } catch (Error& error) {
      error.add_context(fmt::format("reading '{}'", path.string()));
      throw;
    }
  }
  impl->table = TensorTable(std::move(tensors), impl->files);
  return std::shared_ptr<const SafetensorsFile>(new SafetensorsFile(std::move(impl)));
}

std::shared_ptr<const SafetensorsFile> SafetensorsFile::open_folder(
    const std::filesystem::path& folder) {
  const FolderNames& names = safetensors_names();
  const auto found = find_weight_files(folder, names);
  if (!found) {
    throw make_error(ErrorKind::kNotFound,
                     "no weights in '{}': expected {}, {} or one other file *{}", folder.string(),
                     names.index, names.single, names.endings.front());
  }
  auto source = open(found->files);
  check_placed(*source, folder, *found);
  return source;
}

SafetensorsFile::SafetensorsFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SafetensorsFile::~SafetensorsFile() = default;

std::span<const TensorInfo> SafetensorsFile::tensors() const {
  return impl_->table.tensors();
}
const TensorInfo* SafetensorsFile::find(std::string_view name) const {
  return impl_->table.find(name);
}
const std::vector<std::filesystem::path>& SafetensorsFile::files() const {
  return impl_->files;
}

void SafetensorsFile::release(const TensorInfo& tensor) const {
  impl_->mappings.at(tensor.file).release(tensor.view.data);
}
void SafetensorsFile::forget(const TensorInfo& tensor) const {
  impl_->mappings.at(tensor.file).forget(tensor.view.data);
}
void SafetensorsFile::prefetch(const TensorInfo& tensor) const {
  impl_->mappings.at(tensor.file).prefetch(tensor.view.data);
}
void SafetensorsFile::populate(const TensorInfo& tensor) const {
  impl_->mappings.at(tensor.file).populate(tensor.view.data);
}

}  // namespace mistral::formats
