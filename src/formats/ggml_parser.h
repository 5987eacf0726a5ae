// Reads one llama file of the containers before GGUF from memory: magic "ggml", "ggmf" or "ggjt"
// (versions 1 to 3), hyper-parameters, vocabulary, then tensors until the end of the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "formats/weight_source.h"

namespace mistral::formats {

struct ParsedGgml {
  enum class Container { kGgml, kGgmf, kGgjt };

  Container container = Container::kGgml;
  std::uint32_t version = 0;  // 0 in "ggml" files, which have none

  // As the file names them; what it does not hold (key-value heads, epsilon) is not here.
  std::uint32_t vocab_size = 0;
  std::uint32_t embedding = 0;
  std::uint32_t multiple = 0;  // the feed-forward size is rounded up to it
  std::uint32_t heads = 0;
  std::uint32_t layers = 0;
  std::uint32_t rotary = 0;
  std::uint32_t file_type = 0;

  // A token in id order: spaces are spaces, byte tokens are the byte, control tokens are empty.
  std::vector<std::string_view> pieces;  // borrowed from the bytes
  std::vector<float> scores;             // none in "ggml" files

  std::vector<TensorInfo> tensors;  // views into the bytes; named as in the file; file = 0
};

// Whether a file that starts with `bytes` is one of these containers.
[[nodiscard]] bool has_ggml_magic(std::span<const std::byte> bytes);

// Every count and length is checked against the bytes that are there before it is used. Throws
// Error (kInvalidFile; kUnsupported for versions that are not known and for quantised tensors of
// files before ggjt v3, whose blocks have another layout) without naming the file.
[[nodiscard]] ParsedGgml parse_ggml(std::span<const std::byte> bytes);

}  // namespace mistral::formats
