// Which files of a Hugging Face folder hold its weights.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace mistral::formats {

struct SafetensorsFolder {
  std::vector<std::filesystem::path> files;
  // Where an index says that a tensor is: its name -> index into `files`; empty without an index.
  std::map<std::string, std::size_t> placed;
};

// Throws Error: kNotFound (no folder, no weights, a shard missing), kInvalidFile (broken index,
// several candidates).
[[nodiscard]] SafetensorsFolder find_safetensors(const std::filesystem::path& folder);

}  // namespace mistral::formats
