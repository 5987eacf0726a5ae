// The files that make up one GGUF model.
#pragma once

#include <filesystem>
#include <vector>

#include "core/mapped_file.h"
#include "formats/gguf_parser.h"

namespace mistral::formats {

struct GgufShard {
  MappedFile file;
  ParsedGguf content;  // borrows from `file`
};

// Opens one file or all shards of a split model, and returns them in the order of `split.no`. The
// one path of a shard 1 of N stands for all N, which are found by name beside it. Throws Error
// (kInvalidArgument for an empty list, kNotFound, kInvalidFile, kUnsupported) naming the file.
[[nodiscard]] std::vector<GgufShard> open_gguf_shards(
    const std::vector<std::filesystem::path>& paths);

}  // namespace mistral::formats
