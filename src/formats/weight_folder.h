// Which files of a Hugging Face folder hold its weights.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/weight_source.h"

namespace mistral::formats {

// What the files of one format are called.
struct FolderNames {
  std::string_view index;                     // "model.safetensors.index.json"
  std::string_view index_ending;              // of other names of an index; empty: none
  std::string_view single;                    // "model.safetensors"
  std::span<const std::string_view> endings;  // ".safetensors", the usual one first
  std::span<const std::string_view> beginnings_of_others;  // of files that are not weights
};
[[nodiscard]] const FolderNames& safetensors_names();
[[nodiscard]] const FolderNames& torch_names();  // .bin, .pth, .pt

// The file of every tensor, out of an index. Throws Error (kInvalidFile), also for names of files
// that are not of the index's own folder.
[[nodiscard]] std::map<std::string, std::string> parse_weight_index(std::span<const std::byte> text,
                                                                    const FolderNames& names);

struct WeightFiles {
  std::vector<std::filesystem::path> files;
  // Where an index says that a tensor is: its name -> index into `files`; empty without an index.
  std::map<std::string, std::size_t> placed;
  // Weights in the form of the model's author ("consolidated…"), whose tensors may have names of
  // their own: taken when there is nothing else.
  bool consolidated = false;
};

// The index with its shards, else the usual single file, else a complete set of shards or the one
// file that looks like weights; none when the folder has no such file. Throws Error: kNotFound (no
// folder, a shard missing), kInvalidFile (broken index, several candidates). An index names files
// of its own folder and nothing else.
[[nodiscard]] std::optional<WeightFiles> find_weight_files(const std::filesystem::path& folder,
                                                           const FolderNames& names);

// Throws Error (kInvalidFile) unless every tensor is in the file that the index says.
void check_placed(const WeightSource& source, const std::filesystem::path& folder,
                  const WeightFiles& files);

}  // namespace mistral::formats
