// Legacy llama files (ggml_parser.h) as what they would be in GGUF: the same tensors under GGUF's
// names, and metadata that says what the old format fixed by convention.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "formats/gguf.h"

namespace mistral::formats {

struct GgmlOptions {
  // Query heads that share a key-value head: the files do not hold it.
  std::int64_t gqa = 1;
};

// Whether `path` is a regular file with the magic number of these containers.
[[nodiscard]] bool is_ggml_file(const std::filesystem::path& path);

// The file as a GgufFile of architecture "llama": version() is 0, the vocabulary is in
// tokenizer.ggml.* unless the container has no scores ("ggml"). Throws Error (kNotFound,
// kInvalidFile, kUnsupported; kInvalidArgument when gqa does not divide the number of heads)
// naming the file.
[[nodiscard]] std::shared_ptr<const GgufFile> open_ggml(const std::filesystem::path& path,
                                                        const GgmlOptions& options);

}  // namespace mistral::formats
