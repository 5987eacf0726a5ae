// Any bytes either parse as a safetensors header, with views that cover the data without a gap, or
// give an Error. The same bytes are tried as an index.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "core/error.h"
#include "formats/json_limits.h"
#include "formats/safetensors_header.h"
#include "fuzz/allocation_limit.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const mistral::fuzz::AllocationLimit limit(bytes);
  try {
    const auto tensors = mistral::formats::parse_safetensors(bytes);
    const std::byte* end = bytes.data() + bytes.size();
    for (auto tensor = tensors.rbegin(); tensor != tensors.rend(); ++tensor) {
      if (tensor->view.data.data() + tensor->view.data.size() != end) std::abort();
      end = tensor->view.data.data();
    }
    if (end < bytes.data()) std::abort();
  } catch (const mistral::Error&) {
  }
  try {
    (void)mistral::formats::parse_limited_json(bytes, 32);
  } catch (const mistral::Error&) {
  }
  return 0;
}
