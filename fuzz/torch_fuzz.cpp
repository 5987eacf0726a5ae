// Any bytes either parse as a PyTorch checkpoint, with tensors that can be collected from inside of
// the bytes and take at most twice their size, or give an Error. The same bytes are tried as a bare
// pickle, so that mutations reach the interpreter without a sound archive around it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "core/error.h"
#include "formats/pickle.h"
#include "formats/torch_checkpoint.h"
#include "formats/torch_state.h"
#include "fuzz/allocation_limit.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const mistral::fuzz::AllocationLimit limit(bytes);
  try {
    std::size_t budget = std::size_t{1} << 24;  // many tensors may share one storage
    for (const auto& tensor : mistral::formats::parse_torch(bytes)) {
      if (tensor.bytes > 2 * size + 1) std::abort();
      if (tensor.bytes > budget) break;
      budget -= tensor.bytes;
      std::vector<std::byte> out(tensor.bytes);
      mistral::formats::gather(tensor.layout, tensor.storage, out);
    }
  } catch (const mistral::Error&) {
  }
  try {
    const auto pickle = mistral::formats::read_pickle(bytes, std::uint64_t{1} << 20);
    if (pickle.end > size) std::abort();
    (void)mistral::formats::find_state(pickle);
  } catch (const mistral::Error&) {
  }
  return 0;
}
