// Any bytes as the index of sharded weights: an Error, or names of files that stay in the folder.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

#include "core/error.h"
#include "formats/weight_folder.h"
#include "fuzz/allocation_limit.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mistral;
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const fuzz::AllocationLimit limit(bytes);
  for (const formats::FolderNames* names :
       {&formats::safetensors_names(), &formats::torch_names()}) {
    try {
      const auto index = formats::parse_weight_index(bytes, *names);
      if (index.empty()) std::abort();
      for (const auto& [tensor, file] : index) {
        const std::size_t bad = file.find_first_of(std::string_view("/\\\0", 3));
        if (file.empty() || file.front() == '.' || bad != std::string::npos) std::abort();
      }
    } catch (const Error&) {
    }
  }
  return 0;
}
