// safetensors files: u64 header length, JSON header, tensor data (huggingface/safetensors).
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/weight_source.h"

namespace mistral::formats {

class SafetensorsFile final : public WeightSource {
 public:
  // One file, or the shards of one model. Throws Error (kNotFound, kInvalidFile) that names the
  // file and tensor: header longer than the file, offsets outside, overlapping or not matching
  // shape and type, a name twice, an unknown dtype.
  [[nodiscard]] static std::shared_ptr<const SafetensorsFile> open(
      const std::vector<std::filesystem::path>& paths);

  // The weights of a Hugging Face folder: model.safetensors.index.json with its shards, else
  // model.safetensors, else the single *.safetensors file that looks like weights
  // (consolidated*.safetensors is taken only when it is alone; files named in no index, such as
  // expected*.safetensors, adapter_model.safetensors, are not weights).
  [[nodiscard]] static std::shared_ptr<const SafetensorsFile> open_folder(
      const std::filesystem::path& folder);

  ~SafetensorsFile() override;
  [[nodiscard]] std::span<const TensorInfo> tensors() const override;
  [[nodiscard]] const TensorInfo* find(std::string_view name) const override;
  [[nodiscard]] const std::vector<std::filesystem::path>& files() const override;
  void release(const TensorInfo& tensor) const override;
  void forget(const TensorInfo& tensor) const override;
  void prefetch(const TensorInfo& tensor) const override;
  void populate(const TensorInfo& tensor) const override;

 private:
  struct Impl;
  explicit SafetensorsFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct NamedTensor {
  std::string name;
  TensorView view;
};
// Writes a safetensors file (to a temporary name first, then renamed). Throws Error.
void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors);

}  // namespace mistral::formats
