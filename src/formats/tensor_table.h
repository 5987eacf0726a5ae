// The tensors of one source with a fast look-up by name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/weight_source.h"

namespace mistral::formats {

class TensorTable {
 public:
  TensorTable() = default;
  // Throws Error (kInvalidFile) when a name occurs twice; `files` are those that
  // TensorInfo::file counts.
  TensorTable(std::vector<TensorInfo> tensors, const std::vector<std::filesystem::path>& files);

  [[nodiscard]] std::span<const TensorInfo> tensors() const { return tensors_; }
  [[nodiscard]] const TensorInfo* find(std::string_view name) const;

 private:
  std::vector<TensorInfo> tensors_;
  // The keys borrow the names in tensors_, whose elements stay in place when the vector is moved.
  std::unordered_map<std::string_view, std::uint32_t> index_;
};

}  // namespace mistral::formats
