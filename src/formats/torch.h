// PyTorch checkpoints (.bin, .pth, .pt): what torch.save writes. Their pickle is read without
// running anything.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "formats/weight_source.h"

namespace mistral::formats {

class TorchFile final : public WeightSource {
 public:
  // One file, or the shards of one model. Throws Error (kNotFound, kInvalidFile, kUnsupported) that
  // names the file and, where it is known, the tensor.
  [[nodiscard]] static std::shared_ptr<const TorchFile> open(
      const std::vector<std::filesystem::path>& paths);

  ~TorchFile() override;
  [[nodiscard]] std::span<const TensorInfo> tensors() const override;
  [[nodiscard]] const TensorInfo* find(std::string_view name) const override;
  [[nodiscard]] const std::vector<std::filesystem::path>& files() const override;
  // Tensors with other strides than their shape's are collected from their storage.
  [[nodiscard]] ReadTensor read(const TensorInfo& tensor) const override;
  void release(const TensorInfo& tensor) const override;
  void forget(const TensorInfo& tensor) const override;
  void prefetch(const TensorInfo& tensor) const override;
  void populate(const TensorInfo& tensor) const override;

 private:
  struct Impl;
  explicit TorchFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mistral::formats
