#include "formats/gguf.h"

#include <utility>

#include "core/error.h"
#include "core/mapped_file.h"
#include "formats/gguf_parser.h"
#include "formats/gguf_shards.h"
#include "formats/printable.h"
#include "formats/tensor_table.h"

namespace mistral::formats {

struct GgufFile::Impl {
  std::vector<MappedFile> mappings;  // in the order of the shards
  std::vector<std::filesystem::path> files;
  std::uint32_t version = 0;
  std::deque<std::string> texts;  // that the metadata borrows, when files do not hold them
  GgufMetadata metadata;
  std::string_view architecture;
  TensorTable table;
};

std::shared_ptr<const GgufFile> GgufFile::open(const std::vector<std::filesystem::path>& paths) {
  std::vector<GgufShard> shards = open_gguf_shards(paths);
  auto impl = std::make_unique<Impl>();
  GgufShard& first = shards.front();
  try {
    impl->architecture = first.content.metadata.require_string("general.architecture");
    if (impl->architecture.empty()) {
      throw Error(ErrorKind::kInvalidFile,
                  "key 'general.architecture' is empty; expected the name of an architecture");
    }
  } catch (Error& error) {
    error.add_context(fmt::format("reading '{}'", first.file.path().string()));
    throw;
  }
  impl->version = first.content.version;
  impl->metadata = std::move(first.content.metadata);
  std::vector<TensorInfo> tensors;
  for (GgufShard& shard : shards) {
    const auto file_index = static_cast<std::uint32_t>(impl->files.size());
    impl->files.push_back(shard.file.path());
    impl->mappings.push_back(std::move(shard.file));
    for (TensorInfo& tensor : shard.content.tensors) {
      tensor.file = file_index;
      tensors.push_back(std::move(tensor));
    }
  }
  impl->table = TensorTable(std::move(tensors), impl->files);
  return std::shared_ptr<const GgufFile>(new GgufFile(std::move(impl)));
}

std::shared_ptr<const GgufFile> GgufFile::adopt(MappedFile file, GgufMetadata metadata,
                                                std::vector<TensorInfo> tensors,
                                                std::deque<std::string> texts) {
  auto impl = std::make_unique<Impl>();
  impl->files.push_back(file.path());
  impl->mappings.push_back(std::move(file));
  impl->texts = std::move(texts);  // its elements stay in place
  impl->metadata = std::move(metadata);
  impl->architecture = impl->metadata.require_string("general.architecture");
  impl->table = TensorTable(std::move(tensors), impl->files);
  return std::shared_ptr<const GgufFile>(new GgufFile(std::move(impl)));
}

GgufFile::GgufFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GgufFile::~GgufFile() = default;

const GgufMetadata& GgufFile::metadata() const {
  return impl_->metadata;
}
std::uint32_t GgufFile::version() const {
  return impl_->version;
}
std::string_view GgufFile::architecture() const {
  return impl_->architecture;
}
std::span<const TensorInfo> GgufFile::tensors() const {
  return impl_->table.tensors();
}
const TensorInfo* GgufFile::find(std::string_view name) const {
  return impl_->table.find(name);
}
const std::vector<std::filesystem::path>& GgufFile::files() const {
  return impl_->files;
}

void GgufFile::release(const TensorInfo& tensor) const {
  impl_->mappings.at(tensor.file).release(tensor.view.data);
}
void GgufFile::forget(const TensorInfo& tensor) const {
  impl_->mappings.at(tensor.file).forget(tensor.view.data);
}
void GgufFile::prefetch(const TensorInfo& tensor) const {
  impl_->mappings.at(tensor.file).prefetch(tensor.view.data);
}
void GgufFile::populate(const TensorInfo& tensor) const {
  impl_->mappings.at(tensor.file).populate(tensor.view.data);
}

}  // namespace mistral::formats
