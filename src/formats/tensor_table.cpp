#include "formats/tensor_table.h"

#include <utility>

#include "core/error.h"
#include "formats/printable.h"

namespace mistral::formats {

TensorTable::TensorTable(std::vector<TensorInfo> tensors,
                         const std::vector<std::filesystem::path>& files)
    : tensors_(std::move(tensors)) {
  index_.reserve(tensors_.size());
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const auto [entry, added] = index_.emplace(tensors_[i].name, static_cast<std::uint32_t>(i));
    if (added) continue;
    const TensorInfo& first = tensors_[entry->second];
    const TensorInfo& second = tensors_[i];
    if (first.file == second.file) {
      throw make_error(ErrorKind::kInvalidFile, "'{}': tensor {} occurs twice",
                       files[second.file].string(), printable(second.name));
    }
    throw make_error(ErrorKind::kInvalidFile, "tensor {} occurs in both '{}' and '{}'",
                     printable(second.name), files[first.file].string(),
                     files[second.file].string());
  }
}

const TensorInfo* TensorTable::find(std::string_view name) const {
  const auto entry = index_.find(name);
  return entry == index_.end() ? nullptr : &tensors_[entry->second];
}

}  // namespace mistral::formats
