#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <system_error>
#include <utility>

#include <unistd.h>

#include "core/error.h"
#include "core/json.h"
#include "formats/checked.h"
#include "formats/printable.h"
#include "formats/safetensors.h"
#include "formats/safetensors_dtype.h"

namespace mistral::formats {
namespace {

namespace fs = std::filesystem;

// Deletes what was written unless it has been renamed.
class TemporaryFile {
 public:
  explicit TemporaryFile(const fs::path& target)
      : path_(target.string() + fmt::format(".{}.partial", ::getpid())) {}
  ~TemporaryFile() {
    std::error_code ignored;
    if (!renamed_) fs::remove(path_, ignored);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  [[nodiscard]] const fs::path& path() const { return path_; }

  void rename_to(const fs::path& target) {
    std::error_code failure;
    fs::rename(path_, target, failure);
    if (failure) {
      throw make_error(ErrorKind::kResource, "cannot rename '{}' to '{}': {}", path_.string(),
                       target.string(), failure.message());
    }
    renamed_ = true;
  }

 private:
  fs::path path_;
  bool renamed_ = false;
};

void check(const NamedTensor& tensor) {
  const TensorView& view = tensor.view;
  const bool sound = std::all_of(view.shape.dims.begin(), view.shape.dims.end(),
                                 [](std::int64_t extent) { return extent >= 0; });
  if (tensor.name.empty() || tensor.name == "__metadata__") {
    throw make_error(ErrorKind::kInvalidArgument, "a tensor cannot be named {}",
                     printable(tensor.name));
  }
  if (!is_safetensors_dtype(view.dtype)) {
    throw make_error(ErrorKind::kInvalidArgument, "tensor {}: cannot store {}; expected one of {}",
                     printable(tensor.name), name(view.dtype), safetensors_dtype_names());
  }
  const auto size = sound ? checked_tensor_bytes(view.dtype, view.shape) : std::nullopt;
  if (!size || *size != view.data.size()) {
    throw make_error(ErrorKind::kInvalidArgument, "tensor {}: {} {} does not have {} bytes",
                     printable(tensor.name), name(view.dtype), to_string(view.shape),
                     view.data.size());
  }
}

// Wide elements first, so that every tensor is aligned to its element.
std::vector<const NamedTensor*> data_order(std::span<const NamedTensor> tensors) {
  std::vector<const NamedTensor*> order;
  order.reserve(tensors.size());
  for (const NamedTensor& tensor : tensors) order.push_back(&tensor);
  std::stable_sort(order.begin(), order.end(), [](const NamedTensor* a, const NamedTensor* b) {
    return info(a->view.dtype).block_bytes > info(b->view.dtype).block_bytes;
  });
  return order;
}

std::string make_header(const std::vector<const NamedTensor*>& order) {
  // Entries are joined as text: an ordered JSON object would search all keys for each new one.
  std::string header = R"({"__metadata__":{"format":"pt"})";
  std::set<std::string_view> names;
  std::uint64_t offset = 0;
  for (const NamedTensor* tensor : order) {
    if (!names.insert(tensor->name).second) {
      throw make_error(ErrorKind::kInvalidArgument, "tensor {} is given twice",
                       printable(tensor->name));
    }
    const std::uint64_t end = offset + tensor->view.data.size();
    try {
      header += fmt::format(R"(,{}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                            Json(tensor->name).dump(), name(tensor->view.dtype),
                            fmt::join(tensor->view.shape.dims, ","), offset, end);
    } catch (const Json::exception&) {
      throw make_error(ErrorKind::kInvalidArgument, "the name of tensor {} is not UTF-8",
                       printable(tensor->name));
    }
    offset = end;
  }
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');  // the data starts aligned
  return header;
}

}  // namespace

void write_safetensors(const fs::path& path, std::span<const NamedTensor> tensors) {
  for (const NamedTensor& tensor : tensors) check(tensor);
  const std::vector<const NamedTensor*> order = data_order(tensors);
  const std::string header = make_header(order);

  TemporaryFile temporary(path);
  std::ofstream out(temporary.path(), std::ios::binary | std::ios::trunc);
  const auto failed = [&] {
    return make_error(ErrorKind::kResource, "cannot write '{}': {}", temporary.path().string(),
                      std::strerror(errno));
  };
  if (!out) throw failed();
  const auto put = [&](const void* data, std::size_t size) {
    out.write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
    if (!out) throw failed();
  };
  const auto header_bytes = static_cast<std::uint64_t>(header.size());
  put(&header_bytes, sizeof(header_bytes));
  put(header.data(), header.size());
  for (const NamedTensor* tensor : order) put(tensor->view.data.data(), tensor->view.data.size());
  out.close();
  if (!out) throw failed();
  temporary.rename_to(path);
}

}  // namespace mistral::formats
