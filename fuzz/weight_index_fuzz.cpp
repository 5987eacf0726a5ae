// Any bytes as the index of sharded weights: an Error, or names of files that stay in the folder.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

#include "core/error.h"
#include "formats/weight_folder.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mistral;
  for (const formats::FolderNames* names :
       {&formats::safetensors_names(), &formats::torch_names()}) {
    try {
      const auto index = formats::parse_weight_index(std::as_bytes(std::span(data, size)), *names);
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
