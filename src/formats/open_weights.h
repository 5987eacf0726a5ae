// The weights of a Hugging Face folder, in whichever format they are.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "formats/weight_folder.h"
#include "formats/weight_source.h"

namespace mistral::formats {

struct ChosenWeights {
  WeightFiles files;
  bool safetensors = true;  // or PyTorch checkpoints
};
// The files that open_weights() opens; none when the folder has none. Throws Error as
// find_weight_files() does.
[[nodiscard]] std::optional<ChosenWeights> choose_weights(const std::filesystem::path& folder);

// safetensors files before PyTorch checkpoints, and both before "consolidated" files, whose tensors
// may have names of their own; see find_weight_files() for the choice within a format. Throws Error
// (kNotFound, kInvalidFile, kUnsupported) naming the folder or file.
[[nodiscard]] std::shared_ptr<const WeightSource> open_weights(const std::filesystem::path& folder);

}  // namespace mistral::formats
