// Any bytes either parse as a legacy llama file, with all views inside the bytes, or give an Error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "core/error.h"
#include "formats/ggml_parser.h"
#include "fuzz/allocation_limit.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const mistral::fuzz::AllocationLimit limit(bytes);
  const auto inside = [&](const void* begin, std::size_t length) {
    const auto* first = static_cast<const std::byte*>(begin);
    return first >= bytes.data() && first + length <= bytes.data() + bytes.size();
  };
  try {
    const auto parsed = mistral::formats::parse_ggml(bytes);
    if (!mistral::formats::has_ggml_magic(bytes)) std::abort();
    if (parsed.pieces.size() != parsed.vocab_size) std::abort();
    for (const auto piece : parsed.pieces) {
      if (!inside(piece.data(), piece.size())) std::abort();
    }
    const std::byte* end = bytes.data();
    for (const auto& tensor : parsed.tensors) {
      const auto& view = tensor.view;
      const auto rows = view.shape.elements() / view.shape.row_length();
      const auto expected = rows * mistral::row_bytes(view.dtype, view.shape.row_length());
      if (!inside(view.data.data(), view.data.size()) || view.data.data() < end ||
          static_cast<std::uint64_t>(expected) != view.data.size()) {
        std::abort();
      }
      end = view.data.data() + view.data.size();
    }
    if (end != bytes.data() + bytes.size()) std::abort();
  } catch (const mistral::Error&) {
  }
  return 0;
}
