// Any bytes either parse as a GGUF header, with all views inside the bytes, or give an Error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "core/error.h"
#include "formats/gguf_parser.h"
#include "fuzz/allocation_limit.h"

namespace {

using mistral::formats::GgufMetadata;
using mistral::formats::TensorInfo;

template <typename Read>
void allow_error(Read read) {
  try {
    (void)read();
  } catch (const mistral::Error&) {
  }
}

void read_all(const GgufMetadata& metadata) {
  // Lookups search linearly; a bounded number keeps each run short.
  std::size_t budget = 64;
  for (const auto& entry : metadata.entries()) {
    if (budget-- == 0) return;
    allow_error([&] { return metadata.integer(entry.key); });
    allow_error([&] { return metadata.number(entry.key); });
    allow_error([&] { return metadata.boolean(entry.key); });
    allow_error([&] { return metadata.string(entry.key); });
    allow_error([&] { return metadata.strings(entry.key); });
    allow_error([&] { return metadata.integers(entry.key); });
    allow_error([&] { return metadata.numbers(entry.key); });
  }
}

void check_inside(std::span<const std::byte> bytes, const TensorInfo& tensor) {
  const auto data = tensor.view.data;
  const auto rows = tensor.view.shape.elements() / tensor.view.shape.row_length();
  const auto size = rows * mistral::row_bytes(tensor.view.dtype, tensor.view.shape.row_length());
  if (data.data() < bytes.data() || data.data() + data.size() > bytes.data() + bytes.size() ||
      static_cast<std::uint64_t>(size) != data.size()) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const mistral::fuzz::AllocationLimit limit(bytes);
  try {
    const auto parsed = mistral::formats::parse_gguf(bytes);
    read_all(parsed.metadata);
    for (const TensorInfo& tensor : parsed.tensors) check_inside(bytes, tensor);
  } catch (const mistral::Error&) {
  }
  return 0;
}
